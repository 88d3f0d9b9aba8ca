"""One look for every figure, and the few helpers that chapters share.

Imported by chapters only, never by the rest of the library: it needs matplotlib and,
for :func:`setup`, a notebook.
"""

import inspect
import io
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.colors import LinearSegmentedColormap

__all__ = [
    "BLUE",
    "CYAN",
    "DENSITY",
    "GREEN",
    "GREY",
    "INK",
    "ORANGE",
    "PINK",
    "RED",
    "STYLE",
    "glue",
    "grid_points",
    "records",
    "setup",
    "show_images",
    "show_source",
    "verify",
]

# Okabe & Ito's palette, told apart by every common kind of color vision; darkened a
# little where a thin line on white needs it.
BLUE, ORANGE, GREEN, RED = "#0067a5", "#d98200", "#00805e", "#c7401a"
PINK, CYAN, GREY, INK = "#b8608f", "#3b9dcc", "#8b8f98", "#22262e"

# A quiet single-hue ramp for densities: white paper to deep blue.
DENSITY = LinearSegmentedColormap.from_list(
    "density", ["#ffffff", "#dbe9f4", "#a9cbe4", "#5a9bc9", "#1d6aa3", "#0b3c66"]
)

STYLE = {
    "figure.figsize": (6.4, 3.6),
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.dpi": 200,
    "axes.facecolor": "white",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, RED, PINK, CYAN, GREY]),
    "axes.labelsize": 13,
    "axes.grid": False,
    "font.family": "DejaVu Sans",
    "font.size": 12.5,
    "mathtext.fontset": "stixsans",
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "legend.frameon": False,
    "legend.fontsize": 12,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.0,
    "lines.solid_capstyle": "round",
    "image.cmap": "gray",
    "image.interpolation": "nearest",
}

_COLORS = 64
_MIME = "application/papermill.record/"


def setup():
    """Set the book's style and make figures sharp, small and repeatable PNGs.

    Call it once, in a chapter's first cell.  Figures come out at twice their size on
    the page, in at most 64 colors (256 for photographs), with a constant number of
    pixels.
    """
    plt.style.use(STYLE)
    shell = _shell()
    if shell is None:
        return
    plt.switch_backend("module://matplotlib_inline.backend_inline")
    _register_formatter()
    # The inline backend puts its own formatter back when it is first used.
    shell.events.register("pre_run_cell", _register_formatter)


def glue(name, value, *, digits=None):
    """Record ``value`` under ``name`` for the prose, without showing it.

    ``value`` is an integer, a string, or, with ``digits``, any number: it is recorded
    as text with that many significant digits, which is what the page then prints.
    The last digits of other numbers are not the same on every machine.
    """
    if digits is not None:
        value = _significant(value, digits)
    elif isinstance(value, (int, np.integer)):
        value = int(value)
    elif not isinstance(value, str):
        raise TypeError(
            f"glue: {name} is {value!r}, neither an integer nor a string; "
            "say how many digits to print, for instance digits=3"
        )
    _display_record(name, value)


def verify(name, measured, predicted, tolerance, *, digits=3):
    """Check a result against its prediction, record both and say what came out.

    Raises ``AssertionError`` unless ``|measured - predicted| <= tolerance``.  The pair
    is recorded as ``name_measured``, ``name_predicted`` and ``name_tolerance`` for the
    prose and for the ledger, which collects every such record of the book.
    """
    measured, predicted = float(measured), float(predicted)
    gap = abs(measured - predicted)
    line = (
        f"{name.replace('_', ' ')}: measured {_significant(measured, digits)}, "
        f"predicted {_significant(predicted, digits)}"
    )
    if not gap <= tolerance:
        raise AssertionError(f"{line}; apart by {gap:.2g}, allowed {tolerance:.2g}")
    glue(f"{name}_measured", measured, digits=digits)
    glue(f"{name}_predicted", predicted, digits=digits)
    glue(f"{name}_tolerance", tolerance, digits=2)
    print(line)


def records(notebook):
    """Return every value that an executed notebook has glued, as a dict."""
    content = json.loads(Path(notebook).read_text(encoding="utf-8"))
    found = {}
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            for mime, value in output.get("data", {}).items():
                if mime.startswith(_MIME):
                    name = output["metadata"]["scrapbook"]["name"]
                    text = "".join(value)
                    found[name] = text[1:-1] if text[:1] in "'\"" else float(text)
    return found


def show_source(*objects):
    """Show the library's own source of functions, classes or methods."""
    from IPython.display import Code

    text = "\n\n".join(inspect.cleandoc("\n" + inspect.getsource(o)) for o in objects)
    return Code(text, language="python")


def grid_points(low, high, count):
    """Return a square grid over the plane: two axes ``(count,)`` and its points.

    ``low`` and ``high`` are numbers or pairs; the points are ``(count^2, 2)``, row by
    row, so that values reshape to ``(count, count)`` for ``contourf``.
    """
    (left, bottom), (right, top) = np.broadcast_to(low, 2), np.broadcast_to(high, 2)
    x, y = np.linspace(left, right, count), np.linspace(bottom, top, count)
    return x, y, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def show_images(rows, labels, *, shape, width=6.4):
    """Draw rows of images, each row labeled at its left, and return the figure.

    ``rows`` is a list of arrays ``(k, d)`` with pixels in [-1, 1]; ``shape`` is
    ``(height, width)`` or ``(height, width, 3)``.  Values outside are clipped.
    """
    columns = max(len(row) for row in rows)
    label = 1.15
    side = (width - label) / columns
    figure = plt.figure(figsize=(width, side * len(rows)), layout="none")
    for i, (row, text) in enumerate(zip(rows, labels, strict=True)):
        bottom = 1 - (i + 1) / len(rows)
        middle = bottom + 0.5 / len(rows)
        figure.text(0.0, middle, text, va="center", ha="left", fontsize=10.5)
        for j, image in enumerate(row):
            box = [(label + (j + 0.04) * side) / width, bottom + 0.04 / len(rows)]
            axes = figure.add_axes([*box, 0.92 * side / width, 0.92 / len(rows)])
            picture = np.clip((np.reshape(image, shape) + 1) / 2, 0, 1)
            axes.imshow(picture, vmin=0, vmax=1)
            axes.set_axis_off()
    return figure


def _significant(value, digits):
    """Format a number with ``digits`` significant digits, without an exponent."""
    value = float(value)
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    size = int(np.floor(np.log10(abs(float(f"{value:.{digits - 1}e}")))))
    if -5 < size < 7:
        return f"{value:.{max(0, digits - 1 - size)}f}"
    return f"{value:.{digits - 1}e}"


def _shell():
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def _display_record(name, value):
    if _shell() is None:
        return
    from IPython.display import display

    display(
        {f"{_MIME}text/plain": repr(value)},
        raw=True,
        metadata={"scrapbook": {"name": name, "mime_prefix": _MIME}},
    )


def _register_formatter(*_):
    from matplotlib.figure import Figure

    formatters = _shell().display_formatter.formatters
    formatters["image/png"].for_type(Figure, _small_png)


def _small_png(figure):
    """Return a PNG in few colors and the width at which the page shows it."""
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    picture = Image.open(buffer).convert("RGB")
    width = picture.width // 2
    # Median cut needs fewest colors, but its choice of them jumps when a photograph
    # changes by one in 255, as it does from one processor to the next; an octree's
    # choice does not.
    methods = Image.Quantize.MEDIANCUT, Image.Quantize.FASTOCTREE
    photographs = any(
        np.ndim(image.get_array()) == 3 for axes in figure.axes for image in axes.images
    )
    small = picture.quantize(
        256 if photographs else _COLORS,
        method=methods[photographs],
        dither=Image.Dither.NONE,
    )
    if photographs:  # an octree's white is a little gray
        palette = np.reshape(small.getpalette(), (-1, 3))
        palette[palette.min(axis=1) > 250] = 255
        small.putpalette(palette.astype(np.uint8).tobytes())
    out = io.BytesIO()
    small.save(out, format="png", optimize=True)
    return out.getvalue(), {"width": width}
