"""One line about an object, for its ``repr``."""

import numpy as np

__all__ = ["described"]


def described(value, *parts, **fields):
    """Return ``Name(part, field=value, ...)``, with long arrays abbreviated."""
    named = [f"{name}={_short(field)}" for name, field in fields.items()]
    return f"{type(value).__name__}({', '.join([*parts, *named])})"


def _short(value):
    if not isinstance(value, np.ndarray):
        return repr(value)
    options = {"precision": 4, "threshold": 6, "edgeitems": 2, "separator": ", "}
    text = np.array2string(value, max_line_width=10**6, **options)
    return " ".join(text.split())  # a matrix too in one line
