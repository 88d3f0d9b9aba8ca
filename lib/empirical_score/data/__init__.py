"""Points to train on: curves, image sets, and how they come here and are checked."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["curves", "datasets"])
