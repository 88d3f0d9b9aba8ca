"""Scores that are smoother than the empirical one, and how each is made from it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, ["graph_ramp", "smoothers"]
)
