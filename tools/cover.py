"""Draw the cover, `static/cover.png`: one sampler, one noise, two scores.

    python tools/cover.py

Left, the exact score of a dozen training points; right, the score of the law that they
were drawn from. The same picture under the book's title, `static/social.png`, is what
other sites show beside a link to the book. A test draws both again and compares.
"""

from __future__ import annotations

import colorsys
import io
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from PIL import Image

import empirical_score as es
from empirical_score._book import figures

STATIC = Path(__file__).resolve().parents[1] / "static"
PATHS, START, COLORS = 460, 1.35, 128
TITLE = "The Empirical Score"
QUESTION = (
    "Trained to optimality, a diffusion model copies. When does it make anything new?"
)


def draw() -> bytes:
    """Return the cover as PNG bytes, the same on every call."""
    with plt.style.context(figures.STYLE):
        figure, panels = plt.subplots(1, 2, figsize=(8.0, 3.9))
        _two_scores(panels)
        return _png(figure, dpi=200)


def draw_social() -> bytes:
    """Return the cover with the title over it as PNG bytes, 1200 by 630 pixels."""
    plain = {"figure.constrained_layout.use": False, "savefig.bbox": None}
    with plt.style.context([figures.STYLE, plain]):
        figure = plt.figure(figsize=(12.0, 6.3))
        boxes = ([0.04, 0.0, 0.46, 0.79], [0.5, 0.0, 0.46, 0.79])
        _two_scores([figure.add_axes(box) for box in boxes])
        style = {"ha": "center", "va": "center", "color": figures.INK}
        figure.text(0.5, 0.905, TITLE, fontsize=44, family="serif", **style)
        figure.text(0.5, 0.815, QUESTION, fontsize=19, family="serif", **style)
        return _png(figure, dpi=100)


def _two_scores(panels) -> None:
    """Draw the same noise carried by two scores, one in each panel."""
    rng = np.random.default_rng(12)
    angle = np.linspace(0.12, 0.88, 6) * np.pi
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    training = np.concatenate([upper, [1.0, 0.5] - upper]) - [0.5, 0.25]
    law = es.EmpiricalScore(es.datasets.two_moons(1200, rng, noise=0.0))
    noise = START * rng.standard_normal((PATHS, 2))
    levels = es.geometric_levels(90, START, 0.01)
    for ax, score, floor in (
        (panels[0], es.EmpiricalScore(training), 0.0),
        (panels[1], law, 0.04),
    ):
        grid = levels[levels > floor]
        paths = es.sample_ode(score, noise, grid, trajectory=True)
        _panel(ax, paths, training)


def _png(figure, dpi: int) -> bytes:
    """A figure as PNG bytes with few colors; the figure is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    plt.close(figure)
    picture = Image.open(buffer).convert("RGB")
    picture = picture.quantize(COLORS, dither=Image.Dither.NONE)
    out = io.BytesIO()
    picture.save(out, format="png", optimize=True)
    return out.getvalue()


def _panel(ax, paths, training) -> None:
    """Draw paths from noise to data, colored by the training point nearest the end."""
    ends = paths[-1]
    distance = np.linalg.norm(ends[:, None] - training, axis=-1)
    turn = np.linspace(0.52, 1.42, len(training)) % 1.0
    hues = np.array([colorsys.hls_to_rgb(h, 0.42, 0.55) for h in turn])
    colors = hues[distance.argmin(axis=1)]
    lines = LineCollection(
        paths.swapaxes(0, 1), colors=colors, linewidths=0.55, alpha=0.6
    )
    ax.add_collection(lines)
    ax.scatter(*ends.T, s=7, c=colors, zorder=3, lw=0)
    ax.scatter(*training.T, s=26, facecolor="white", edgecolor=figures.INK, zorder=4)
    ax.set(xlim=(-2.35, 2.35), ylim=(-2.2, 2.2), aspect="equal")
    ax.set_axis_off()


PICTURES = {"cover.png": draw, "social.png": draw_social}

if __name__ == "__main__":
    for name, make in PICTURES.items():
        (STATIC / name).write_bytes(make())
        print(f"{name}: {(STATIC / name).stat().st_size // 1000} kB", file=sys.stderr)
