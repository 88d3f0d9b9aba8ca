"""Points that lie in a file: read block by block, and let go of what was read.

A memory-mapped array looks like one in memory, but every page that was read counts as
the process's own until the system wants it back.  After each block the pages of a
read-only map are handed back, so that a pass over any file stays within a few blocks.
"""

import mmap

import numpy as np

__all__ = ["blocks", "is_mapped"]


def blocks(points, rows):
    """Yield ``(slice, block)``: consecutive rows of ``points``, ``rows`` at a time."""
    mapped = _map(points)
    for start in range(0, points.shape[0], rows):
        part = slice(start, min(start + rows, points.shape[0]))
        block = points[part]
        if mapped is None:
            yield part, block
        else:
            yield part, np.array(block)
            mapped.madvise(mmap.MADV_DONTNEED)


def is_mapped(points):
    """Return whether ``points`` lies in a file that is mapped into memory."""
    return _base(points) is not None


def _base(points):
    """Return the memory-mapped array that ``points`` is, or is a view of."""
    while isinstance(points, np.ndarray):
        if isinstance(points, np.memmap):
            return points
        points = points.base
    return None


def _map(points):
    """Return the map whose pages may be dropped: read-only ones lose nothing."""
    base = _base(points)
    if base is None or base.mode != "r" or not hasattr(mmap, "MADV_DONTNEED"):
        return None
    return base._mmap
