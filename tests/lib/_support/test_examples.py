"""The examples of the docstrings run and print what they say."""

import doctest
import importlib.util
import inspect
import pkgutil
from pathlib import Path

import pytest

import empirical_score as es

MODULES = [
    module.name
    for module in pkgutil.walk_packages(es.__path__, "empirical_score.")
    if ">>> " in Path(importlib.util.find_spec(module.name).origin).read_text()
]
INNER = (
    "copy_statistics",
    "copy_tests",
    "curves",
    "datasets",
    "densities",
    "graph_ramp",
    "linear",
    "neighbors",
    "relative",
    "smoothers",
)
PLAIN = {"NAMES", "STATISTICS", *INNER}  # tuples, and modules looked at themselves


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 1 and result.failed == 0


def public():
    """All public functions and classes, by name."""
    for face in (es, *(getattr(es, name) for name in INNER)):
        for name in face.__all__:
            thing = getattr(face, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                yield f"{face.__name__}.{name}", thing
            else:
                assert name in PLAIN


@pytest.mark.parametrize(("name", "thing"), list(public()))
def test_every_public_name_has_an_example_and_annotations(name, thing):
    assert "Examples\n--------\n>>> " in inspect.getdoc(thing)
    call = thing.__init__ if inspect.isclass(thing) else thing
    if inspect.isfunction(call):
        parts = dict(inspect.signature(call).parameters)
        parts.pop("self", None)
        bare = [p for p in parts if parts[p].annotation is inspect.Parameter.empty]
        assert not bare
