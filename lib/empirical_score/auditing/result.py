"""What an audit returns: frozen records of numbers, with words for them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy as np

from .._support.arrays import as_count
from .._support.show import described
from .copy_statistics import Measures
from .copy_tests import Interval, Tail

__all__ = ["Audit", "Flag", "Statistic"]


class Flag(NamedTuple):
    """A sample taken for a copy, and the training point it is taken to be of.

    Attributes
    ----------
    sample, training : int
        Row numbers of the generated samples and of the training set.
    distance, ratio : float
        To that training point, in units of the data, and against the k-th nearest.
    p_value, adjusted : float
        The conformal p-value, and the same adjusted for the number of samples.
    flipped : bool
        Whether the sample's mirror image is the copy.
    """

    sample: int
    training: int
    distance: float
    ratio: float
    p_value: float
    adjusted: float
    flipped: bool


@dataclass(frozen=True)
class Statistic:
    """One statistic's answers.

    ``p_value`` is that of the joint test, over all statistics and tails; ``tail`` the
    most conspicuous :class:`~empirical_score.copy_tests.Tail`.  Below the ``threshold``
    fixed in advance are so many of so many generated and held-out samples, their shares
    with exact intervals, and Fisher's p-value for that one comparison.  ``overall`` is
    the chance that a generated sample has the smaller value of a random pair, 1/2 if
    nothing is going on, with Mann and Whitney's p-value.
    """

    name: str
    p_value: float
    tail: Tail
    threshold: float
    generated_below: tuple[int, int]
    holdout_below: tuple[int, int]
    generated_share: Interval
    holdout_share: Interval
    fisher_p_value: float
    overall: float
    overall_p_value: float
    generated_median: float
    holdout_median: float


@dataclass(frozen=True)
class Audit:
    """The answer of a memorization audit; ``print`` it to read it.

    :func:`~empirical_score.audit` makes it.

    Attributes
    ----------
    copying : True, False or ``"undetermined"``
    verdict : str
        The answer in words.
    notes : tuple of str
        What to know about these data.
    statistics : dict of Statistic, by name
    flagged : tuple of Flag
        Samples taken for copies, surest first.
    copy_rate : Interval
        The share of copies beyond what held-out data show.
    detectable_rate, detectable_copies : float and int, or None
        The smallest rate that would have been found with chance 90 %, and the number
        of copies that it takes; None if none would.
    fewest_flags : int
        The smallest list of flags that these sizes allow.
    exact_copies, exact_holdout : pairs (count, total)
        Samples at distance exactly 0.
    generated, holdout : Measures
        The statistics of every sample.
    split : int array or None
        Row numbers of train that served as held-out data.
    settings : dict
        Everything that was set, estimated or counted.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> train, holdout = np.random.default_rng(0).standard_normal((2, 300, 12))
    >>> report = es.audit(train, train[:100], holdout, permutations=99)
    >>> report.verdict[:55]
    'Copying found: 100 of 100 samples and 0 of 300 held-out'
    >>> report.copy_rate.value, report.flagged[0].distance
    (1.0, 0.0)
    """

    copying: bool | str
    verdict: str
    notes: tuple[str, ...]
    statistics: dict[str, Statistic]
    flagged: tuple[Flag, ...]
    copy_rate: Interval
    detectable_copies: int | None
    detectable_rate: float | None
    fewest_flags: int
    exact_copies: tuple[int, int]
    exact_holdout: tuple[int, int]
    settings: dict
    generated: Measures = field(repr=False)
    holdout: Measures = field(repr=False)
    split: np.ndarray | None = field(repr=False)

    def __repr__(self):
        names = ("generated", "holdout", "train")
        sizes = {name: self.settings[name] for name in names}
        own = {**sizes, "flagged": len(self.flagged)}
        return described(self, copying=self.copying, **own)

    @property
    def p_value(self) -> float:
        """Fisher's p-value of too many ratios below the threshold: the verdict's."""
        return self.statistics["ratio"].fisher_p_value

    def suspects(self, count: int = 24) -> np.ndarray:
        """Return the row numbers of the samples most like copies.

        Parameters
        ----------
        count : int
            At most so many.

        Returns
        -------
        int array
            By ratio, then by distance.
        """
        count = as_count(count, "count", 0)
        return np.lexsort((self.generated.distance, self.generated.ratio))[:count]

    def to_dict(self) -> dict:
        """Return plain numbers, words, lists and dictionaries, fit for JSON."""
        kept = {
            name: getattr(self, name)
            for name in (
                "copying",
                "verdict",
                "notes",
                "detectable_copies",
                "detectable_rate",
                "fewest_flags",
                "exact_copies",
                "exact_holdout",
                "settings",
            )
        }
        kept["notes"] = list(self.notes)
        for name in ("exact_copies", "exact_holdout"):
            kept[name] = list(kept[name])
        kept["p_value"] = self.p_value
        kept["copy_rate"] = self.copy_rate._asdict()
        kept["statistics"] = {k: _plain(v) for k, v in self.statistics.items()}
        kept["flagged"] = [flag._asdict() for flag in self.flagged]
        return kept

    def __str__(self):
        from .words import text_of

        return text_of(self)


def _plain(statistic):
    plain = asdict(statistic)
    plain["tail"] = statistic.tail._asdict()
    for name in ("generated_share", "holdout_share"):
        plain[name] = getattr(statistic, name)._asdict()
    for name in ("generated_below", "holdout_below"):
        plain[name] = list(plain[name])
    return plain
