"""Does a model copy?  From files and arrays to a verdict and a report."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, ["copy_statistics", "copy_tests"]
)
