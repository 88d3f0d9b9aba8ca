"""The pictures of the cover on disk are the ones that the library draws today."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "_ext")]
import share_ext  # noqa: E402

import cover  # noqa: E402


@pytest.mark.parametrize("name", cover.PICTURES)
def test_picture_is_drawn_by_the_library(name):
    fresh = io.BytesIO(cover.PICTURES[name]())
    pictures = [Image.open(cover.STATIC / name), Image.open(fresh)]
    stored, fresh = (np.asarray(p.convert("RGB"), dtype=float) for p in pictures)
    assert stored.shape == fresh.shape
    assert np.sqrt(np.mean((stored - fresh) ** 2)) <= 1.0


def test_picture_for_other_sites_has_the_size_that_pages_say():
    picture = cover.STATIC / Path(share_ext.PICTURE).name
    with Image.open(picture) as opened:
        assert opened.size == share_ext.SIZE
    assert picture.stat().st_size < 300_000
