"""The examples of the docstrings run and print what they say."""

import doctest
import importlib
import inspect

import pytest

import empirical_score as es

PACKAGES = ("distributions", "sampling", "data", "solvable", "learning")
MODULES = (
    "data.curves",
    "data.datasets",
    "data.toys",
    "distributions.densities",
    "distributions.divergences",
    "distributions.estimate",
    "distributions.gaussian",
    "distributions.gaussian_divergences",
    "distributions.gaussian_information",
    "distributions.information",
    "distributions.score",
    "distributions.two_samples",
    "learning.networks",
    "learning.targets",
    "sampling.correctors",
    "sampling.levels",
    "sampling.noise",
    "sampling.process",
    "sampling.samplers",
    "solvable.linear",
    "solvable.linear_limits",
    "solvable.linear_sizes",
    "solvable.relative",
    "solvable.relative_moments",
)
INNER = ("linear", "relative", "curves", "datasets", "densities")


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name):
    result = doctest.testmod(importlib.import_module(f"empirical_score.{name}"))
    assert result.attempted > 1 and result.failed == 0


def public():
    """The public functions and classes of these packages, by name."""
    faces = [es, *(getattr(es, name) for name in INNER)]
    for face in faces:
        for name in face.__all__:
            thing = getattr(face, name)
            home = getattr(thing, "__module__", "").split(".")[1:2]
            if home and home[0] in PACKAGES:
                yield f"{face.__name__}.{name}", thing


@pytest.mark.parametrize(("name", "thing"), list(public()))
def test_every_public_name_has_an_example_and_annotations(name, thing):
    assert "Examples\n--------\n>>> " in inspect.getdoc(thing)
    call = thing.__init__ if inspect.isclass(thing) else thing
    if inspect.isfunction(call):
        parts = dict(inspect.signature(call).parameters)
        parts.pop("self", None)
        bare = [p for p in parts if parts[p].annotation is inspect.Parameter.empty]
        assert not bare
