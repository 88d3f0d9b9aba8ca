"""Draw the cover, `static/cover.png`: one sampler, one noise, two scores.

    python tools/cover.py

Left, the exact score of a dozen training points; right, the score of the law that they
were drawn from. A test draws it again and compares.
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
from empirical_score import figures

TARGET = Path(__file__).resolve().parents[1] / "static" / "cover.png"
PATHS, START, COLORS = 460, 1.35, 128


def draw() -> bytes:
    """Return the cover as PNG bytes, the same on every call."""
    rng = np.random.default_rng(12)
    angle = np.linspace(0.12, 0.88, 6) * np.pi
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    training = np.concatenate([upper, [1.0, 0.5] - upper]) - [0.5, 0.25]
    law = es.EmpiricalScore(es.datasets.two_moons(1200, rng, noise=0.0))
    noise = START * rng.standard_normal((PATHS, 2))
    levels = es.geometric_levels(90, START, 0.01)
    with plt.style.context(figures.STYLE):
        figure, panels = plt.subplots(1, 2, figsize=(8.0, 3.9))
        for ax, score, floor in (
            (panels[0], es.EmpiricalScore(training), 0.0),
            (panels[1], law, 0.04),
        ):
            grid = levels[levels > floor]
            paths = es.sample_ode(score, noise, grid, trajectory=True)
            _panel(ax, paths, training)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=200)
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


if __name__ == "__main__":
    TARGET.write_bytes(draw())
    print(f"{TARGET.name}: {TARGET.stat().st_size // 1000} kB", file=sys.stderr)
