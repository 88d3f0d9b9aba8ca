"""The wheel and the source distribution: built, installed elsewhere, and run there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from minihouse import ROOT, once

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "CITATION.cff")
BUILD = "from setuptools import build_meta as b; print(b.build_{0}({1!r}))"
RUN = """
import importlib, pkgutil, sys
import numpy as np
import empirical_score as es
assert sys.argv[1] in es.__file__, es.__file__
for module in pkgutil.walk_packages(es.__path__, "empirical_score."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
score = es.EmpiricalScore(np.array([[-1.0], [1.0]]))
print(es.__version__, len(es.__all__), score.denoise([[0.0]], 1.0)[0, 0])
"""


def built(folder: Path, kind: str, out: Path) -> Path:
    """Build a distribution of the sources in a folder."""
    out.mkdir(exist_ok=True)
    command = [sys.executable, "-c", BUILD.format(kind, str(out))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, made from the source distribution as an installer makes it."""
    base = tmp_path_factory.mktemp("package")

    def make(place: Path) -> None:
        place.mkdir()
        for name in SOURCES:
            shutil.copy(ROOT / name, place)
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in ("lib", "tests/lib"):
            shutil.copytree(ROOT / name, place / name, ignore=ignored)
        shutil.copy(ROOT / "CHANGELOG.md", place)

    once(base / "sources", make)
    archive = built(base / "sources", "sdist", base / "out")
    shutil.unpack_archive(archive, base / "unpacked", filter="data")
    [inner] = (base / "unpacked").iterdir()
    assert (inner / "tests" / "lib" / "test_scores.py").exists()
    return built(inner, "wheel", base / "out")


def test_a_wheel_holds_the_library_its_types_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top.partition("-")[0] for top in tops} == {"empirical_score"}
    for name in ("py.typed", "__init__.pyi", "auditing/command.py"):
        assert f"empirical_score/{name}" in names


def test_installed_elsewhere_it_runs(wheel, tmp_path):
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    where = tmp_path / "site"
    subprocess.run([*install, "--target", where, wheel], check=True)
    # What it needs comes from this environment; itself from the new place.
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    run = {"cwd": tmp_path, "env": {**clean, "PYTHONPATH": str(where)}, "text": True}
    command = [sys.executable, "-c", RUN, str(where)]
    said = subprocess.run(command, check=True, capture_output=True, **run).stdout
    version, names, mean = said.split()
    assert version in wheel.name and int(names) > 60 and float(mean) == 0.0
    command = [sys.executable, "-m", "empirical_score", "audit", "--help"]
    said = subprocess.run(command, check=True, capture_output=True, **run).stdout
    assert "--holdout" in said
