"""The one line that an object writes about itself."""

import numpy as np
import pytest

import empirical_score as es
from empirical_score import curves
from empirical_score._support.show import described

DATA = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])


class Shifted(es.Score):
    dimension = 3


SHOWN = [
    (Shifted(), "Shifted(dimension=3)"),
    (es.Gaussian([0.0, 1.5], 2.0), "Gaussian(mean=[0. , 1.5], variances=[2., 2.])"),
    (
        es.Gaussian([0.0, 0.0], [[2.0, 1.0], [1.0, 2.0]]),
        "Gaussian(along its own axes, mean=[0., 0.], variances=[1., 3.])",
    ),
    (
        es.Gaussian(np.zeros(784)),
        "Gaussian(mean=[0., 0., ..., 0., 0.], variances=[1., 1., ..., 1., 1.])",
    ),
    (es.GaussianMixture(DATA), "GaussianMixture(3 components, dimension=2)"),
    (es.VarianceExploding(), "VarianceExploding()"),
    (es.OrnsteinUhlenbeck(), "OrnsteinUhlenbeck()"),
    (es.FlowMatching(), "FlowMatching()"),
    (curves.circle(radius=2), "Curve(1 arc, dimension=2, length=12.5664)"),
    (curves.two_moons(), "Curve(2 arcs, dimension=2, length=6.2832)"),
    (es.LinearDenoiser(DATA, DATA), "LinearDenoiser(dimension=2, rank=2)"),
    (
        es.RelativeDistance(DATA, 0.5),
        "RelativeDistance(fresh of shape (3, 2), spread=0.5)",
    ),
    (
        es.Denoiser(2, 0, hidden=(4,), form="edm", conditional=False),
        "Denoiser(dimension=2, form='edm', conditional=False, weights=22)",
    ),
    (
        es.NeighborTarget(DATA, 2, 0.5, power=3),
        "NeighborTarget(data of shape (3, 2), neighbors=2, temperature=0.5, "
        "power=3.0, component='shared', around='clean')",
    ),
    (es.Estimate(0.5, 0.0), "Estimate(value=0.5, standard_error=0.0)"),
]


@pytest.mark.parametrize(("thing", "line"), SHOWN, ids=lambda v: type(v).__name__)
def test_what_an_object_says_of_itself(thing, line):
    assert repr(thing) == line


def test_parts_come_before_fields_and_arrays_are_short():
    long = described(1, "two parts", first="a", second=np.arange(9.0))
    assert long == "int(two parts, first='a', second=[0., 1., ..., 7., 8.])"
    assert "\n" not in described(1, array=np.eye(40))
