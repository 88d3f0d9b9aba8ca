"""The score of a finite training set, and what a generator driven by it can make.

``import empirical_score as es``; importing it, and using it on NumPy arrays, never
imports torch.  Modules depend only downward: noise, densities, empirical, samplers,
divergences, datasets, figures.  ``figures`` (matplotlib) is imported by name.
"""

from . import datasets
from .densities import Gaussian, GaussianMixture
from .divergences import (
    Estimate,
    energy_test,
    gaussian_kl,
    gaussian_wasserstein,
    hellinger,
    kl_divergence,
    total_variation,
    total_variation_1d,
    wasserstein,
)
from .empirical import EmpiricalScore
from .noise import (
    OrnsteinUhlenbeck,
    VarianceExploding,
    geometric_levels,
    karras_levels,
)
from .samplers import sample_ode, sample_sde

__all__ = [
    "EmpiricalScore",
    "Estimate",
    "Gaussian",
    "GaussianMixture",
    "OrnsteinUhlenbeck",
    "VarianceExploding",
    "datasets",
    "energy_test",
    "gaussian_kl",
    "gaussian_wasserstein",
    "geometric_levels",
    "hellinger",
    "karras_levels",
    "kl_divergence",
    "sample_ode",
    "sample_sde",
    "total_variation",
    "total_variation_1d",
    "wasserstein",
]
