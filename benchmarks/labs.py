"""How long a lab takes to redraw, in headless Chromium: median and worst.

    python benchmarks/labs.py

Each lab gets its largest number of points where that can be chosen, and is redrawn 60
times while a slider moves. A frame of a 60 Hz screen lasts 16.7 ms; labs that sample
paths spread their work over several frames, and what counts is the longest piece.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]

import browse_site  # noqa: E402
import lab_page  # noqa: E402

MOVES = {
    "score": ("sigma", 0.05, 3),
    "sampler": ("start", 0.5, 15),
    "ramp": ("kappa", 0, 3),
    "smoothing": ("level", 0.03, 1),
    "transition": ("nu", 0.05, 50),
}
MOST = """name => {
  const lab = [...Labs.made.values()].find(lab => lab.name === name);
  const {points} = lab.spec;
  while (points && points.most && lab.points.length < Math.min(points.most, 201))
    lab.add();
  if (lab.inputs.n && name === "smoothing") lab.set("n", 80);
  lab.times.length = 0;
}"""
MOVE = """async ([name, key, low, high]) => {
  const lab = [...Labs.made.values()].find(lab => lab.name === name);
  const frame = () => new Promise(requestAnimationFrame);
  for (let k = 0; k < 60; k++) {
    lab.set(key, low * (high / Math.max(low, 0.01)) ** (k / 59));
    await frame();
    await frame();
  }
  return lab.times;
}"""


def main() -> int:
    executable = browse_site.find_browser()
    if executable is None:
        print("no Chromium on this machine: nothing measured")
        return 0
    with (
        tempfile.TemporaryDirectory() as folder,
        lab_page.opened(Path(folder), executable) as page,
    ):
        print(f"{'lab':<12}{'redraws':>8}{'median':>10}{'worst':>10}")
        for name, (key, low, high) in MOVES.items():
            page.evaluate(MOST, name)
            times = sorted(page.evaluate(MOVE, [name, key, low, high]))
            middle, worst = times[len(times) // 2], times[-1]
            print(f"{name:<12}{len(times):>8}{middle:>7.1f} ms{worst:>7.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
