"""An audit as one self-contained page of HTML: no script, no other host."""

import base64
import json
from html import escape

import numpy as np

from .copy_statistics import STATISTICS
from .page import PAGE
from .pictures import figures, infer_shape, png, thumbnails
from .words import percent

__all__ = ["to_html", "to_json"]

TITLES = {
    True: ("Copying found", "yes"),
    False: ("No copying found", "no"),
    "undetermined": ("Undetermined", "open"),
}
LIMITS = (
    "A copy is here what lies close in the space in which distances were measured. "
    "Copies that were moved, cropped, rotated or recolored are far in pixels; give "
    "features in which they are near, or audit with flips.",
    "Single copies among thousands of samples cannot be told from chance by any test "
    "that assumes nothing about the data. What would have been found is stated above.",
    "The tests compare with the held-out data. If those are of another kind than the "
    "training set, or were seen in training, the verdict is of no value.",
    "No copying found is not privacy: a model can know a training point without ever "
    "drawing it.",
)


def to_json(audit, inputs=None):
    """Return an audit as JSON text; ``inputs`` is a dictionary to be kept with it."""
    return json.dumps(audit.to_dict() | {"inputs": inputs or {}}, indent=2) + "\n"


def to_html(audit, train, generated, *, shape=None, count=24, inputs=None):
    """Return an audit as a page of HTML.

    ``train`` and ``generated`` are the arrays that were audited, of which only the
    ``count`` most suspicious samples and their training points are shown: as images, if
    ``shape`` is given or can be inferred, else as a table.  ``shape`` False forbids to
    infer one.
    """
    inferred = shape is None
    if inferred:
        axes = tuple(train.shape[1:])
        shape = infer_shape(axes[0]) if len(axes) == 1 else axes
        shape = shape if shape and len(shape) in (2, 3) else None
    title, kind = TITLES[audit.copying]
    settings = {**(inputs or {}), **audit.settings}
    if shape:
        settings["shape"] = "x".join(map(str, shape))
        if inferred and train.ndim == 2:
            settings["shape"] += " (inferred)"
    return PAGE.substitute(
        title=title,
        kind=kind,
        verdict=escape(_after_title(audit.verdict, title)),
        facts="".join(_facts(audit)),
        figures="".join(_figures(audit)),
        suspects=_suspects(audit, train, generated, shape, count),
        statistics="".join(_statistics(audit)),
        meanings="".join(
            f"<dt>{known.name}</dt><dd>{escape(known.meaning)}</dd>"
            for known in STATISTICS
        ),
        notes="".join(f"<li>{escape(note)}</li>" for note in audit.notes)
        or "<li>None.</li>",
        limits="".join(f"<li>{escape(text)}</li>" for text in LIMITS),
        settings="".join(
            f'<tr><th scope="row">{escape(str(k).replace("_", " "))}</th>'
            f"<td>{escape(_plain(v))}</td></tr>"
            for k, v in settings.items()
        ),
    )


def _after_title(verdict, title):
    """Return the verdict without its first words, which are the title."""
    rest = verdict.removeprefix(title).lstrip(".: ")
    return rest[:1].upper() + rest[1:]


def _facts(audit):
    settings, rate = audit.settings, audit.copy_rate
    yield _fact(
        "Copies beyond the baseline",
        percent(rate.value),
        f"{percent(settings['confidence'])} interval {percent(rate.low)} to "
        f"{percent(rate.high)}",
    )
    yield _fact(
        "Flagged samples",
        f"{len(audit.flagged):,}",
        f"of {settings['generated']:,}, false discovery rate "
        f"{percent(settings['false_discoveries'])}",
    )
    yield _fact(
        "Equal to a training point",
        f"{audit.exact_copies[0]:,}",
        f"held-out: {audit.exact_holdout[0]:,} of {audit.exact_holdout[1]:,}",
    )
    found = audit.detectable_rate
    yield _fact(
        "Would have been found",
        "nothing" if found is None else percent(found),
        "these sets are too small"
        if found is None
        else f"of copies or more, with a chance of {percent(settings['power'])}",
    )
    yield _fact(
        "Chance of so many by luck",
        f"{audit.p_value:.2g}",
        f"copying is said at {settings['level']:g} or less",
    )


def _fact(name, value, detail):
    return (
        f"<div><dt>{escape(name)}</dt><dd><strong>{escape(value)}</strong>"
        f"<span>{escape(detail)}</span></dd></div>"
    )


def _figures(audit):
    ratio = audit.statistics["ratio"]
    ours, theirs = ratio.generated_median, ratio.holdout_median
    below = (
        f"{ratio.generated_below[0]:,} of {ratio.generated_below[1]:,} generated and "
        f"{ratio.holdout_below[0]:,} of {ratio.holdout_below[1]:,} held-out samples"
    )
    line = f"{ratio.threshold:.3g}"
    texts = {
        "all": (
            "The bulk: share of samples by distance ratio. Where both agree, samples "
            "are as far from the training set as unseen data.",
            "Two histograms of the distance ratio, held-out (filled, median "
            f"{theirs:.2f}) and generated (outlined, median {ours:.2f}).",
        ),
        "tail": (
            f"The tail: share at or below a ratio. Below {line} (dotted) lie {below}. "
            "Copies lift the generated curve on the left.",
            "Two rising curves on a logarithmic axis, cumulative shares of generated "
            f"(solid) and held-out (dashed) samples by distance ratio. Below "
            f"{line}: {below}.",
        ),
    }
    drawn = figures(audit)
    for name, (light, dark) in drawn.items():
        caption, alt = texts[name]
        yield (
            f'<figure><picture><source media="(prefers-color-scheme: dark)" '
            f'srcset="{_uri(dark)}"><img src="{_uri(light)}" alt="{escape(alt)}" '
            f'width="960" height="660"></picture>'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )
    if not drawn:
        yield f"<p>{escape(texts['tail'][1])} (No figures: matplotlib is absent.)</p>"


def _suspects(audit, train, generated, shape, count):
    rows = audit.suspects(count)
    flagged = {flag.sample for flag in audit.flagged}
    if not shape:
        cells = "".join(
            "<tr>"
            + f'<th scope="row">{row:,}</th><td>{audit.generated.nearest[row]:,}</td>'
            + f"<td>{audit.generated.ratio[row]:.3f}</td>"
            + f"<td>{audit.generated.distance[row]:.4g}</td>"
            + f"<td>{'flagged' if row in flagged else ''}</td></tr>"
            for row in rows
        )
        return (
            '<div class="wide" tabindex="0" role="region" aria-label="Samples nearest '
            'to one training point"><table><thead><tr><th scope="col">sample</th>'
            '<th scope="col">training row</th><th scope="col">ratio</th>'
            '<th scope="col">distance</th><th scope="col"></th></tr></thead>'
            f"<tbody>{cells}</tbody></table></div>"
        )
    low, high = _range(train)
    flat = (train.reshape(len(train), -1), generated.reshape(len(generated), -1))
    partners = audit.generated.nearest[rows]
    pairs = zip(
        rows,
        partners,
        thumbnails(flat[1][rows], shape, low, high),
        thumbnails(flat[0][partners], shape, low, high),
        strict=True,
    )
    return (
        "<ol class='pairs'>"
        + "".join(
            f"<li{' class=flagged' if row in flagged else ''}><div>"
            f'<img src="{_uri(png(ours))}" alt="generated sample {row}">'
            f'<img src="{_uri(png(theirs))}" alt="its training image {partner}">'
            f"</div><p>sample {row:,}, training {partner:,}"
            f"{' (mirrored)' if audit.generated.flipped[row] else ''}<br>"
            f"ratio {audit.generated.ratio[row]:.3f}, distance "
            f"{audit.generated.distance[row]:.3g}"
            f"{'<br><b>flagged</b>' if row in flagged else ''}</p></li>"
            for row, partner, ours, theirs in pairs
        )
        + "</ol>"
    )


def _statistics(audit):
    for name, s in audit.statistics.items():
        yield (
            f'<tr><th scope="row">{name}</th><td>{s.p_value:.2g}</td>'
            f"<td>{s.tail.generated:,} of {s.tail.depth:,}<br><small>expected "
            f"{s.tail.expected:.1f}</small></td>"
            f"<td>{s.threshold:.3g}</td>"
            f"<td>{s.generated_below[0]:,} of {s.generated_below[1]:,}<br><small>"
            f"{percent(s.generated_share.low)} to {percent(s.generated_share.high)}"
            f"</small></td><td>{s.holdout_below[0]:,} of {s.holdout_below[1]:,}<br>"
            f"<small>{percent(s.holdout_share.low)} to {percent(s.holdout_share.high)}"
            f"</small></td><td>{s.fisher_p_value:.2g}</td>"
            f"<td>{percent(s.overall)}<br><small>p {s.overall_p_value:.2g}</small></td>"
            "</tr>"
        )


def _range(train):
    """Return what to show as black and as white: a usual scale, if the data fill it."""
    low, high = float(np.min(train)), float(np.max(train))
    for black, white in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if black <= low and high <= white and high - low > (white - black) / 4:
            return black, white
    return low, high


def _uri(data):
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _plain(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "none" if value is None else str(value)
