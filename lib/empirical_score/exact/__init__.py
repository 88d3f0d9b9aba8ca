"""The exact softmax average of a training set, from the bottom up.

``differences``  log weights from differences, in which nothing cancels
``points``       a training set prepared for sums: center, radius, keys
``dense``        averages over all points
``weights``      the weights of all points, and their derivatives
``certified``    averages to a tolerance, with a certificate
``tree``         the same in few dimensions
``paths``        the same along a path, where most was computed before

Each module imports from those above it only; :mod:`empirical_score.empirical` and
:mod:`empirical_score.sharding` are built on top.
"""
