"""The score of a finite training set, and what a generator driven by it can make.

``import empirical_score as es``; a module is imported when one of its names is first
asked for, so that nothing waits for what it does not use.  The names are listed in
``__init__.pyi``.  Work on NumPy arrays never imports torch.

Modules depend only downward: noise, densities, empirical; the smoothed scores
(smoothing, temperature, unconditional, smoothers, variational); samplers and
correctors; sharding; targets and networks; divergences, copying, linear, relative;
neighbors, curves, copy_statistics, copy_tests and the audit on top of them; datasets,
figures.  ``figures`` (matplotlib) is imported by name.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
