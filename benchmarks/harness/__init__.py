"""What ``benchmarks/engine.py`` is made of; each module is one step of a measurement.

``problems`` (data and queries), ``peers`` (the competitors), ``exact`` (the float64
truth and the verdicts), ``timing`` (rounds and memory), ``cases``, ``report``.
"""
