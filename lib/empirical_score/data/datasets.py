"""Data to look at: toys in the plane, and real images that need no download.

Every toy takes the number of points and an explicit generator and returns ``(n, d)``;
images come as rows with pixels in [-1, 1], ready for ``EmpiricalScore``.  MNIST,
Fashion-MNIST and CIFAR-10 are read from a folder that ``EMPIRICAL_SCORE_DATA`` names,
or from the user's cache, where they are downloaded on request only.
"""

import hashlib

import numpy as np

from .._support.arrays import as_count
from . import downloads, image_files
from .toys import (
    check_draws,
    circle,
    gaussian,
    mixture,
    segments,
    swiss_roll,
    two_moons,
)

__all__ = [
    "available",
    "cifar10",
    "circle",
    "color_patches",
    "digits",
    "fashion_mnist",
    "fingerprint",
    "gaussian",
    "mixture",
    "mnist",
    "segments",
    "swiss_roll",
    "two_moons",
]


def digits():
    """Return the 1,797 handwritten digits of scikit-learn and their labels.

    Images ``(1797, 64)`` of 8 x 8 pixels in [-1, 1] and labels ``(1797,)``; from the
    test set of the UCI repository (Alpaydin & Kaynak 1998), shipped with scikit-learn.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.data / 8.0 - 1.0, bunch.target


def color_patches(n, rng, *, size=32):
    """Cut ``n`` color patches from scikit-learn's two photographs, without overlap.

    Returns ``(n, 3 size^2)``, pixels in [-1, 1], laid out row, column, channel:
    natural images of dimension 3,072 at ``size=32``.  The patches lie on a grid and
    are drawn without replacement; there are 520 of them at ``size=32``.
    """
    from sklearn.datasets import load_sample_images

    rng = check_draws(n, rng)
    as_count(size, "size")
    patches = []
    for photo in load_sample_images().images:
        rows, columns = photo.shape[0] // size, photo.shape[1] // size
        photo = photo[: rows * size, : columns * size]
        grid = photo.reshape(rows, size, columns, size, 3).swapaxes(1, 2)
        patches.append(grid.reshape(rows * columns, 3 * size**2))
    patches = np.concatenate(patches) / 127.5 - 1.0
    if n > patches.shape[0]:
        raise ValueError(
            f"n must be at most the {patches.shape[0]} patches of size {size}, got {n}"
        )
    return patches[rng.permutation(patches.shape[0])[:n]]


def mnist(split="train", *, limit=None, download=False):
    """Return MNIST's handwritten digits and their labels (LeCun, Cortes & Burges).

    Images ``(n, 784)``, float32 in [-1, 1], 28 x 28 when reshaped, and labels ``(n,)``,
    int64 in 0, ..., 9; n is 60,000 for ``split="train"`` and 10,000 for ``"test"``, or
    the first ``limit`` of them.  With ``download=True``, 12 MB are downloaded where
    the files are absent.  Raises ``FileNotFoundError`` for absent files, ``ValueError``
    for files that are not the official ones, ``OSError`` for unreadable ones.
    """
    return _pixels_and_labels("mnist", split, limit, download)


def fashion_mnist(split="train", *, limit=None, download=False):
    """Return Fashion-MNIST's pictures of clothes and their labels (Xiao et al. 2017).

    Same sizes, arguments and errors as :func:`mnist`; 31 MB to download.
    """
    return _pixels_and_labels("fashion_mnist", split, limit, download)


def cifar10(split="train", *, limit=None, download=False):
    """Return CIFAR-10's color photographs and their labels (Krizhevsky 2009).

    Images ``(n, 3072)``, float32 in [-1, 1], laid out row, column, channel (32 x 32 x 3
    when reshaped), and labels ``(n,)``, int64 in 0, ..., 9.  Officially n is 50,000 for
    ``split="train"`` and 10,000 for ``"test"``; a folder with fewer batches or shorter
    ones is accepted as a subset (:func:`fingerprint` tells them apart).  Arguments and
    errors as in :func:`mnist`; 170 MB to download, both splits at once.
    """
    return _pixels_and_labels("cifar10", split, limit, download)


def available(name, split=None):
    """Return whether an image set is on this machine, so that no download is needed.

    ``name`` is ``"mnist"``, ``"fashion_mnist"`` or ``"cifar10"``; without ``split``,
    both splits must be there.  Only the presence of the files is looked at.
    """
    splits = downloads.SPLITS if split is None else (split,)
    return all(downloads.find(name, one) is not None for one in splits)


def fingerprint(name, split="train"):
    """Return the SHA-256 (hex) of a split's pixels: one byte each, image after image.

    It tells whether these are the very images, in the same order, that stored results
    were computed from.  The bytes are in the layout of the loader's rows.
    """
    pixels, _ = _read(name, split)
    return hashlib.sha256(pixels).hexdigest()


def _pixels_and_labels(name, split, limit, download):
    if limit is not None:
        limit = as_count(limit, "limit")
    pixels, labels = _read(name, split, limit, download)
    return image_files.to_pixels(pixels), labels


def _read(name, split, limit=None, download=False):
    paths = downloads.locate(name, split, download=download)
    try:
        if name == "cifar10":
            return image_files.read_cifar(paths, limit=limit)
        md5 = downloads.official_md5(name, split)
        return image_files.read_idx_pair(*paths, limit=limit, md5=md5)
    except ValueError as error:
        error.add_note("The file was left alone; once it is gone, it can be replaced.")
        raise
