"""`tools/environment.sh`: what it says is missing, and when it makes .venv anew.

No package is installed here: a Python stands in whose `-m venv` and `-m pip` only write
down that they were called, and whose own properties a test can change.
"""

from __future__ import annotations

import re
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from minihouse import ROOT, call

FILES = ("tools/environment.sh", "tools/requirements.txt", "requirements.txt")
FAKE = """#!/bin/sh
case "$*" in
"-m venv .venv") mkdir .venv/bin && cp "$0" .venv/bin/python ;;
"-m pip"*) echo "$*" >>calls; case "$*" in *"{fails}"*) echo "{says}"; exit 1 ;; esac ;;
--version) echo "Python of the test" ;;
*) exec {python} -IS -c "import sys; sys.modules['pip'] = sys
{before}
$2" ;;
esac
"""


def fake(path: Path, before: str = "", fails: str = "nothing", says: str = "") -> str:
    """A Python that runs some code before all other, and whose pip may fail."""
    text = FAKE.format(python=sys.executable, before=before, fails=fails, says=says)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def place(tmp_path) -> Path:
    """What the environment is made from, in a folder whose name has a space."""
    place = tmp_path / "a book"
    for name in (*FILES, "constraints.txt", "pyproject.toml"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / name)
    (tmp_path / "bin").mkdir()
    system = tmp_path / "bin" / "uname"
    system.write_text("#!/bin/sh\necho Linux\n")
    system.chmod(0o755)
    return place


def make(place: Path, python: str = ""):
    """Make the environment, with one Python or with those in `bin`."""
    path = f"{place.parent / 'bin'}:/usr/bin:/bin"
    return call(place, "sh", "tools/environment.sh", PYTHON=python, PATH=path)


def calls(place: Path) -> list[str]:
    """What pip was asked since the last time."""
    path = place / "calls"
    found = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("sys.exit(1)", "No Python at"),
        ("sys.version_info = (2, 7)", "are for Python 3.11 to 3.14"),
        ("sys.version_info = (3, 15)", "are for Python 3.11 to 3.14"),
        (
            "sys.version_info = (3, 12); sys.modules['ensurepip'] = None",
            "no venv module (Debian, Ubuntu: apt install python3.12-venv)",
        ),
    ],
)
def test_one_line_says_what_python_lacks(before, message, place):
    result = make(place, fake(place.parent / "a python", before))
    assert result.returncode == 1
    [line] = result.stderr.split("\n\n")[0].strip().splitlines()
    assert message in line and "make PYTHON=" in line
    assert not (place / ".venv").exists() and calls(place) == []


def test_the_first_python_that_lacks_nothing_is_taken(place):
    fake(place.parent / "bin" / "python3.11", "sys.modules['ensurepip'] = None")
    good = fake(place.parent / "bin" / "python3.12")
    assert make(place).returncode == 0
    assert (place / ".venv/bin/python").read_text() == Path(good).read_text()


def test_what_is_made_is_kept_unless_it_is_broken(place):
    python = fake(place.parent / "python")
    mark, stamp = place / ".venv" / "mark", place / ".venv" / "installed"
    other = fake(place.parent / "other", "sys.version_info = (3, 10)")
    bare = fake(place.parent / "bare", "sys.modules['pip'] = None")

    def anew() -> bool:
        """Whether pip is called, in a new folder: not called is None."""
        mark.touch()
        result = make(place, python)
        assert result.returncode == 0, result.stderr
        assert make(place, python).returncode == 0  # nothing is left to do then
        torch, *rest = calls(place) or ["", ""]
        assert ("whl/cpu torch==" in torch and len(rest) == 1) if torch else True
        return not mark.exists() if torch else None

    assert make(place, python).returncode == 0 and len(calls(place)) == 2
    assert anew() is None
    (place / "requirements.txt").write_text("torch==9\n")
    assert anew() is False
    stamp.write_text("")  # installing was interrupted
    assert anew() is True
    stamp.write_text(stamp.read_text() + "else")  # the folder was moved
    assert anew() is True
    shutil.copy(other, place / ".venv/bin/python")  # another Python is asked for
    assert anew() is True
    shutil.copy(bare, place / ".venv/bin/python")  # its Python became another one
    assert anew() is True
    (place / ".venv/bin/python").unlink()  # its Python is gone
    assert anew() is True


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ("ERROR: No matching distribution found for a==1", "No matching distribution"),
        ("ERROR: [Errno 28] No space left on device", "No space left on device"),
        ("WARNING: Retrying (Retry(total=0, ...", "package index is out of reach"),
        ("Collecting a", "pip stopped"),
    ],
)
def test_one_line_says_why_nothing_was_installed(says, message, place):
    python = fake(place.parent / "python", fails="requirements.txt", says=says)
    result = make(place, python)
    assert result.returncode == 1
    [line] = result.stderr.strip().splitlines()
    assert message in line and ".venv/install.log" in line
    fake(place.parent / "python")
    assert make(place, python).returncode == 0  # made anew: the old pip would fail


@pytest.mark.parametrize("says", ["Collecting a", "Installing collected packages: a"])
def test_an_update_that_changed_nothing_leaves_things_as_they_were(says, place):
    python = fake(place.parent / "python")
    assert make(place, python).returncode == 0
    stamp = place / ".venv" / "installed"
    before = stamp.read_text()
    (place / "requirements.txt").write_text("torch==9\n")
    fake(place / ".venv/bin/python", fails="-r requirements.txt", says=says)
    assert make(place, python).returncode == 1
    assert stamp.read_text() == (before if says.startswith("Collecting") else "")


def test_torch_comes_from_pypi_where_its_own_index_is_out_of_reach(place):
    result = make(place, fake(place.parent / "python", fails="whl/cpu"))
    assert result.returncode == 0 and "with CUDA" in result.stdout
    assert "-r requirements.txt" in calls(place)[1]


def test_every_pin_is_for_every_python_of_the_book():
    lines = [
        line
        for name in ("constraints.txt", "requirements.txt", "tools/requirements.txt")
        for line in (ROOT / name).read_text().splitlines()
    ]
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", "\n".join(lines), re.MULTILINE))
    for name, version in pins.items():
        package = metadata.distribution(name)
        assert Version(package.version).public == version, name  # without "+cpu"
        allowed = SpecifierSet(package.metadata.get("Requires-Python", ""))
        for python in ("3.11.2", "3.12.0", "3.13.0", "3.14.0"):  # Debian 12's first
            assert python in allowed, f"{name} {version} is not for Python {python}"
