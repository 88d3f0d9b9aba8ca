"""An audit by brute force, from its definitions: no line here uses the library.

Neighbors come from all distances, counts from loops, chances from whole numbers of
ways, ends of intervals from a root finder.  Slow, and meant for a few hundred points.
"""

from math import comb, log
from types import SimpleNamespace

import numpy as np
from scipy import optimize, stats

STATISTICS = ("ratio", "relative", "authenticity", "density")


def example(seed=8):
    """Small pictures, 8 rows of 6 columns, ``(train, generated, holdout)``.

    Of 166 training pictures 5 are seen a second time and 11 almost so.  Of 90 samples 6
    are training pictures, 3 mirrored ones, 12 noisy ones; of 70 held-out pictures 1 is
    a training picture, and 2 nearly.  All are shuffled, so that no row number tells.
    """
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((5, 48))

    def fresh(n):
        return np.tanh(rng.standard_normal((n, 5)) @ basis / 2).reshape(n, 8, 6)

    def noisy(x):
        return x + 0.02 * rng.standard_normal(x.shape)

    base = fresh(150)
    near = base[:11] + 1e-4 * rng.standard_normal((11, 8, 6))
    train = [base, base[20:25], near]
    generated = [base[:6], base[30:33, :, ::-1], noisy(base[40:52]), fresh(69)]
    holdout = [base[60:61], noisy(base[62:64]), fresh(67)]
    return [rng.permutation(np.concatenate(x)) for x in (train, generated, holdout)]


def first_of_equal(data):
    """Row numbers of the rows that equal no earlier one."""
    return [
        i for i, x in enumerate(data) if not any(np.array_equal(x, y) for y in data[:i])
    ]


def distinct(x, data, k, tolerance):
    """The ``k`` nearest rows, skipping those near one that is kept: distances, rows."""
    far = np.sqrt(np.sum((data - x) ** 2, axis=1))
    kept = []
    for row in np.argsort(far, kind="stable"):
        gaps = [np.sqrt(np.sum((data[row] - data[other]) ** 2)) for other in kept]
        if all(gap > tolerance for gap in gaps):
            kept.append(row)
        if len(kept) == k:
            break
    return far[kept], np.array(kept)


def tolerance(data):
    """A third of the median distance to the nearest other row."""
    gaps = [np.sort(np.sqrt(np.sum((data - x) ** 2, axis=1)))[1] for x in data]
    return np.median(gaps) / 3


def bandwidth(data, k, within):
    """The width of the kernels under which the rows, left out in turn, are likeliest.

    Only the ``k`` nearest distinct other rows count.
    """
    squares = np.array([distinct(x, data, k + 1, within)[0][1:] ** 2 for x in data])
    least, d = squares.min(axis=1, keepdims=True), data.shape[1]

    def unlikely(log_h):
        inner = np.sum(np.exp((least - squares) / (2 * np.exp(2 * log_h))), axis=1)
        shift = least[:, 0] / (2 * np.exp(2 * log_h))
        return d * log_h - np.mean(np.log(inner) - shift)

    guess = np.log(np.mean(squares) / d) / 2
    best = optimize.minimize_scalar(
        unlikely, bracket=(guess - 1, guess + 1), options={"xtol": 1e-12}
    )
    return np.exp(best.x)


def measures(x, data, *, k, within, width, mirrored=None):
    """The four statistics of each row of ``x``, and what they rest on."""
    out = {name: [] for name in (*STATISTICS, "distance", "nearest", "flipped")}
    for row, sample in enumerate(x):
        e, which = distinct(sample, data, k, within)
        flipped = False
        if mirrored is not None:
            other, index = distinct(mirrored[row], data, k, within)
            flipped = other[0] < e[0]
            e, which = (other, index) if flipped else (e, which)
        o = distinct(data[which[0]], data, k + 1, within)[0][1:]
        p, q = (np.sum(np.exp(-(v**2) / (2 * width**2))) for v in (e, o))
        values = e[0] / e[-1], e[0] / np.mean(o), e[0] / o[0], np.log(q) - np.log(p)
        for name, value in zip(out, (*values, e[0], which[0], flipped), strict=True):
            out[name].append(value)
    return SimpleNamespace(**{name: np.array(value) for name, value in out.items()})


def fisher(found, m, reference, h):
    """Chance of ``found`` or more among m, of found + reference drawn from m + h."""
    below = found + reference
    ways = sum(comb(m, c) * comb(h, below - c) for c in range(found, min(m, below) + 1))
    return ways / comb(m + h, below)


def interval(count, total, confidence):
    """The exact interval of a share: its value, and both ends."""
    found = stats.binomtest(count, total).proportion_ci(confidence, "exact")
    return count / total, found.low, found.high


def one_sided_at_the_ends(count, total, confidence):
    inside = 0 < count < total
    return interval(count, total, confidence if inside else 2 * confidence - 1)


def copy_rate(found, m, reference, h, confidence):
    each = 1 - (1 - confidence) / 2
    (p, p_low, p_high), (q, q_low, q_high) = (
        interval(*counts, each) for counts in ((found, m), (reference, h))
    )

    def rate(above, base):
        return max(0.0, (above - base) / (1 - base)) if base < 1 else 1.0

    return rate(p, q), rate(p_low, q_high) if q_high < 1 else 0.0, rate(p_high, q_low)


def nearer(ours, theirs):
    """The share of pairs in which ours is the smaller, and its p-value by normal law.

    Mann and Whitney's, with corrections for ties and for continuity.
    """
    m, h = len(ours), len(theirs)
    gaps = np.subtract.outer(ours, theirs)
    wins = np.sum(gaps < 0) + np.sum(gaps == 0) / 2
    n = m + h
    ties = np.unique(np.concatenate([ours, theirs]), return_counts=True)[1]
    variance = m * h / 12 * (n + 1 - np.sum(ties**3 - ties) / (n * (n - 1)))
    z = (wins - m * h / 2 - 0.5) / np.sqrt(variance)
    return wins / (m * h), stats.norm.sf(z)


def conformal(ours, theirs, threshold):
    return np.array(
        [
            (1 + np.sum(theirs <= a)) / (len(theirs) + 1) if a < threshold else 1.0
            for a in ours
        ]
    )


def adjusted(p_values):
    """The smallest false discovery rate at which each would be on the list."""
    m = len(p_values)
    rates = [m * p / np.sum(p_values <= p) for p in p_values]
    return np.array(
        [
            min(r for r, q in zip(rates, p_values, strict=True) if q >= p)
            for p in p_values
        ]
    )


def detectable(m, h, reference, level, power):
    """The smallest significant count, and the rate that reaches it with this chance."""
    enough = (c for c in range(1, m + 1) if fisher(c, m, reference, h) <= level)
    copies = next(enough, None)
    if copies is None:
        return None, None

    def missing(rate):
        below = rate + (1 - rate) * reference / h
        return stats.binom.sf(copies - 1, m, below) - power

    return copies, optimize.brentq(missing, 0, 1, xtol=1e-14) if missing(0) < 0 else 0.0


def tail(ours, theirs, depth):
    """How many of the ``depth`` smallest are ours, and the log chance of so many."""
    order = np.argsort(np.concatenate([ours, theirs]), kind="stable")[:depth]
    found = int(np.sum(order < len(ours)))
    return found, log(fisher(found, len(ours), depth - found, len(theirs)))


def audit(train, generated, holdout, settings, *, kept=None):
    """All that an audit says in numbers, but for the p-values by permutations.

    Of ``settings`` are used what was set, and the bandwidth; ``kept`` are the rows of
    train to compare with, by default all distinct ones.
    """
    k, threshold, level = (settings[n] for n in ("neighbors", "threshold", "level"))
    confidence, rate = settings["confidence"], settings["false_discoveries"]
    flips, width = settings["flips"], settings["bandwidth"]
    images = [np.asarray(x, float) for x in (train, generated, holdout)]
    flat = [x.reshape(len(x), -1) for x in images]
    first = np.array(first_of_equal(flat[0]))
    kept = first if kept is None else kept
    data = flat[0][kept]
    within = tolerance(data)
    both = []
    for image, x in zip(images[1:], flat[1:], strict=True):
        mirrored = image[:, :, ::-1].reshape(x.shape) if flips else None
        found = measures(x, data, k=k, within=within, width=width, mirrored=mirrored)
        found.nearest = kept[found.nearest]
        both.append(found)
    ours, theirs = both
    m, h, d = len(generated), len(holdout), data.shape[1]
    out = SimpleNamespace(ours=ours, theirs=theirs, tolerance=within, m=m, h=h, d=d)
    out.distinct, out.kept, out.statistics = len(first), len(kept), {}
    out.bandwidth = bandwidth(data, k, within)
    cuts = dict(zip(STATISTICS, (threshold, 1 / 2, 1, -d / 4), strict=True))
    for name, cut in cuts.items():
        a, b = getattr(ours, name), getattr(theirs, name)
        counts = sum(v < cut for v in a), sum(v < cut for v in b)
        overall, overall_p = nearer(a, b)
        out.statistics[name] = SimpleNamespace(
            threshold=cut,
            below=counts,
            shares=[
                one_sided_at_the_ends(int(c), n, confidence)
                for c, n in zip(counts, (m, h), strict=True)
            ],
            fisher=fisher(counts[0], m, counts[1], h),
            overall=overall,
            overall_p=overall_p,
            medians=(np.median(a), np.median(b)),
        )
    below = out.statistics["ratio"].below
    out.rate = copy_rate(int(below[0]), m, int(below[1]), h, confidence)
    out.copies, out.detectable = detectable(m, h, int(below[1]), level, 0.9)
    out.p_values = conformal(ours.ratio, theirs.ratio, threshold)
    out.adjusted = adjusted(out.p_values)
    order = sorted(range(m), key=lambda i: (ours.ratio[i], ours.distance[i]))
    out.suspects = order
    out.flagged = [i for i in order if out.adjusted[i] <= rate]
    out.exact = int(np.sum(ours.distance == 0)), int(np.sum(theirs.distance == 0))
    return out
