"""The verdict of an audit, and its limits, in words."""

import textwrap

import numpy as np

__all__ = ["chance", "notes_of", "percent", "text_of", "verdict_of"]

FAR = 2.0  # so many times farther away than held-out data: something else is wrong


def verdict_of(result):
    """Return ``copying`` (True, False, ``"undetermined"``) and the verdict in words."""
    settings, statistics = result["settings"], result["statistics"]
    level, m = settings["level"], settings["generated"]
    power = percent(settings["power"])
    if statistics["ratio"].fisher_p_value <= level:
        return True, _found(result)
    significant = [k for k, s in statistics.items() if s.p_value <= level]
    if significant:
        p = min(statistics[name].p_value for name in significant)
        return "undetermined", (
            "Undetermined. Samples lie too near to training points for held-out data "
            f"({', '.join(significant)}: p {chance(p, settings)}), but "
            f"{_counts(result)}. Very noisy copies look like this; smooth samples and "
            "samples of little variety do, too."
        )
    exact, overlap = result["exact_copies"][0], result["exact_holdout"]
    if result["detectable_rate"] is None:
        return "undetermined", (
            f"Undetermined: no number of copies among {m:,} samples would be "
            f"significant at level {level:g} against {settings['holdout']:,} held-out "
            "points. Give more of both."
        )
    if exact and exact * overlap[1] > 2 * overlap[0] * m:
        return "undetermined", (
            f"Undetermined. {_count(exact, 'sample is', 'samples are')} equal to a "
            f"training point, number for number, but so few of {m:,} are not "
            f"significant at level {level:g} against {overlap[1]:,} held-out points, "
            f"of which {overlap[0]:,} {_are(overlap[0])}. If equal points cannot be "
            "chance in your data, these are copies."
        )
    if overlap[0] > 0.01 * overlap[1]:
        return "undetermined", (
            "Undetermined: no more copying than among the held-out data, but "
            f"{percent(overlap[0] / overlap[1])} of those are training points "
            "themselves, and would hide as much."
        )
    if _distance_factor(result) > FAR:
        return "undetermined", (
            "Undetermined: no copies, but the samples are "
            f"{_distance_factor(result):.0f} times farther from the training set than "
            "held-out data are. Check that all data are on one scale and in one layout."
        )
    return False, (
        f"No copying found: {_counts(result)}, which is no more than chance. A rate of "
        f"copies of {percent(result['detectable_rate'])} or more would have been found "
        f"with a chance of {power}."
    )


def notes_of(result):
    """Return what a reader must know about these data and sizes, one note each."""
    settings, notes = result["settings"], []
    m, h = settings["generated"], settings["holdout"]
    if not settings["holdout_given"]:
        share = percent(h / settings["distinct"])
        notes.append(
            f"No held-out data were given: {h:,} training points ({share}) took their "
            "place and were left out of the comparison. Copies of those points "
            "were not looked for, the rate of copies is of the rest, and near-"
            "duplicates within the training set raise the baseline. Real held-out data "
            "are better."
        )
    repeated = settings["train"] - settings["distinct"]
    if repeated:
        notes.append(
            f"{_count(repeated, 'training point repeats', 'training points repeat')} "
            "an earlier one exactly; each point was counted once."
        )
    equal, total = result["exact_holdout"]
    if equal and settings["holdout_given"]:
        notes.append(
            f"{equal:,} of {total:,} held-out points {_are(equal)} equal to a training "
            "point. "
            "Unless that is chance, take them out: they hide copying."
        )
    ours, theirs = result["generated"], result["holdout"]
    if _distance_factor(result) > FAR:
        notes.append(
            "The samples are much farther from the training set than held-out data "
            f"(median distance {np.median(ours.distance):.3g} against "
            f"{np.median(theirs.distance):.3g}): another scale, another layout, or a "
            "poor generator."
        )
    few = result["fewest_flags"]
    if few > 1:
        notes.append(
            f"With {h:,} held-out points single samples have p-values of at least "
            f"1/{h + 1:,}, so that no fewer than {few:,} of {m:,} can be flagged at a "
            f"false discovery rate of {percent(settings['false_discoveries'])}."
        )
    closer = [
        f"{s.name} {percent(s.overall)}"
        for s in result["statistics"].values()
        if s.overall_p_value <= settings["level"] / len(result["statistics"])
    ]
    copying, _ = verdict_of(result)
    if closer and copying is not True:
        notes.append(
            "The samples are nearer to the training set overall: of a random pair the "
            f"generated one is the nearer in more than half of the cases "
            f"({', '.join(closer)}). That is no copying of single points; smooth or "
            "little varied samples do it, and so does mild overfitting."
        )
    return tuple(notes)


def text_of(audit):
    """Return an audit as a page of text."""
    settings = audit.settings
    rate = audit.copy_rate
    lines = [_fill(audit.verdict), ""]
    lines += [
        f"samples {settings['generated']:,}, held-out {settings['holdout']:,}, "
        f"training {settings['train']:,}, dimension {settings['dimension']:,}",
        f"copies beyond the baseline: {percent(rate.value)} "
        f"({percent(settings['confidence'])} interval {percent(rate.low)} to "
        f"{percent(rate.high)}), flagged: {len(audit.flagged):,}",
        "",
    ]
    rows = [("statistic", "p (joint)", "below", "generated", "held-out", "nearer")]
    for name, s in audit.statistics.items():
        ours = f"{s.generated_below[0]:,} / {s.generated_below[1]:,}"
        theirs = f"{s.holdout_below[0]:,} / {s.holdout_below[1]:,}"
        numbers = f"{s.p_value:.2g}", f"{s.threshold:.3g}", ours, theirs
        rows.append((name, *numbers, f"{s.overall:.2f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        padded = map(str.rjust, cells, widths[1:])
        lines.append("   ".join([name.ljust(widths[0]), *padded]))
    for note in audit.notes:
        lines += ["", _fill(f"- {note}")]
    return "\n".join(lines)


def percent(share):
    """Return a share in percent, with as many digits as help."""
    value = 100 * share
    if value == 0 or value >= 9.95:
        return f"{value:.0f} %"
    return f"{value:.1f} %" if value >= 0.095 else f"{value:.2g} %"


def chance(p_value, settings):
    """Return ``= 0.03`` or, where permutations resolve no more, ``< 0.0002``."""
    least = 1 / (settings["permutations"] + 1)
    if p_value <= least * 1.0001:
        return f"< {2 * least:.1g}"
    return f"= {p_value:.2g}"


def _found(result):
    settings, rate = result["settings"], result["copy_rate"]
    exact, m = result["exact_copies"]
    ratio = result["statistics"]["ratio"]
    words = f"Copying found: {_counts(result)} (p = {ratio.fisher_p_value:.2g}). "
    if rate.low > 0:
        words += (
            f"About {percent(rate.value)} of the samples are copies "
            f"({percent(settings['confidence'])} interval {percent(rate.low)} to "
            f"{percent(rate.high)}). "
        )
    if exact:
        words += f"{exact:,} of {m:,} {_are(exact)} equal to a training point. "
    flags = len(result["flagged"])
    rate = percent(settings["false_discoveries"])
    if flags:
        words += f"{flags:,} {_are(flags)} flagged at a false discovery rate of {rate}."
    else:
        words += f"No single one can be flagged at a false discovery rate of {rate}."
    return words


def _counts(result):
    """Return how many of both kinds single out one training point, in words."""
    ratio = result["statistics"]["ratio"]
    (ours, m), (theirs, h) = ratio.generated_below, ratio.holdout_below
    return (
        f"{ours:,} of {m:,} samples and {theirs:,} of {h:,} held-out points are at "
        f"least {1 / ratio.threshold:.3g} times nearer to one training point than to "
        f"the {_ordinal(result['settings']['neighbors'])} nearest"
    )


def _ordinal(number):
    ends = {1: "st", 2: "nd", 3: "rd"}
    special = number % 100 in (11, 12, 13)
    return f"{number}{'th' if special else ends.get(number % 10, 'th')}"


def _distance_factor(result):
    ours = np.median(result["generated"].distance)
    theirs = np.median(result["holdout"].distance)
    return float(ours / theirs) if theirs > 0 else 1.0


def _are(number):
    return "is" if number == 1 else "are"


def _fill(text):
    return textwrap.fill(text, 80, break_on_hyphens=False)


def _count(number, one, many):
    return f"{number:,} {one if number == 1 else many}"
