"""The exact softmax average of a training set, from the bottom up.

``differences``  log weights from differences, in which nothing cancels
``points``       a training set prepared for sums: center, radius, keys
``dense``        averages over all points
``weights``      the weights of all points, and their derivatives
``certified``    averages to a tolerance, with a certificate
``tree``         the same in few dimensions
``paths``        the same along a path, where most was computed before

``score``        their face: :class:`EmpiricalScore`
``sharding``     the same over many processes, and ``sharded_sampling``, a command
``neighbors``    nearest neighbors, exactly

Each module imports only from those above it, and from the packages below this one.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["neighbors"])
