"""The names of the library's face, and the module of each: read by `__init__.py`."""

from .auditing import copy_statistics, copy_tests
from .auditing.procedure import audit
from .auditing.result import Audit
from .data import curves, datasets
from .distributions import densities
from .distributions.densities import Gaussian, GaussianMixture
from .distributions.divergences import (
    Estimate,
    energy_test,
    gaussian_hellinger,
    gaussian_kl,
    gaussian_wasserstein,
    hellinger,
    kl_divergence,
    total_variation,
    total_variation_1d,
    wasserstein,
)
from .distributions.information import (
    LeakageBounds,
    collapse_level,
    information_density,
    leakage_bounds,
    log_wills_functional,
    mutual_information,
    renyi_information,
    score_error_constant,
)
from .distributions.score import Density, Score
from .exact import neighbors
from .exact.score import EmpiricalScore
from .exact.sharding import ShardedScore, shard
from .learning.networks import Denoiser, train
from .learning.targets import NeighborTarget
from .sampling.correctors import sample_corrected, sample_fixed_point
from .sampling.noise import (
    FlowMatching,
    OrnsteinUhlenbeck,
    VarianceExploding,
    geometric_levels,
    karras_levels,
)
from .sampling.process import Process
from .sampling.samplers import sample_ode, sample_sde
from .smoothed import graph_ramp, smoothers
from .smoothed.graph_ramp import GraphRampScore
from .smoothed.ramp import RampScore, TerminalLaw, ramp_loss
from .smoothed.smoothers import ConvolvedScore, LogSmoothedScore, SwitchedScore
from .smoothed.temperature import PowerTemperature, TemperedScore
from .smoothed.unconditional import UnconditionalScore
from .smoothed.variational import (
    SmoothestScore,
    dual_certificate,
    kink_place,
    score_loss,
    variation_bound,
)
from .solvable import linear, relative
from .solvable.linear import LinearDenoiser
from .solvable.relative import RelativeDistance, kernel_width

__version__: str

__all__ = [
    "Audit",
    "ConvolvedScore",
    "Denoiser",
    "Density",
    "EmpiricalScore",
    "Estimate",
    "FlowMatching",
    "Gaussian",
    "GaussianMixture",
    "GraphRampScore",
    "LeakageBounds",
    "LinearDenoiser",
    "LogSmoothedScore",
    "NeighborTarget",
    "OrnsteinUhlenbeck",
    "PowerTemperature",
    "Process",
    "RampScore",
    "RelativeDistance",
    "Score",
    "ShardedScore",
    "SmoothestScore",
    "SwitchedScore",
    "TemperedScore",
    "TerminalLaw",
    "UnconditionalScore",
    "VarianceExploding",
    "audit",
    "collapse_level",
    "copy_statistics",
    "copy_tests",
    "curves",
    "datasets",
    "densities",
    "dual_certificate",
    "energy_test",
    "gaussian_hellinger",
    "gaussian_kl",
    "gaussian_wasserstein",
    "geometric_levels",
    "graph_ramp",
    "hellinger",
    "information_density",
    "karras_levels",
    "kernel_width",
    "kink_place",
    "kl_divergence",
    "leakage_bounds",
    "linear",
    "log_wills_functional",
    "mutual_information",
    "neighbors",
    "ramp_loss",
    "relative",
    "renyi_information",
    "sample_corrected",
    "sample_fixed_point",
    "sample_ode",
    "sample_sde",
    "score_error_constant",
    "score_loss",
    "shard",
    "smoothers",
    "total_variation",
    "total_variation_1d",
    "train",
    "variation_bound",
    "wasserstein",
]
