"""The command, its files and its report: read, broken, written, looked into."""

import gzip
import json
import os
import re
import struct
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import empirical_score as es
from empirical_score import audit_files, audit_pictures, audit_report, cli

RNG = np.random.default_rng(0)
BYTES = RNG.integers(256, size=(6, 9, 8), dtype=np.uint8)
COLORS = RNG.integers(256, size=(5, 9, 8, 3), dtype=np.uint8)


def as_numbers(pixels):
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)


def idx(array):
    sizes = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return sizes + array.tobytes()


def folder_of(path, images):
    path.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(path / f"{number:03}.png")
    return path


# ---- Reading ---------------------------------------------------------------------


def test_every_format_gives_the_same_numbers(tmp_path):
    np.save(tmp_path / "a.npy", BYTES)
    np.savez(tmp_path / "a.npz", BYTES)
    np.savez_compressed(tmp_path / "two.npz", other=BYTES[:1], images=BYTES)
    (tmp_path / "a-idx3-ubyte").write_bytes(idx(BYTES))
    (tmp_path / "a-idx3-ubyte.gz").write_bytes(gzip.compress(idx(BYTES)))
    (tmp_path / "a.idx").write_bytes(idx(BYTES))
    folder_of(tmp_path / "grey", BYTES)
    names = "a.npy a.npz two.npz:images a-idx3-ubyte a-idx3-ubyte.gz a.idx grey".split()
    for name in names:
        found = audit_files.read([tmp_path / name])
        assert found.dtype == np.float32, name
        np.testing.assert_array_equal(found, as_numbers(BYTES), err_msg=name)
    folder_of(tmp_path / "colors", COLORS)
    found = audit_files.read([tmp_path / "colors"])
    np.testing.assert_array_equal(found, as_numbers(COLORS))
    joined = audit_files.read([tmp_path / "a.npy", tmp_path / "grey"])
    np.testing.assert_array_equal(joined, as_numbers(np.concatenate([BYTES, BYTES])))


def test_other_numbers_stay_and_cifar_is_read(tmp_path):
    values = RNG.standard_normal((4, 3))
    np.save(tmp_path / "x.npy", values)
    np.testing.assert_array_equal(audit_files.read([tmp_path / "x.npy"]), values)
    record = bytes([3]) + RNG.integers(256, size=3072, dtype=np.uint8).tobytes()
    (tmp_path / "data_batch_1.bin").write_bytes(record * 2)
    found = audit_files.read([tmp_path / "data_batch_1.bin"])
    assert found.shape == (2, 32, 32, 3)
    assert found[0, 0, 0, 2] == as_numbers(np.uint8(record[1 + 2048]))


def broken_files(folder):
    """Every broken file: its name, and what must be said of it."""
    np.save(folder / "good.npy", BYTES)
    whole = (folder / "good.npy").read_bytes()
    (folder / "truncated.npy").write_bytes(whole[:-50])
    (folder / "header.npy").write_bytes(whole[:20])
    (folder / "empty.npy").write_bytes(b"")
    (folder / "text.npy").write_text("1 2 3\n4 5 6\n")
    np.save(folder / "pickled.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    np.savez(folder / "two.npz", a=BYTES, b=BYTES)
    zipped = (folder / "two.npz").read_bytes()
    (folder / "truncated.npz").write_bytes(zipped[: len(zipped) // 2])
    (folder / "really.npz").write_bytes(whole)
    np.savez(folder / "objects.npz", a=np.array([{}], dtype=object))
    (folder / "labels-idx1-ubyte").write_bytes(idx(BYTES[:, 0, 0]))
    (folder / "short-idx3-ubyte").write_bytes(idx(BYTES)[:-9])
    (folder / "cut-idx3-ubyte.gz").write_bytes(gzip.compress(idx(BYTES))[:-30])
    (folder / "nonsense-ubyte").write_bytes(b"nonsense")
    (folder / "odd.bin").write_bytes(b"x" * 3072)
    (folder / "table.csv").write_text("1,2\n")
    (folder / "empty").mkdir()
    mixed = folder_of(folder / "mixed", BYTES)
    Image.fromarray(BYTES[0][:5]).save(mixed / "zz.png")
    colored = folder_of(folder / "colored", BYTES)
    Image.fromarray(COLORS[0]).save(colored / "zz.png")
    damaged = folder_of(folder / "damaged", BYTES)
    png = (damaged / "000.png").read_bytes()
    (damaged / "001.png").write_bytes(png[: len(png) // 2])
    return {
        "nowhere.npy": "does not exist",
        "truncated.npy": "damaged",
        "header.npy": "damaged",
        "empty.npy": "damaged",
        "text.npy": "holds Python objects or is no NumPy file",
        "pickled.npy": "holds Python objects.*pickles are never read",
        "two.npz": "holds 2 arrays .a, b.; name one",
        "two.npz:c": "holds no 'c', only a, b",
        "truncated.npz": "damaged",
        "really.npz": "not what its extension says",
        "objects.npz": "holds Python objects",
        "labels-idx1-ubyte": "holds labels, expected images",
        "short-idx3-ubyte": "is truncated",
        "cut-idx3-ubyte.gz": "damaged gzip",
        "nonsense-ubyte": "starts with the bytes",
        "odd.bin": "positive multiple of 3073",
        "table.csv": "unknown extension; expected .npy",
        "empty": "holds no images",
        "mixed": r"zz.png has shape \(5, 8\), but 000.png has \(9, 8\)",
        "colored": r"zz.png has shape \(9, 8, 3\)",
        "damaged": "001.png is no readable image",
    }


def test_broken_files_are_refused_by_name(tmp_path):
    for name, message in broken_files(tmp_path).items():
        with pytest.raises((ValueError, OSError)) as caught:
            audit_files.read([tmp_path / name])
        text = str(caught.value)
        assert re.search(message, text), f"{name}: {text}"
        assert name.partition(".npz:")[0] in text, f"{name}: {text}"


def test_sets_of_several_files_have_one_shape(tmp_path):
    np.save(tmp_path / "a.npy", BYTES)
    np.save(tmp_path / "b.npy", BYTES[:, :4])
    with pytest.raises(ValueError, match=r"one shape, got \(9, 8\) in .*a.npy, \(4, 8"):
        audit_files.read([tmp_path / "a.npy", tmp_path / "b.npy"])


# ---- The command -------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    """A clean set, one with copies, and the command line that audits them."""
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
    return run


SIZES = {"train": 200, "generated": 150, "holdout": 150}


def test_exit_status_and_report(files, capsys):
    assert files() == 0
    assert files("copies.npy", out="second") == 1
    out = capsys.readouterr().out
    assert "No copying found" in out and "Copying found: 30 of 150" in out
    np.save(files.folder / "one.npy", np.load(files.folder / "generated.npy")[:1])
    assert files("one.npy", holdout=None, out="third") == 3
    record = json.loads((files.folder / "second" / "audit.json").read_text())
    assert record["copying"] is True
    assert record["inputs"]["train files"].endswith("train.npy")
    sets = [np.load(files.folder / f"{n}.npy") for n in ("train", "copies", "holdout")]
    found = es.audit(*sets, permutations=199)
    assert {k: v for k, v in record.items() if k != "inputs"} == json.loads(
        json.dumps(found.to_dict())
    )


def test_nothing_is_overwritten_without_force(files, capsys):
    assert files() == 0
    page = files.folder / "report" / "index.html"
    before = page.read_bytes()
    other = files.folder / "report" / "notes.txt"
    other.write_text("mine")
    assert files("copies.npy") == 2
    assert "add --force" in capsys.readouterr().err
    assert page.read_bytes() == before
    assert files("copies.npy", "--force") == 1
    assert page.read_bytes() != before and other.read_text() == "mine"
    assert sorted(p.name for p in page.parent.iterdir()) == [
        "audit.json",
        "index.html",
        "notes.txt",
    ]


def test_errors_leave_nothing_behind(files, capsys, monkeypatch):
    before = sorted(files.folder.rglob("*"))
    np_file = files.folder / "train.npy"
    assert files("nowhere.npy") == 2
    assert "nowhere.npy does not exist" in capsys.readouterr().err
    assert files(out="train.npy") == 2
    assert "is a file, expected a folder" in capsys.readouterr().err
    assert files(out="no/where/report") == 2
    assert "make it first" in capsys.readouterr().err
    assert files(holdout="train.npy") == 2
    assert "all 200 rows of holdout are rows of train" in capsys.readouterr().err
    assert files("generated.npy", "--shape", "5x5") == 2
    assert "shape must be" in capsys.readouterr().err

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert files() == 2
    assert "No space left" in capsys.readouterr().err

    def read_only(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(audit_files.tempfile, "mkdtemp", read_only)
        assert files() == 2
    assert "cannot be written to: Permission denied" in capsys.readouterr().err
    assert sorted(files.folder.rglob("*")) == before and np_file.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: command"),
        (["audit"], "required: --train, --generated, --out"),
        (["audit", "--shape", "28x"], "expected ROWSxCOLUMNS"),
        (["audit", "--neighbors", "many"], "invalid int value"),
        (["audit", "--what"], "required"),
    ],
)
def test_a_wrong_command_line_is_status_two(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


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
    assert done.stdout.startswith("No copying found") and "%" in done.stderr
    assert "distances" not in done.stdout


def test_features_from_files(files):
    for name in SIZES:
        values = np.load(files.folder / f"{name}.npy").reshape(-1, 72)
        np.save(files.folder / f"{name}-f.npy", values[:, :20])
    paths = [str(files.folder / f"{name}-f.npy") for name in SIZES]
    assert files("generated.npy", "--features", *paths) == 0
    record = json.loads((files.folder / "report" / "audit.json").read_text())
    assert record["settings"]["dimension"] == 20 and record["settings"]["features"]


def test_the_console_script_is_this_command():
    project = Path(__file__).parents[2] / "pyproject.toml"
    scripts = tomllib.loads(project.read_text())["project"]["scripts"]
    module, _, name = scripts["empirical-score"].partition(":")
    assert module == cli.__name__ and getattr(cli, name) is cli.main


# ---- The report ----------------------------------------------------------------------


class Page(HTMLParser):
    """Collects what the page loads, and its images and headings."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.images, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if tag not in ("meta", "img", "br", "source"):
            self.open.append(tag)
        for key in ("src", "href", "srcset"):
            if key in attributes:
                self.links.append(attributes[key])
        if tag == "img":
            self.images.append(attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def copied():
    rng = np.random.default_rng(2)
    train, generated, holdout = (rng.random((n, 64)) for n in (200, 150, 150))
    generated[:20] = train[:20]
    return train, generated, es.audit(train, generated, holdout, permutations=199)


def test_the_page_is_self_contained_and_accessible(copied):
    train, generated, audit = copied
    text = audit_report.to_html(audit, train, generated, inputs={"a<b": "<script>"})
    page = Page(text)
    assert page.open == []
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert "script" not in page.tags and "<script>" not in text
    assert "//" not in re.sub("base64,[A-Za-z0-9+/=]+", "", text)
    assert len(page.images) == 2 + 2 * 24
    assert all(image["alt"] for image in page.images)
    assert page.tags.count("h1") == 1 and 'lang="en"' in text
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text
    for words in ("Copying found", "8x8 (inferred)", "sample 3, training 3", "flagged"):
        assert words in text


def test_data_that_are_no_images_come_as_a_table(copied):
    train, generated, audit = copied
    text = audit_report.to_html(audit, train, generated, shape=False, count=7)
    assert len(Page(text).images) == 2 and text.count("<td>flagged</td>") == 7


def test_without_matplotlib_the_page_has_words_for_the_figures(copied, monkeypatch):
    train, generated, audit = copied
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = audit_report.to_html(audit, train, generated)
    assert "matplotlib is absent" in text and len(Page(text).images) == 48


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 3)])
def test_png_files_are_what_pillow_reads(shape, tmp_path):
    pixels = RNG.integers(256, size=shape, dtype=np.uint8)
    (tmp_path / "x.png").write_bytes(audit_pictures.png(pixels))
    with Image.open(tmp_path / "x.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_thumbnails_and_inferred_shapes():
    rows = np.array([[-1.0, 1.0, 0.0, 3.0]])
    found = audit_pictures.thumbnails(rows, (2, 2), -1.0, 1.0)
    assert found.tolist() == [[[0, 255], [128, 255]]]
    channels = RNG.random((2, 3 * 16))
    first = audit_pictures.thumbnails(channels, (3, 4, 4), 0.0, 1.0)
    last = channels.reshape(2, 3, 4, 4).transpose(0, 2, 3, 1).reshape(2, -1)
    last = audit_pictures.thumbnails(last, (4, 4, 3), 0.0, 1.0)
    np.testing.assert_array_equal(first, last)
    infer = audit_pictures.infer_shape
    assert infer(784) == (28, 28) and infer(3072) == (32, 32, 3)
    assert infer(49) is None and infer(1000) is None
