"""The picture and the table of the packages follow the imports."""

from __future__ import annotations

import architecture
from minihouse import ROOT

# Longer than 400 lines, most of them docstrings.
TO_BE_SPLIT = {
    "auditing/copy_statistics.py",
    "auditing/copy_tests.py",
    "exact/dense.py",
    "exact/score.py",
    "smoothed/ramp.py",
    "smoothed/smoothers.py",
}


def test_the_picture_is_that_of_the_imports():
    kept = (ROOT / "static" / "packages.svg").read_text(encoding="utf-8")
    assert kept == architecture.picture(ROOT), (
        "the imports have changed: python tools/architecture.py --draw"
    )


def test_every_package_is_in_the_picture_and_no_module_is_long():
    library = ROOT / "lib" / "empirical_score"
    packages = {path.parent.name for path in library.glob("*/__init__.py")}
    assert packages - {"_book"} == set(architecture.layers(ROOT))
    assert set(architecture.WORDS) == set(architecture.layers(ROOT))
    long = {
        path.relative_to(library).as_posix()
        for path in library.rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > 400
    }
    assert long == TO_BE_SPLIT


def test_imports_point_down_and_are_counted():
    order = architecture.layers(ROOT)
    edges = architecture.imports(ROOT)
    assert edges["exact", "_support"] > 5
    assert all(order.index(start) < order.index(end) for start, end in edges)
    said = architecture.table(ROOT).splitlines()
    assert len(said) == 2 + len(order) and f"{len(edges)} arrows" in said[-1]
