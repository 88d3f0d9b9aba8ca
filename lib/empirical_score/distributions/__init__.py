"""Scores and densities: base classes, solved cases, divergences, information."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["densities"])
