"""Data to look at: toys in the plane, and real images.

Every toy takes the number of points and an explicit generator (or a seed) and returns
``(n, d)``; images come as rows with pixels in [-1, 1], ready for ``EmpiricalScore``.
MNIST, Fashion-MNIST and CIFAR-10 are read from a folder that ``EMPIRICAL_SCORE_DATA``
names, or from the user's cache, where they are downloaded on request only.
"""

from __future__ import annotations

import hashlib

import numpy as np

from .._support.arrays import as_count
from .._support.types import NumpyRng
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


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the 1,797 handwritten digits of scikit-learn and their labels.

    Returns
    -------
    images : array ``(1797, 64)``
        8 x 8 pixels in [-1, 1].
    labels : array ``(1797,)``
        Integers 0, ..., 9.

    Notes
    -----
    From the test set of the UCI repository (Alpaydin & Kaynak 1998), shipped with
    scikit-learn.

    Examples
    --------
    >>> import empirical_score as es
    >>> images, labels = es.datasets.digits()
    >>> images.shape, images.min(), images.max()
    ((1797, 64), np.float64(-1.0), np.float64(1.0))
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.data / 8.0 - 1.0, bunch.target


def color_patches(n: int, rng: NumpyRng, *, size: int = 32) -> np.ndarray:
    """Cut color patches from scikit-learn's two photographs, without overlap.

    Natural images of dimension 3,072 at ``size=32``.  The patches lie on a grid and
    are drawn without replacement; there are 520 of them at ``size=32``.

    Parameters
    ----------
    n : int
        Number of patches.
    rng : numpy.random.Generator or int seed
    size : int
        Pixels along a side.

    Returns
    -------
    array ``(n, 3 size^2)``
        Pixels in [-1, 1], laid out row, column, channel.

    Raises
    ------
    TypeError, ValueError
        For what is no generator, or more patches than there are.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.datasets.color_patches(3, 0, size=16).shape
    (3, 768)
    """
    from sklearn.datasets import load_sample_images

    generator = check_draws(n, rng)
    as_count(size, "size")
    grids = []
    for photo in load_sample_images().images:
        rows, columns = photo.shape[0] // size, photo.shape[1] // size
        photo = photo[: rows * size, : columns * size]
        grid = photo.reshape(rows, size, columns, size, 3).swapaxes(1, 2)
        grids.append(grid.reshape(rows * columns, 3 * size**2))
    patches = np.concatenate(grids) / 127.5 - 1.0
    if n > patches.shape[0]:
        raise ValueError(
            f"n must be at most the {patches.shape[0]} patches of size {size}, got {n}"
        )
    return patches[generator.permutation(patches.shape[0])[:n]]


def mnist(
    split: str = "train", *, limit: int | None = None, download: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return MNIST's handwritten digits and their labels.

    Parameters
    ----------
    split : ``"train"`` or ``"test"``
        60,000 or 10,000 images.
    limit : int, optional
        Only so many of them, from the front.
    download : bool
        Whether 12 MB may be downloaded where the files are absent.

    Returns
    -------
    images : array ``(n, 784)``
        float32 in [-1, 1], 28 x 28 when reshaped.
    labels : array ``(n,)``
        int64 in 0, ..., 9.

    Raises
    ------
    FileNotFoundError
        For absent files, without ``download``.
    ValueError
        For files that are not the official ones, or bad arguments.
    OSError
        For unreadable ones.

    Notes
    -----
    LeCun, Cortes & Burges.

    Examples
    --------
    >>> import empirical_score as es
    >>> if es.datasets.available("mnist", "test"):
    ...     images, labels = es.datasets.mnist("test", limit=10)
    ...     assert images.shape == (10, 784)
    """
    return _pixels_and_labels("mnist", split, limit, download)


def fashion_mnist(
    split: str = "train", *, limit: int | None = None, download: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return Fashion-MNIST's pictures of clothes and their labels.

    Sizes and errors are those of :func:`mnist`.

    Parameters
    ----------
    split : ``"train"`` or ``"test"``
        60,000 or 10,000 images.
    limit : int, optional
        Only so many of them, from the front.
    download : bool
        Whether 31 MB may be downloaded where the files are absent.

    Returns
    -------
    images : array ``(n, 784)``
        float32 in [-1, 1], 28 x 28 when reshaped.
    labels : array ``(n,)``
        int64 in 0, ..., 9.

    Notes
    -----
    Xiao, Rasul & Vollgraf (2017).

    Examples
    --------
    >>> import empirical_score as es
    >>> if es.datasets.available("fashion_mnist", "test"):
    ...     images, labels = es.datasets.fashion_mnist("test", limit=10)
    ...     assert images.shape == (10, 784)
    """
    return _pixels_and_labels("fashion_mnist", split, limit, download)


def cifar10(
    split: str = "train", *, limit: int | None = None, download: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return CIFAR-10's color photographs and their labels.

    Errors are those of :func:`mnist`.

    Parameters
    ----------
    split : ``"train"`` or ``"test"``
        Officially 50,000 or 10,000 images; a folder with fewer batches or shorter ones
        is accepted as a subset (:func:`fingerprint` tells them apart).
    limit : int, optional
        Only so many of them, from the front.
    download : bool
        Whether 170 MB (both splits at once) may be downloaded where the files are
        absent.

    Returns
    -------
    images : array ``(n, 3072)``
        float32 in [-1, 1], laid out row, column, channel (32 x 32 x 3 when reshaped).
    labels : array ``(n,)``
        int64 in 0, ..., 9.

    Notes
    -----
    Krizhevsky (2009).

    Examples
    --------
    >>> import empirical_score as es
    >>> if es.datasets.available("cifar10", "test"):
    ...     images, labels = es.datasets.cifar10("test", limit=10)
    ...     assert images.shape == (10, 3072)
    """
    return _pixels_and_labels("cifar10", split, limit, download)


def available(name: str, split: str | None = None) -> bool:
    """Tell whether an image set is on this machine, so that no download is needed.

    Only the presence of the files is looked at.

    Parameters
    ----------
    name : ``"mnist"``, ``"fashion_mnist"`` or ``"cifar10"``
    split : ``"train"`` or ``"test"``, optional
        Without it, both must be there.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        For an unknown name or split.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.datasets.available("mnist") in (True, False)
    True
    """
    splits = downloads.SPLITS if split is None else (split,)
    return all(downloads.find(name, one) is not None for one in splits)


def fingerprint(name: str, split: str = "train") -> str:
    """Return the SHA-256 of a split's pixels: one byte each, image after image.

    It tells whether these are the very images, in the same order, that stored results
    were computed from.  The bytes are in the layout of the loader's rows.

    Parameters
    ----------
    name : ``"mnist"``, ``"fashion_mnist"`` or ``"cifar10"``
    split : ``"train"`` or ``"test"``

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    FileNotFoundError, ValueError, OSError
        As :func:`mnist`.

    Examples
    --------
    >>> import empirical_score as es
    >>> if es.datasets.available("mnist", "test"):
    ...     assert len(es.datasets.fingerprint("mnist", "test")) == 64
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
