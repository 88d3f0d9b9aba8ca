"""Models whose training and samples are known in closed form."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["linear", "relative"])
