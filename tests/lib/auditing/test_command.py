"""The command: its arguments, its exit status, its files, and what it does amiss."""

import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup

import empirical_score as es
from empirical_score.auditing import command as cli
from empirical_score.auditing import files as audit_files
from empirical_score.auditing import procedure as auditing
from empirical_score.auditing import report as audit_report

SIZES = {"train": 200, "generated": 150, "holdout": 140}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A clean set, one with copies, and the command line that audits them.

    Without figures, which take long and have tests of their own.
    """
    monkeypatch.setattr(audit_report, "figures", lambda audit: {})
    rng = np.random.default_rng(1)
    sets = {name: rng.random((n, 9, 8)) for name, n in SIZES.items()}
    for name, values in sets.items():
        np.save(tmp_path / f"{name}.npy", values)
    sets["generated"][:30] = sets["train"][:30]
    np.save(tmp_path / "copies.npy", sets["generated"])

    def run(generated="generated.npy", *more, out="report", holdout="holdout.npy"):
        command = ["audit", "--train", str(tmp_path / "train.npy")]
        command += ["--generated", str(tmp_path / generated)]
        command += ["--holdout", str(tmp_path / holdout)] if holdout else []
        command += ["--out", str(tmp_path / out), "--permutations", "199", "--quiet"]
        return cli.main([*command, *more])

    run.folder = tmp_path
    run.arrays = lambda *names: [np.load(tmp_path / f"{n}.npy") for n in names]
    return run


def page_in(folder):
    return BeautifulSoup((folder / "index.html").read_text(), "html.parser")


# ---- What it does ----------------------------------------------------------------


def test_exit_status_and_what_is_written_and_printed(files, capsys):
    assert files() == 0
    capsys.readouterr()
    assert files("copies.npy", out="second") == 1
    printed = capsys.readouterr()
    folder, where = files.folder / "second", str(files.folder)
    found = es.audit(*files.arrays("train", "copies", "holdout"), permutations=199)
    assert printed.out == f"{found}\n\nreport: {folder / 'index.html'}\n"
    assert printed.err == ""
    assert sorted(path.name for path in folder.iterdir()) == [
        "audit.json",
        "index.html",
    ]
    inputs = {
        "train files": f"{where}/train.npy",
        "generated files": f"{where}/copies.npy",
        "holdout files": f"{where}/holdout.npy",
    }
    record = json.loads((folder / "audit.json").read_text())
    assert record == json.loads(json.dumps(found.to_dict() | {"inputs": inputs}))
    page = page_in(folder)
    assert page.section.strong.text == "Copying found"
    settings = {row.th.text: row.td.text for row in page.find(class_="settings")("tr")}
    assert inputs.items() < settings.items()
    assert len(page.find(class_="pairs").find_all("li")) == 24
    if os.name == "posix":
        assert folder.stat().st_mode & 0o777 == 0o755


def test_undetermined_is_status_three(files, capsys):
    np.save(files.folder / "one.npy", files.arrays("generated")[0][:1])
    assert files("one.npy", holdout=None) == 3
    assert capsys.readouterr().out.startswith("Undetermined: no number of copies")
    record = json.loads((files.folder / "report" / "audit.json").read_text())
    assert set(record["inputs"]) == {"train files", "generated files"}
    assert record["settings"]["holdout_given"] is False


def test_several_files_are_joined(files):
    first, rest = np.split(files.arrays("copies")[0], [40])
    np.save(files.folder / "first.npy", first)
    np.save(files.folder / "rest.npy", rest)
    paths = [str(files.folder / name) for name in ("first.npy", "rest.npy")]
    assert files("copies.npy") == 1
    assert files("generated.npy", "--generated", *paths, out="second") == 1
    one, two = (
        json.loads((files.folder / out / "audit.json").read_text())
        for out in ("report", "second")
    )
    assert two.pop("inputs")["generated files"] == " ".join(paths)
    del one["inputs"]
    assert one == two


GIVEN = {
    "--neighbors": ("4", 4),
    "--threshold": ("0.4", 0.4),
    "--tolerance": ("0.02", 0.02),
    "--flips": (None, True),
    "--shape": ("8x9", (8, 9)),
    "--level": ("0.02", 0.02),
    "--confidence": ("0.9", 0.9),
    "--false-discoveries": ("0.3", 0.3),
    "--permutations": ("299", 299),
    "--seed": ("7", 7),
    "--memory": ("3", 3 * 2**20),
}


def test_every_option_reaches_the_audit(files, monkeypatch):
    """Alone, beside the defaults; and these are those of the library."""
    calls = []

    def audit(train, generated, holdout=None, **settings):
        calls.append(settings)
        return es.audit(*files.arrays("train", "generated", "holdout"), permutations=99)

    monkeypatch.setattr(auditing, "audit", audit)
    command = ["audit", "--quiet", "--force", "--out", str(files.folder / "report")]
    for name in SIZES:
        command += [f"--{name}", str(files.folder / f"{name}.npy")]
    assert cli.main(command) == 0
    parameters = inspect.signature(es.audit).parameters
    defaults = {k: parameters[k].default for k in calls[0]}
    assert calls == [defaults]
    assert set(parameters) == {*SIZES, *defaults}
    for option, (word, value) in GIVEN.items():
        assert cli.main([*command, option, *([word] if word else [])]) == 0
        changed = {option[2:].replace("-", "_"): value}
        assert calls.pop() == defaults | changed, option


@pytest.mark.parametrize(
    ("word", "shape"),
    [
        ("9x8", (9, 8)),
        ("9X8X1", (9, 8, 1)),
        ("1x9x8", (1, 9, 8)),
        ("4x6x3", (4, 6, 3)),
        ("72x1", (72, 1)),
        ("none", None),
    ],
)
def test_shapes_of_pictures(files, word, shape):
    assert files("generated.npy", "--shape", word, "--show", "3") == 0
    page = page_in(files.folder / "report")
    pairs = page.find(class_="pairs")
    if shape is None:
        assert pairs is None
        return
    assert len(pairs.find_all("li")) == 3
    record = json.loads((files.folder / "report" / "audit.json").read_text())
    assert record["settings"]["shape"] == list(shape)


@pytest.mark.parametrize("count", [0, 1, 150, 200])
def test_so_many_pairs_are_shown(files, count):
    assert files("generated.npy", "--show", str(count)) == 0
    page = page_in(files.folder / "report")
    assert len(page.find(class_="pairs").find_all("li")) == min(count, 150)


def test_features_from_files(files):
    cut = {}
    for name in SIZES:
        cut[name] = files.arrays(name)[0].reshape(-1, 72)[:, :20]
        np.save(files.folder / f"{name}-f.npy", cut[name])
    paths = [str(files.folder / f"{name}-f.npy") for name in SIZES]
    assert files("generated.npy", "--features", *paths) == 0
    record = json.loads((files.folder / "report" / "audit.json").read_text())
    found = es.audit(
        *files.arrays(*SIZES), features=tuple(cut.values()), permutations=199
    )
    assert record["settings"]["dimension"] == 20 and record["settings"]["features"]
    assert record["statistics"] == json.loads(json.dumps(found.to_dict()["statistics"]))


def test_python_m_with_a_progress_bar_on_stderr(files):
    command = [sys.executable, "-m", "empirical_score", "audit", "--permutations", "99"]
    for name in SIZES:
        command += [f"--{name}", str(files.folder / f"{name}.npy")]
    done = subprocess.run(
        [*command, "--out", str(files.folder / "report")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No copying found")
    assert "distances 100%" in done.stderr and "distances" not in done.stdout


def test_without_tqdm_there_is_no_bar(files, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    command = ["audit", "--out", str(files.folder / "report"), "--permutations", "99"]
    for name in SIZES:
        command += [f"--{name}", str(files.folder / f"{name}.npy")]
    assert cli.main(command) == 0
    assert capsys.readouterr().err == ""


def test_the_console_script_is_this_command():
    project = Path(__file__).parents[3] / "pyproject.toml"
    scripts = tomllib.loads(project.read_text())["project"]["scripts"]
    module, _, name = scripts["empirical-score"].partition(":")
    assert module == cli.__name__ and getattr(cli, name) is cli.main


# ---- Trouble ---------------------------------------------------------------------


def test_nothing_is_overwritten_without_force(files, capsys):
    assert files() == 0
    page = files.folder / "report" / "index.html"
    before = page.read_bytes()
    other = page.with_name("notes.txt")
    other.write_text("mine")
    assert files("copies.npy") == 2
    message = capsys.readouterr().err
    assert "holds index.html and audit.json, which would be overwritten" in message
    assert "add --force" in message
    assert page.read_bytes() == before
    assert files("copies.npy", "--force") == 1
    assert page.read_bytes() != before and other.read_text() == "mine"
    names = ["audit.json", "index.html", "notes.txt"]
    assert sorted(path.name for path in page.parent.iterdir()) == names
    page.unlink()
    assert files("copies.npy") == 2
    assert "holds audit.json, which" in capsys.readouterr().err
    page.with_name("audit.json").unlink()
    assert files("copies.npy") == 1  # a folder with other files is no obstacle
    assert sorted(path.name for path in page.parent.iterdir()) == names


def test_errors_leave_nothing_behind(files, capsys, monkeypatch):
    before = sorted(files.folder.rglob("*"))

    def refused(message, *arguments, **options):
        assert files(*arguments, **options) == 2
        printed = capsys.readouterr()
        assert re.search(message, printed.err) and printed.out == "", printed.err
        assert printed.err.startswith("empirical-score: ")
        assert sorted(files.folder.rglob("*")) == before

    refused("nowhere.npy does not exist", "nowhere.npy")
    refused("train.npy is a file, expected a folder", out="train.npy")
    refused("no/where is no folder; make it first", out="no/where/report")
    refused("all 200 rows of holdout are rows of train", holdout="train.npy")
    refused("shape must be two or three", "generated.npy", "--shape", "5x5")
    refused("memory must be finite and positive", "generated.npy", "--memory", "0")
    refused(
        "--features: .*command.py has an unknown ext",
        "generated.npy",
        "--features",
        __file__,
    )

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        refused("No space left")

    def read_only(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(audit_files.tempfile, "mkdtemp", read_only)
        refused("cannot be written to: Permission denied")

    def no_pillow(*_):
        raise ImportError("reading folders of images needs Pillow")

    with monkeypatch.context() as patch:
        patch.setattr(audit_files, "_read_folder", no_pillow)
        (files.folder / "folder").mkdir()
        before = sorted(files.folder.rglob("*"))
        refused("needs Pillow", "folder")


def test_what_was_not_foreseen_is_no_verdict(files, capsys, monkeypatch):
    """Status 1 means copying; a fault of the program has status 2, and is told."""

    def failing(*_, **__):
        raise ZeroDivisionError("somewhere deep")

    where = files.folder
    with monkeypatch.context() as patch:
        patch.setattr(auditing, "audit", failing)
        assert files("copies.npy") == 2
    message = capsys.readouterr().err
    assert message.endswith(
        f"empirical-score: the audit of {where}/train.npy {where}/copies.npy "
        f"{where}/holdout.npy failed: ZeroDivisionError: somewhere deep\n"
    )
    assert message.startswith("Traceback")  # for a report of the fault

    def exhausted(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(audit_report, "to_html", exhausted)
        assert files("copies.npy", holdout=None) == 2
    assert capsys.readouterr().err == "empirical-score: MemoryError\n"
    with monkeypatch.context() as patch:
        patch.setattr(audit_files.np, "concatenate", exhausted)
        twice = [str(where / "copies.npy")] * 2
        assert files("copies.npy", "--generated", *twice) == 2
    assert capsys.readouterr().err.startswith("empirical-score: --generated: ")
    assert not (where / "report").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: command"),
        (["audit"], "required: --train, --generated, --out"),
        (["audit", "--neighbors", "many"], "invalid int value"),
        (["audit", "--what"], "required"),
        *(
            (["audit", "--shape", word], f"expected ROWSxCOLUMNS, .*got '{word}'")
            for word in ("28x", "28", "0x3", "3x0", "2x-3", "2x3x4x5", "axb", "")
        ),
        *(
            (["audit", "--show", word], f"expected a whole number, got '{word}'")
            for word in ("-1", "few", "1.5", "")
        ),
    ],
)
def test_a_wrong_command_line_is_status_two(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert re.search(message, error) and error.startswith("usage: empirical-score")


def test_help_tells_options_defaults_formats_and_exit_status(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["audit", "--help"])
    assert stop.value.code == 0
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    defaults = {k: p.default for k, p in inspect.signature(es.audit).parameters.items()}
    for option in (*GIVEN, "--train", "--generated", "--holdout", "--out", "--force"):
        assert re.search(rf"{option}\b", text), option
    for name in SIZES:
        assert f"--{name} FILE [FILE ...]" in text
    for name in ("neighbors", "level", "confidence", "permutations", "seed"):
        assert re.search(rf"--{name} \S+ default {defaults[name]}\b", text), name
    assert "default 0.1" in text and "default 1/3" in text and "default 256" in text
    assert "0 no copying found, 1 copying found, 2 error, 3 undetermined" in text
