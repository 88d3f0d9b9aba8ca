"""Training sets and the noisy points at which they are asked, all in float32."""

import os
from dataclasses import dataclass

import numpy as np

import empirical_score as es


@dataclass
class Problem:
    """A training set by name, how many points are asked at once, at what noise."""

    name: str
    load: object
    m: int
    sigma: float = 1.0

    def data(self, reduce=1):
        """Return the training points ``(n, d)``, the first of ``reduce`` parts."""
        y = np.asarray(self.load(), dtype=np.float32)
        return np.ascontiguousarray(y[: max(100, len(y) // reduce)])

    def queries(self, data, sigma, *, mixed=False, reduce=1):
        """Return ``(m, d)``: training points (or mixtures of two) plus noise."""
        rng = np.random.default_rng(7)
        m = max(8, self.m // reduce)
        x = data[rng.integers(len(data), size=m)]
        if mixed:
            share = rng.random((m, 1), dtype=np.float32)
            x = share * x + (1 - share) * data[rng.integers(len(data), size=m)]
        noise = rng.standard_normal(x.shape, dtype=np.float32)
        return x + np.float32(sigma) * noise


class Missing(Exception):
    """A training set that is not on this machine."""


def images(name):
    """Return a loader of an image set that complains clearly where it is absent."""

    def load():
        if not es.datasets.available(name, "train"):
            known = "EMPIRICAL_SCORE_DATA" in os.environ
            hint = "not in its folder" if known else "EMPIRICAL_SCORE_DATA is not set"
            raise Missing(f"{name}: skipped, {hint}")
        return getattr(es.datasets, name)()[0]

    return load


def blobs(n, dimension, centers, scale, width=None):
    """Return a loader of a mixture of equal round Gaussians.

    Centers are standard normal, or uniform in a cube of the given half ``width``.
    """

    def load():
        rng = np.random.default_rng(3)
        places = (
            rng.standard_normal((centers, dimension))
            if width is None
            else rng.uniform(-width, width, (centers, dimension))
        )
        y = scale * rng.standard_normal((n, dimension), dtype=np.float32)
        y += places.astype(np.float32)[rng.integers(centers, size=n)]
        return y

    return load


def moons():
    """Return 10,000 points of the two moons."""
    return es.datasets.two_moons(10_000, np.random.default_rng(3))


DIGITS = Problem("digits", lambda: es.datasets.digits()[0], 1000, 0.5)
MOONS = Problem("moons", moons, 1000, 0.1)
BLOBS = Problem("blobs", blobs(100_000, 256, 50, 0.5), 256, 3.0)
FASHION = Problem("Fashion-MNIST", images("fashion_mnist"), 128, 3.0)
FASHION_RUN = Problem("Fashion-MNIST", FASHION.load, 64)
CIFAR_RUN = Problem("CIFAR-10 subset", images("cifar10"), 64)
PLANE = Problem("blobs in the plane", blobs(100_000, 2, 1000, 0.01, width=1.0), 1000)
LARGE_PLANE = Problem(PLANE.name, blobs(1_000_000, 2, 1000, 0.01, width=1.0), 1000)
