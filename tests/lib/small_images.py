"""Small image files as bytes, made from the descriptions of their formats."""

import struct

import numpy as np

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(256, size=(7, 28, 28), dtype=np.uint8)
LABELS = np.array([0, 9, 3, 3, 1, 8, 5], dtype=np.uint8)


def idx(array, count=None):
    """The bytes of an IDX file, from its description on MNIST's home page."""
    sizes = (array.shape[0] if count is None else count, *array.shape[1:])
    magic = 0x0800 + array.ndim
    return struct.pack(f">{1 + array.ndim}I", magic, *sizes) + array.tobytes()


def cifar(labels, images):
    """CIFAR-10 records: the label, then red, green, blue, each row by row."""
    out = bytearray()
    for label, image in zip(labels, images, strict=True):
        out.append(label)
        for channel in range(3):
            for row in range(32):
                out += bytes(int(image[row, c, channel]) for c in range(32))
    return bytes(out)


COLORS = RNG.integers(256, size=(5, 32, 32, 3), dtype=np.uint8)
CIFAR = cifar([1, 0, 9, 4, 4], COLORS)
