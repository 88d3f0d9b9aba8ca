"""The cover on disk is the one that the library draws today."""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import cover  # noqa: E402


def test_cover_is_drawn_by_the_library():
    pictures = [Image.open(cover.TARGET), Image.open(io.BytesIO(cover.draw()))]
    stored, fresh = (np.asarray(p.convert("RGB"), dtype=float) for p in pictures)
    assert stored.shape == fresh.shape
    assert np.sqrt(np.mean((stored - fresh) ** 2)) <= 1.0
