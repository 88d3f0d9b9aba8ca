"""The two file formats of the classic image sets, read and checked byte by byte.

IDX (MNIST and its descendants) is a header and then unsigned bytes, often compressed
with gzip; a CIFAR-10 binary file is a row of records, one label byte and 3,072 pixel
bytes each.  Files are only read, never changed.  Whatever is wrong with one raises a
``ValueError`` (its content) or an ``OSError`` (the file itself) that names the file.
"""

import gzip
import hashlib
import os
import zlib
from itertools import chain
from math import prod
from pathlib import Path

import numpy as np

__all__ = ["idx_shape", "read_cifar", "read_idx", "read_idx_pair", "to_pixels"]

BLOCK = 2**20  # bytes read at a time
CLASSES = 10
CIFAR_SIDE = 32
CIFAR_RECORD = 1 + 3 * CIFAR_SIDE**2  # one label, then the planes of R, G and B


def read_idx(path, shape=(), *, limit=None, md5=None):
    """Read the unsigned bytes of an IDX file, compressed with gzip or not.

    ``shape`` is the shape that one item must have: ``(28, 28)`` for the images of
    MNIST, ``()`` for labels.  Returns uint8, ``(n, prod(shape))`` or ``(n,)``; with
    ``limit``, at most that many items from the front.  The whole file is read and
    checked in any case, a mebibyte at a time: its magic number, the shape, its exact
    length and, where ``md5`` is given, the MD5 (hex) of its uncompressed bytes.
    """
    return _read_idx(Path(path), shape, limit, md5)[0]


def idx_shape(path):
    """Return the shape of one item that the header of an IDX file announces."""
    path = Path(path)
    header = next(_blocks(path), b"")
    sizes = header[3] if len(header) > 3 and header[:3] == bytes([0, 0, 8]) else 1
    shape = np.frombuffer(header[8 : 4 + 4 * sizes].ljust(4 * (sizes - 1)), dtype=">u4")
    _idx_count(path, header[: 4 + 4 * sizes], tuple(shape.tolist()))
    return tuple(shape.tolist())


def read_idx_pair(images, labels, *, shape=(28, 28), limit=None, md5=(None, None)):
    """Read an IDX file of images and the one of their labels.

    Returns pixels ``(n, prod(shape))``, uint8, and labels ``(n,)``, int64, at most
    ``limit`` of them.  Beyond the checks of :func:`read_idx` (``md5`` is a pair here),
    the files must hold equally many items and every label must be in 0, ..., 9.
    """
    images, labels = Path(images), Path(labels)
    kinds, label_count = _read_idx(labels, (), None, md5[1])
    _require_classes(kinds, labels, first=0)
    pixels, count = _read_idx(images, shape, limit, md5[0])
    if count != label_count:
        raise ValueError(
            f"{images} holds {count} images, but {labels} holds {label_count} labels; "
            "expected as many labels as images"
        )
    return pixels, kinds[:limit].astype(np.int64)


def read_cifar(paths, *, limit=None):
    """Read CIFAR-10 binary files, one after the other.

    Returns pixels ``(n, 3072)``, uint8, laid out row, column, channel (the files hold
    one plane for each channel), and labels ``(n,)``, int64; with ``limit``, at most
    that many from the front, and only these are read.  The length of every file must
    be a positive multiple of 3,073 bytes, and every label read must be in 0, ..., 9.
    """
    paths = [Path(path) for path in paths]
    counts = [_cifar_count(path) for path in paths]
    total = sum(counts) if limit is None else min(sum(counts), limit)
    pixels = np.empty((total, CIFAR_SIDE, CIFAR_SIDE, 3), dtype=np.uint8)
    labels = np.empty(total, dtype=np.int64)
    row = 0
    for path, count in zip(paths, counts, strict=True):
        start, end = row, min(row + count, total)
        for block in _blocks(path, size=CIFAR_RECORD * 256):
            whole = len(block) // CIFAR_RECORD * CIFAR_RECORD
            records = np.frombuffer(block[:whole], dtype=np.uint8)
            records = records.reshape(-1, CIFAR_RECORD)[: end - row]
            _require_classes(records[:, 0], path, first=row - start)
            stop = row + records.shape[0]
            labels[row:stop] = records[:, 0]
            planes = records[:, 1:].reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE)
            pixels[row:stop] = planes.transpose(0, 2, 3, 1)
            row = stop
            if row == end:
                break
        if row < end:
            raise ValueError(f"{path} became shorter while it was read")
    return pixels.reshape(total, CIFAR_RECORD - 1), labels


def to_pixels(values):
    """Return bytes 0, ..., 255 as float32 in [-1, 1]: ``value / 127.5 - 1``."""
    pixels = values.astype(np.float32)
    pixels /= np.float32(127.5)
    pixels -= np.float32(1)
    return pixels


def _read_idx(path, shape, limit, md5):
    """Return the items that were asked for, and how many the file holds."""
    blocks = _blocks(path)
    first = next(blocks, b"")
    start = 8 + 4 * len(shape)
    count = _idx_count(path, first[:start], shape)
    item = prod(shape)
    size = start + count * item
    wanted = size if limit is None else min(size, start + limit * item)
    # Grows with what is read: the number in a damaged header is no reason to allocate.
    kept, seen = bytearray(), 0
    digest = hashlib.md5(usedforsecurity=False)
    for block in chain([first], blocks):
        digest.update(block)
        kept += block[: max(0, wanted - seen)]
        seen += len(block)
        if seen > size:
            break
    if seen != size:
        what, found = ("is truncated", seen) if seen < size else ("goes on", "more")
        raise ValueError(
            f"{path} {what}: its header announces {count} items of shape "
            f"{tuple(shape)}, {size} uncompressed bytes in all, found {found}"
        )
    if md5 is not None and digest.hexdigest() != md5:
        raise ValueError(
            f"{path} is not the official file: its uncompressed bytes have the MD5 "
            f"{digest.hexdigest()}, expected {md5}"
        )
    items = np.frombuffer(kept, dtype=np.uint8, offset=start)
    return (items.reshape(-1, item) if shape else items), count


def _idx_count(path, header, shape):
    """Return the number of items that an IDX header announces."""
    if not header:
        raise ValueError(f"{path} is empty; expected an IDX file")
    magic = bytes([0, 0, 8, 1 + len(shape)])  # 8: unsigned bytes; then the dimensions
    if header[:4] != magic:
        raise ValueError(
            f"{path} starts with the bytes {header[:4].hex(' ')}, expected "
            f"{magic.hex(' ')} (IDX, unsigned bytes, {1 + len(shape)} dimensions), "
            "compressed with gzip or not"
        )
    sizes = np.frombuffer(header[4 : len(header) // 4 * 4], dtype=">u4").tolist()
    if len(sizes) != 1 + len(shape):
        raise ValueError(
            f"{path} is truncated: its header has {len(header)} bytes, "
            f"expected {8 + 4 * len(shape)}"
        )
    count, *found = sizes
    if tuple(found) != tuple(shape):
        raise ValueError(
            f"{path} holds items of shape {tuple(found)}, expected {tuple(shape)}"
        )
    if count == 0:
        raise ValueError(f"{path} holds 0 items, expected at least one")
    return count


def _cifar_count(path):
    _require_file(path)
    size = os.path.getsize(path)
    if size == 0 or size % CIFAR_RECORD:
        raise ValueError(
            f"{path} has {size} bytes, expected a positive multiple of {CIFAR_RECORD} "
            "(CIFAR-10 binary: one label byte and 3072 pixel bytes for each image)"
        )
    return size // CIFAR_RECORD


def _blocks(path, size=BLOCK):
    """Yield the bytes of a file, uncompressed where it is gzip, by blocks."""
    _require_file(path)
    try:
        with open(path, "rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            stream = gzip.GzipFile(fileobj=file) if zipped else file
            while block := stream.read(size):
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is a damaged gzip file: {error}") from error
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise OSError(error.errno, reason, str(path)) from error


def _require_file(path):
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory, expected a file")
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is not a regular file")


def _require_classes(labels, path, first):
    bad = np.flatnonzero(labels >= CLASSES)
    if bad.size:
        raise ValueError(
            f"{path} gives item {first + bad[0]} the label {labels[bad[0]]}, "
            f"expected 0 to {CLASSES - 1}"
        )
