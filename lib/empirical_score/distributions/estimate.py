"""A number together with its standard error."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Estimate"]


class Estimate(NamedTuple):
    """A number and its standard error.

    Attributes
    ----------
    value : float
    standard_error : float
        0 for what is exact.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.Estimate(0.5, 0.0)
    Estimate(value=0.5, standard_error=0.0)
    """

    value: float
    standard_error: float
