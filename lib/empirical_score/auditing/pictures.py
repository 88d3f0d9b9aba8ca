"""Pictures for an audit's report, as PNG bytes: thumbnails, and two figures.

Thumbnails are encoded here; the figures need matplotlib, and are left out without it.
"""

import io
import struct
import zlib

import numpy as np

from .copy_statistics import channels_first

__all__ = ["figures", "infer_shape", "png", "thumbnails"]

LIGHT = {"ink": "#22262e", "ours": "#c45a00", "theirs": "#0067a5", "rule": "#6b717c"}
DARK = {"ink": "#dadde3", "ours": "#ffa94d", "theirs": "#82bdeb", "rule": "#9aa1ad"}


def infer_shape(dimension):
    """Return the shape of a square image of at least 8 x 8 pixels, or None."""
    for channels, least in ((1, 8), (3, 16)):
        side = round((dimension / channels) ** 0.5)
        if side >= least and side * side * channels == dimension:
            return (side, side) if channels == 1 else (side, side, 3)
    return None


def thumbnails(rows, shape, low, high):
    """Return images ``(m, d)`` as bytes, ``(m, rows, columns[, 3])``; low is black."""
    images = rows.reshape(rows.shape[0], *shape).astype(np.float64)
    if channels_first(shape):
        images = np.moveaxis(images, 1, 3)
    if images.ndim == 4 and images.shape[3] != 3:
        images = images[..., 0]
    span = high - low if high > low else 1.0
    return np.clip(np.rint(255 * (images - low) / span), 0, 255).astype(np.uint8)


def png(pixels):
    """Return bytes ``(rows, columns)`` or ``(rows, columns, 3)`` as a PNG file."""
    rows, columns = pixels.shape[:2]
    color = 2 if pixels.ndim == 3 else 0
    lines = np.zeros((rows, 1 + pixels[0].size), dtype=np.uint8)  # filter 0, pixels
    lines[:, 1:] = pixels.reshape(rows, -1)

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
        )

    header = struct.pack(">2I5B", columns, rows, 8, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + chunk(b"IEND", b"")
    )


def figures(audit):
    """Return two figures, light and dark: ``{"all": (png, png), "tail": (png, png)}``.

    An empty dictionary where matplotlib is absent.
    """
    try:
        import matplotlib
    except ImportError:
        return {}
    style = {
        "font.size": 12,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
        "svg.fonttype": "none",
    }
    out = {}
    with matplotlib.rc_context(style):
        for name, draw in (("all", _histograms), ("tail", _tails)):
            out[name] = tuple(_figure(audit, draw, colors) for colors in (LIGHT, DARK))
    return out


def _figure(audit, draw, colors):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.3))
    axes = figure.subplots()
    draw(axes, audit, colors)
    for item in (*axes.spines.values(),):
        item.set_color(colors["ink"])
    axes.tick_params(colors=colors["ink"], which="both")
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(colors["ink"])
    for text in axes.get_legend().get_texts():
        text.set_color(colors["ink"])
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=200, transparent=True)
    return stream.getvalue()


def _histograms(axes, audit, colors):
    ours, theirs = audit.generated.ratio, audit.holdout.ratio
    bins = np.linspace(0, 1, 51)
    for values, name, color, style in (
        (theirs, "held-out", colors["theirs"], "-"),
        (ours, "generated", colors["ours"], "-"),
    ):
        axes.hist(
            values,
            bins,
            weights=np.full(values.shape, 1 / values.shape[0]),
            histtype="stepfilled" if name == "held-out" else "step",
            alpha=0.35 if name == "held-out" else 1.0,
            color=color,
            linewidth=2,
            linestyle=style,
            label=name,
        )
    axes.set(xlabel="distance ratio", ylabel="share of samples", xlim=(0, 1))
    axes.legend(frameon=False, loc="upper left")


def _tails(axes, audit, colors):
    threshold = audit.statistics["ratio"].threshold
    axes.axvline(threshold, color=colors["rule"], linewidth=1, linestyle=":")
    sizes = []
    for values, name, color, style in (
        (audit.holdout.ratio, "held-out", colors["theirs"], "--"),
        (audit.generated.ratio, "generated", colors["ours"], "-"),
    ):
        ordered = np.sort(values)
        share = np.arange(1, ordered.shape[0] + 1) / ordered.shape[0]
        axes.step(
            np.append(ordered, 1.0),
            np.append(share, 1.0),
            where="post",
            color=color,
            linewidth=2,
            linestyle=style,
            label=name,
        )
        sizes.append(ordered.shape[0])
    axes.set_yscale("log")
    axes.set(
        xlabel="distance ratio",
        ylabel="share at or below",
        xlim=(-0.02, 1),
        ylim=(0.5 / max(sizes), 1.5),
    )
    axes.legend(frameon=False, loc="lower right")
