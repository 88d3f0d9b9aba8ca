"""Where image files are found, and downloads from a server on this machine."""

import gzip
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from small_images import CIFAR, COLORS, IMAGES, LABELS, idx

from empirical_score import datasets
from empirical_score.data import downloads

HERE = Path(__file__).parent
FILES = {"train-images-idx3-ubyte.gz": IMAGES, "train-labels-idx1-ubyte.gz": LABELS}
SERVED = {name: gzip.compress(idx(array), mtime=0) for name, array in FILES.items()}


def md5(data):
    return hashlib.md5(data).hexdigest()


def mnist_from(*homes):
    """MNIST's entry for our small files, with their checksums."""
    remotes = tuple(
        downloads.Remote(name, md5(data), md5(idx(FILES[name])))
        for name, data in SERVED.items()
    )
    return downloads.ImageSet("mnist", homes, {"train": remotes, "test": remotes})


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, no EMPIRICAL_SCORE_DATA, no proxy."""
    monkeypatch.delenv("EMPIRICAL_SCORE_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def server():
    """A server on 127.0.0.1 of ``files``; it can break off or wait for company."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            home = self.server
            home.requests[self.path] += 1
            home.encodings.add(self.headers["Accept-Encoding"])
            data = home.files.get(self.path.removeprefix("/"))
            if data is None:
                self.send_error(404)
                return
            if home.company is not None:
                home.company.wait(timeout=25)
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if home.breaks_off else data)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        files, breaks_off, company = dict(SERVED), False, None

    home = Server(("127.0.0.1", 0), Handler)
    home.requests, home.encodings = Counter(), set()
    home.url = f"http://127.0.0.1:{home.server_port}/"
    thread = threading.Thread(target=home.serve_forever, args=(0.01,))
    thread.start()
    yield home
    home.shutdown()
    thread.join()
    home.server_close()


@pytest.fixture
def mnist(server, cache, monkeypatch):
    monkeypatch.setitem(downloads.SETS, "mnist", mnist_from(server.url))


def files_under(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_nothing_is_downloaded_without_being_asked(server, mnist, cache):
    assert not datasets.available("mnist")
    with pytest.raises(FileNotFoundError) as error:
        datasets.mnist()
    assert str(error.value) == (
        f"mnist (train) is not on this machine: looked in {cache / 'mnist'}. Either "
        "let the environment variable EMPIRICAL_SCORE_DATA, which is not set, name a "
        "folder with mnist/train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz, "
        "or allow the download: datasets.mnist('train', download=True)"
    )
    for split, wanted in (("train", "data_batch_*.bin"), ("test", "test_batch.bin")):
        with pytest.raises(FileNotFoundError) as error:
            datasets.cifar10(split)
        assert f"with cifar-10-batches-bin/{wanted}, or allow" in str(error.value)
    assert not cache.exists() and not server.requests


def test_download_then_use_without_the_network(server, mnist, cache, capfd):
    images, labels = datasets.mnist(download=True)
    assert "100%" in capfd.readouterr().err
    np.testing.assert_array_equal(np.rint((images + 1) * 127.5), IMAGES.reshape(7, 784))
    np.testing.assert_array_equal(labels, LABELS)
    assert files_under(cache) == ["mnist", *SERVED]
    assert datasets.available("mnist", "train")
    server.files = {}
    again, _ = datasets.mnist(download=True)
    np.testing.assert_array_equal(again, images)
    assert datasets.fingerprint("mnist") == hashlib.sha256(IMAGES).hexdigest()
    assert set(server.requests.values()) == {1}
    assert server.encodings == {"identity"}


@pytest.mark.parametrize("fault", ["checksum", "breaks off", "absent", "no server"])
def test_a_failed_download_leaves_nothing(server, mnist, cache, monkeypatch, fault):
    name = "train-images-idx3-ubyte.gz"
    if fault == "checksum":
        server.files = {**SERVED, name: SERVED[name] + b"\0"}
    server.breaks_off = fault == "breaks off"
    if fault == "absent":
        server.files = {}
    if fault == "no server":
        closed = mnist_from("http://127.0.0.1:9/")
        monkeypatch.setitem(downloads.SETS, "mnist", closed)
    with pytest.raises(OSError, match=f"{name} could not be downloaded.*nothing was"):
        datasets.mnist(download=True)
    assert files_under(cache) == []
    assert not datasets.available("mnist")


def test_a_file_that_is_there_is_not_touched(server, mnist, cache):
    """Neither a good one, while the other fails, nor a bad one."""
    (cache / "mnist").mkdir(parents=True)
    good = cache / "mnist" / "train-images-idx3-ubyte"
    good.write_bytes(idx(IMAGES))
    stamp = good.stat().st_mtime_ns
    server.breaks_off = True
    with pytest.raises(OSError, match="train-labels-idx1-ubyte.gz could not be"):
        datasets.mnist(download=True)
    assert files_under(cache) == ["mnist", good.name]
    server.breaks_off = False
    datasets.mnist(download=True)
    assert good.read_bytes() == idx(IMAGES) and good.stat().st_mtime_ns == stamp
    assert "/train-images-idx3-ubyte.gz" not in server.requests
    good.write_bytes(idx(IMAGES)[:-5])
    with pytest.raises(ValueError, match="is truncated") as error:
        datasets.mnist(download=True)
    assert "left alone" in error.value.__notes__[0]
    assert good.read_bytes() == idx(IMAGES)[:-5]


def test_the_second_home_serves_when_the_first_fails(server, cache, monkeypatch):
    homes = server.url + "gone/", server.url
    monkeypatch.setitem(downloads.SETS, "mnist", mnist_from(*homes))
    images, _ = datasets.mnist(download=True)
    np.testing.assert_array_equal(np.rint((images + 1) * 127.5), IMAGES.reshape(7, 784))
    asked = [f"/{home}{name}" for name in SERVED for home in ("gone/", "")]
    assert list(server.requests) == asked and set(server.requests.values()) == {1}


def test_a_failure_everywhere_is_told_of_every_home(server, cache, monkeypatch):
    homes = server.url + "one/", server.url + "two/"
    monkeypatch.setitem(downloads.SETS, "mnist", mnist_from(*homes))
    with pytest.raises(
        OSError, match=f"{homes[0]}train-images.*404.*; {homes[1]}train"
    ):
        datasets.mnist(download=True)


TWO = """
import sys, pathlib
sys.path[:0] = sys.argv[3:]
import test_downloads
from empirical_score import datasets
from empirical_score.data import downloads
downloads.cache_folder = lambda: pathlib.Path(sys.argv[1])
downloads.SETS["mnist"] = test_downloads.mnist_from(sys.argv[2])
print(datasets.fingerprint("mnist") if datasets.mnist(download=True) else None)
"""


def test_two_processes_at_once(server, cache):
    """The server answers only when both have asked for the same file."""
    server.company = threading.Barrier(2)
    command = [
        sys.executable,
        "-c",
        TWO,
        str(cache),
        server.url,
        str(HERE),
        str(HERE.parent),
    ]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen(command, **streams) as one,
        subprocess.Popen(command, **streams) as two,
    ):
        for process in (one, two):
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
            assert out.strip() == hashlib.sha256(IMAGES).hexdigest()
    assert set(server.requests.values()) == {2}
    assert files_under(cache) == ["mnist", *SERVED]


def archive(members):
    """A compressed tar of (name, bytes or the target of a link)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                info.size = len(BATCHES["data_batch_1.bin"])
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


FOLDER = "cifar-10-batches-bin/"
BATCHES = {"data_batch_1.bin": CIFAR[:6146], "data_batch_2.bin": CIFAR[6146:]}
BATCHES["test_batch.bin"] = CIFAR[3073:6146]
MEMBERS = [(FOLDER + name, data) for name, data in BATCHES.items()]


@pytest.fixture
def serve_cifar(server, cache, monkeypatch):
    def serve(members):
        data = archive(members)
        remote = downloads.CIFAR_ARCHIVE._replace(md5=md5(data))
        server.files = {remote.name: data}
        home = downloads.SETS["cifar10"]._replace(homes=(server.url,))
        sizes = {name: len(data) for name, data in BATCHES.items()}
        monkeypatch.setitem(downloads.SETS, "cifar10", home)
        monkeypatch.setattr(downloads, "CIFAR_ARCHIVE", remote)
        monkeypatch.setattr(downloads, "CIFAR_MEMBERS", sizes)

    return serve


def test_cifar_comes_out_of_its_archive_and_nothing_else_does(serve_cifar, cache):
    evil = [
        ("../evil.bin", b"x"),
        (str(cache / "evil.bin"), b"x"),
        (FOLDER + "../evil.bin", b"x"),
        ("elsewhere/data_batch_1.bin", b"x"),
        (FOLDER + "sub/data_batch_1.bin", b"x"),
        (FOLDER + "readme.html", b"x"),
        (FOLDER + "data_batch_9.bin", CIFAR),
    ]
    serve_cifar(evil + MEMBERS + [(FOLDER + "data_batch_1.bin", b"again")])
    images, labels = datasets.cifar10(download=True)
    np.testing.assert_array_equal(labels, [1, 0, 9, 4, 4])
    np.testing.assert_array_equal(np.rint((images + 1) * 127.5), COLORS.reshape(5, -1))
    assert datasets.cifar10("test")[1] == [0]
    assert files_under(cache) == [FOLDER.strip("/"), *BATCHES]
    assert files_under(cache.parent) == ["cache", FOLDER.strip("/"), *BATCHES]
    assert datasets.fingerprint("cifar10") == hashlib.sha256(COLORS).hexdigest()


BAD_ARCHIVES = {
    "a member is missing": (MEMBERS[1:], "lacks data_batch_1.bin"),
    "of a wrong size": ([(MEMBERS[0][0], b"x"), *MEMBERS[1:]], "expected a plain file"),
    "a link": ([(MEMBERS[0][0], "/etc/passwd"), *MEMBERS[1:]], "expected a plain file"),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_an_archive_with_other_content_leaves_nothing(serve_cifar, cache, case):
    members, message = BAD_ARCHIVES[case]
    serve_cifar(members)
    with pytest.raises(ValueError, match=message):
        datasets.cifar10(download=True)
    assert files_under(cache) == []


def test_a_cifar_folder_that_is_there_is_not_touched(serve_cifar, server, cache):
    serve_cifar(MEMBERS)
    folder = cache / FOLDER
    folder.mkdir(parents=True)
    (folder / "data_batch_1.bin").write_bytes(CIFAR)
    assert datasets.cifar10(download=True)[0].shape == (5, 3072)
    with pytest.raises(FileExistsError, match="exists without test_batch.bin: move"):
        datasets.cifar10("test", download=True)
    assert files_under(cache) == [FOLDER.strip("/"), "data_batch_1.bin"]
    assert not server.requests


def test_who_is_first_to_finish_a_folder_keeps_it(serve_cifar, cache, monkeypatch):
    """Another process takes the place after this one looked, and before it renames."""
    serve_cifar(MEMBERS)

    def too_late(source, target):
        shutil.copytree(source, target)
        (target / "first").touch()
        raise OSError(39, "Directory not empty")

    monkeypatch.setattr(downloads.os, "rename", too_late)
    assert datasets.cifar10(download=True)[0].shape == (5, 3072)
    assert files_under(cache) == sorted([FOLDER.strip("/"), *BATCHES, "first"])


def test_a_folder_that_cannot_be_renamed_is_told(serve_cifar, cache, monkeypatch):
    serve_cifar(MEMBERS)

    def refuse(source, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(downloads.os, "rename", refuse)
    with pytest.raises(PermissionError):
        datasets.cifar10(download=True)
    assert files_under(cache) == []


def test_the_cache_is_the_users(monkeypatch, tmp_path):
    if sys.platform != "linux":
        pytest.skip("other systems have other places")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert downloads.cache_folder() == tmp_path / "empirical-score"


def test_compressed_files_come_first_and_both_splits_are_told_apart(cache):
    folder = cache / "mnist"
    folder.mkdir(parents=True)
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        assert not datasets.available("mnist", "test")
        (folder / name).touch()
    names = [path.name for path in downloads.find("mnist", "test")]
    assert names == ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
    (folder / "t10k-labels-idx1-ubyte.gz").touch()
    assert downloads.find("mnist", "test")[1].name == "t10k-labels-idx1-ubyte.gz"
    assert downloads.find("mnist", "train") is None
    assert datasets.available("mnist", "test") and not datasets.available("mnist")


def test_the_folder_of_the_variable_comes_first(cache, tmp_path, monkeypatch, mnist):
    monkeypatch.setenv("EMPIRICAL_SCORE_DATA", str(tmp_path / "mine"))
    with pytest.raises(FileNotFoundError) as error:
        datasets.mnist("test")
    places = f"{tmp_path / 'mine' / 'mnist'} and in {cache / 'mnist'}"
    assert f"mnist (test) is not on this machine: looked in {places}." in str(
        error.value
    )
    assert f"which is now '{tmp_path / 'mine'}', name a folder" in str(error.value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("mine", "~/mine"):
        monkeypatch.setenv("EMPIRICAL_SCORE_DATA", given)
        with pytest.raises(FileNotFoundError, match=re.escape(places)):
            datasets.mnist("test")
    for place, order in ((cache, 1), (tmp_path / "mine", -1)):
        (place / FOLDER).mkdir(parents=True)
        (place / FOLDER / "data_batch_2.bin").write_bytes(CIFAR[3073:])
        (place / FOLDER / "data_batch_10.bin").write_bytes(CIFAR[:3073] * 2)
        (place / FOLDER / "data_batch_10.bin.part").write_bytes(b"not this")
        if order == -1:
            (place / FOLDER / "data_batch_2.bin").write_bytes(CIFAR[:3073])
        assert datasets.available("cifar10", "train")
        assert not datasets.available("cifar10")
        wanted = [0, 9, 4, 4, 1, 1] if order == 1 else [1, 1, 1]
        np.testing.assert_array_equal(datasets.cifar10()[1], wanted)
    datasets.mnist(download=True)
    assert files_under(tmp_path / "mine" / "mnist") == []


def test_wrong_arguments(cache):
    with pytest.raises(ValueError, match="name must be one of mnist, fash.*'emnist'"):
        datasets.available("emnist")
    with pytest.raises(ValueError, match="split must be 'train' or 'test', got 'all'"):
        datasets.cifar10("all")
    with pytest.raises(ValueError, match="limit must be a positive integer, got 0"):
        datasets.mnist(limit=0)


def test_the_official_table():
    """Every file has an address and full MD5s, and the archive is CIFAR's."""
    for entry in downloads.SETS.values():
        assert entry.homes and all(home.endswith("/") for home in entry.homes)
        remotes = [remote for pair in entry.remotes.values() for remote in pair]
        sums = [r.md5 for r in remotes] + [r.content_md5 or r.md5 for r in remotes]
        assert all(len(bytes.fromhex(one)) == 16 for one in sums)
    assert sum(downloads.CIFAR_MEMBERS.values()) == 60_000 * 3073


def test_reading_needs_no_downloader(tmp_path):
    """Neither importing nor looking for files imports what only downloads need."""
    script = (
        "import sys; from empirical_score import datasets; datasets.available('mnist');"
        "print({'pooch', 'requests', 'tqdm', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
