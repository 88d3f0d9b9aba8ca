"""The names of the library's face, and the module of each: read by `__init__.py`."""

from . import (
    copy_statistics,
    copy_tests,
    curves,
    datasets,
    densities,
    graph_ramp,
    linear,
    neighbors,
    relative,
    smoothers,
)
from .audit_result import Audit
from .auditing import audit
from .copying import (
    LeakageBounds,
    collapse_level,
    information_density,
    leakage_bounds,
    log_wills_functional,
    mutual_information,
    renyi_information,
    score_error_constant,
)
from .correctors import sample_corrected, sample_fixed_point
from .densities import Gaussian, GaussianMixture
from .divergences import (
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
from .empirical import EmpiricalScore
from .graph_ramp import GraphRampScore
from .linear import LinearDenoiser
from .networks import Denoiser, train
from .noise import (
    FlowMatching,
    OrnsteinUhlenbeck,
    VarianceExploding,
    geometric_levels,
    karras_levels,
)
from .relative import RelativeDistance, kernel_width
from .samplers import sample_ode, sample_sde
from .sharding import ShardedScore
from .smoothers import ConvolvedScore, LogSmoothedScore, SwitchedScore
from .smoothing import RampScore, TerminalLaw, ramp_loss
from .targets import NeighborTarget
from .temperature import PowerTemperature, TemperedScore
from .unconditional import UnconditionalScore
from .variational import (
    SmoothestScore,
    dual_certificate,
    kink_place,
    score_loss,
    variation_bound,
)

__all__ = [
    "Audit",
    "ConvolvedScore",
    "Denoiser",
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
    "RampScore",
    "RelativeDistance",
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
    "smoothers",
    "total_variation",
    "total_variation_1d",
    "train",
    "variation_bound",
    "wasserstein",
]
