"""A Gaussian kernel with its noise level integrated out.

With levels uniform in ``log sigma`` and weight ``lambda(sigma) = sigma^a`` a training
point at distance r contributes, with ``q = d - a``,

    K(r) = int sigma^{-q} exp(-r^2 / (2 sigma^2)) dsigma / sigma,

and the mean of ``1 / sigma^2`` under that integrand is what multiplies its pull.  Over
all levels and for q > 0 both are powers of r.  Between two levels they are incomplete
gamma functions, whose tails leave the floating-point numbers; here the integral is
done in the log domain instead, by Gauss-Legendre quadrature where the integrand is not
negligible.  Its logarithm is concave in ``log sigma``, so that place is known.
"""

import math

import numpy as np

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(96)
# The integrand is left out where it is below exp(-DROP) of its largest value.
DROP = 45.0


class AllLevels:
    """Levels from 0 to infinity, q > 0: ``K(r) = Gamma(q/2) / 2 (r^2/2)^{-q/2}``."""

    def __init__(self, q):
        self.q = q
        self.log_total = 0.0  # no finite mass: log densities are up to a constant

    def log_kernel(self, squares, xp):
        """Return ``-q log r``, from ``r^2`` of any shape: ``log K`` up to a constant.

        At r = 0 it is infinite.
        """
        positive = squares > 0
        log_squares = xp.log(xp.where(positive, squares, 1 + 0 * squares))
        return xp.where(positive, -self.q / 2 * log_squares, math.inf + 0 * squares)

    def precision(self, squares, xp):
        """Return the mean of ``1 / sigma^2``, exactly ``q / r^2``; r must not be 0."""
        return self.q / squares


class LevelsBetween:
    """Levels between ``low`` and ``high``; q may be any number.

    ``log_total`` is the log mass of ``sum_j K(|x - y_j|) / n`` over space.
    """

    def __init__(self, q, dimension, low, high):
        self.q, self.low, self.width = q, math.log(low), math.log(high / low)
        power = dimension - q
        top = power * (self.low + (self.width if power > 0 else 0.0))
        size = abs(power)
        mass = -math.expm1(-size * self.width) / size if size else self.width
        self.log_total = top + math.log(mass) + dimension / 2 * math.log(2 * math.pi)

    def log_kernel(self, squares, xp):
        """Return ``log K``, from ``r^2`` of any shape; finite at r = 0 too."""
        return self._integrate(squares, xp)[0]

    def precision(self, squares, xp):
        """Return the mean of ``1 / sigma^2`` under the integrand."""
        return self._integrate(squares, xp)[1]

    def _integrate(self, squares, xp):
        """Integrate over ``t = log sigma - s``, s being where the integrand peaks.

        Its log, less its value at the peak, is ``-q t - rho/2 (exp(-2t) - 1)`` with
        ``rho = r^2 exp(-2s)``.
        """
        q, zero = self.q, 0 * squares
        peak = zero + (self.low + self.width)
        if q > 0:
            # A subnormal r^2 is as good as 0.
            natural = xp.log(xp.clip(squares, 1e-300, None) / q) / 2
            peak = xp.clip(natural, self.low, self.low + self.width)
        rho = squares * xp.exp(-2 * peak)
        left = xp.minimum(_reach_down(q, rho, xp), peak - self.low)
        right = self.low + self.width - peak
        if q > 0:
            right = xp.minimum(_reach_up(q, rho, xp), right)
        middle, half = (right - left) / 2, (right + left) / 2
        total, inverse = zero, zero
        for node, weight in zip(NODES, NODE_WEIGHTS, strict=True):
            t = middle + float(node) * half
            change = xp.expm1(-2 * t)
            value = float(weight) * xp.exp(-q * t - rho / 2 * change)
            total = total + value
            inverse = inverse + value * (change + 1)
        log_kernel = xp.log(total * half) - q * peak - rho / 2
        return log_kernel, inverse / total * xp.exp(-2 * peak)


def _reach_down(q, rho, xp):
    """Return how far below its peak in ``log sigma`` the integrand has surely dropped.

    At ``t = -v`` the drop is ``rho/2 (e^{2v} - 1) - q v``, at least
    ``(rho - q) v + rho v^2`` and at least ``rho/2 (e^v - 1)^2``.
    """
    rho = xp.clip(rho, 1e-300, None)
    slope = xp.clip(rho - q, 0.0, None)
    near = 2 * DROP / (slope + xp.sqrt(slope**2 + 4 * DROP * rho))
    return xp.minimum(near, xp.log1p(xp.sqrt(2 * DROP / rho)))


def _reach_up(q, rho, xp):
    """Return how far above its peak the integrand has surely dropped, for q > 0.

    The drop is ``(q - rho) t + rho/2 (2t - 1 + e^{-2t})``, at least
    ``(q - rho) t + rho t^2 / (1 + t)``.
    """
    slope = xp.clip(q - rho, 0.0, None) - DROP
    root = xp.sqrt(slope**2 + 4 * DROP * q)
    small = 2 * DROP / xp.where(slope > 0, slope + root, root)
    return xp.where(slope > 0, small, (root - slope) / (2 * q))
