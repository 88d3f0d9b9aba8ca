"""The score of a finite training set, and what a generator driven by it can make.

``import empirical_score as es``; a module is imported when one of its names is first
asked for, so that nothing waits for what it does not use.  The names are listed in
``__init__.pyi``.  Work on NumPy arrays never imports torch.

A package is a family, and imports from those before it only: ``_support``,
``distributions``, ``sampling``, ``data``, ``exact``, ``smoothed``, ``solvable``,
``learning``, ``auditing``; ``_book`` is for the chapters.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
