"""Where the files of the classic image sets are, and how they come to this machine.

Two places are looked at, in this order: the folder that ``EMPIRICAL_SCORE_DATA`` names,
which is never written to, and the user's cache folder.  Nothing is downloaded unless
:func:`locate` is told to; a download is checked against the official MD5 before it is
used and then takes its place in one step, so that a broken one leaves nothing behind.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

__all__ = ["SPLITS", "cache_folder", "find", "locate", "official_md5"]

VARIABLE = "EMPIRICAL_SCORE_DATA"
SPLITS = ("train", "test")


class Remote(NamedTuple):
    """A file on its official server: its MD5 there, and that of its content."""

    name: str
    md5: str
    content_md5: str | None = None  # uncompressed; other gzip wrappers are welcome


class ImageSet(NamedTuple):
    """An image set: its folder, its homes in order of preference, and its files."""

    folder: str
    homes: tuple[str, ...]
    remotes: dict[str, tuple[Remote, ...]]  # of each split


def _idx(*sums):
    """Return the four files of an IDX set, given the two MD5s of each."""
    kinds = "images-idx3", "labels-idx1"
    names = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in kinds]
    files = [Remote(name, *md5) for name, md5 in zip(names, sums, strict=True)]
    return {"train": tuple(files[:2]), "test": tuple(files[2:])}


CIFAR_FOLDER = "cifar-10-batches-bin"
# What the archive must hold, with sizes in bytes; nothing else is taken out of it.
CIFAR_MEMBERS = {f"data_batch_{i}.bin": 30_730_000 for i in range(1, 6)}
CIFAR_MEMBERS["test_batch.bin"] = 30_730_000
CIFAR_ARCHIVE = Remote("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530")

SETS = {
    "mnist": ImageSet(
        "mnist",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        _idx(
            ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
            ("d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
            ("9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
            ("ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
        ),
    ),
    "fashion_mnist": ImageSet(
        "fashion-mnist",
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/"
            "master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        _idx(
            ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
            ("25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"),
            ("bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"),
            ("bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"),
        ),
    ),
    "cifar10": ImageSet(
        CIFAR_FOLDER,
        ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
        dict.fromkeys(SPLITS, (CIFAR_ARCHIVE,)),
    ),
}


def cache_folder():
    """Return the folder of this library in the user's cache; it need not exist."""
    from platformdirs import user_cache_path

    return user_cache_path("empirical-score", appauthor=False)


def find(name, split):
    """Return the files of a split, in reading order, or None where they are absent.

    IDX sets give the images and the labels, compressed or not; CIFAR-10 gives all
    ``data_batch_*.bin`` by number, or the test batch.  Only presence is looked at.
    """
    for folder in _places(name, split):
        if paths := _files_in(folder, name, split):
            return paths
    return None


def locate(name, split, *, download=False):
    """Return the files of a split as :func:`find` does, downloaded where allowed.

    Raises ``FileNotFoundError`` where they are absent and ``download`` is false, and
    ``OSError`` where the download fails, which leaves nothing behind.
    """
    if (paths := find(name, split)) is None and download:
        _fetch(name, split)
        paths = find(name, split)
    if paths is None:
        places = " and in ".join(map(str, _places(name, split)))
        given = os.environ.get(VARIABLE)
        unset = "which is not set" if not given else f"which is now {given!r}"
        raise FileNotFoundError(
            f"{name} ({split}) is not on this machine: looked in {places}. "
            f"Either let the environment variable {VARIABLE}, {unset}, name a folder "
            f"with {SETS[name].folder}{os.sep}{_wanted(name, split)}, or allow the "
            f"download: datasets.{name}({split!r}, download=True)"
        )
    return paths


def official_md5(name, split):
    """Return the MD5s of the uncompressed files of an IDX set, in reading order."""
    return tuple(remote.content_md5 for remote in SETS[name].remotes[split])


def _places(name, split):
    if name not in SETS:
        raise ValueError(f"name must be one of {', '.join(SETS)}, got {name!r}")
    if split not in SPLITS:
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    given = os.environ.get(VARIABLE)
    roots = [Path(given).expanduser().absolute()] if given else []
    return [root / SETS[name].folder for root in [*roots, cache_folder()]]


def _files_in(folder, name, split):
    if name == "cifar10":
        pattern = r"data_batch_(\d+)\.bin" if split == "train" else r"test_batch()\.bin"
        names = os.listdir(folder) if os.path.isdir(folder) else []
        found = [match for match in (re.fullmatch(pattern, n) for n in names) if match]
        found.sort(key=lambda match: int(match[1] or 0))
        return tuple(folder / match[0] for match in found) or None
    paths = []
    for remote in SETS[name].remotes[split]:
        pair = folder / remote.name, folder / remote.name.removesuffix(".gz")
        paths += [path for path in pair if os.path.exists(path)][:1]
    return tuple(paths) if len(paths) == len(SETS[name].remotes[split]) else None


def _wanted(name, split):
    if name == "cifar10":
        return "data_batch_*.bin" if split == "train" else "test_batch.bin"
    return " and ".join(remote.name for remote in SETS[name].remotes[split])


def _fetch(name, split):
    """Download what is missing of a split into the cache, each piece in one step."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / SETS[name].folder
    with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as scratch:
        if name == "cifar10":
            if target.exists() and find(name, split) is None:
                wanted = _wanted(name, split)
                raise FileExistsError(
                    f"{target} exists without {wanted}: move it away to download anew"
                )
            archive = _download(SETS[name], CIFAR_ARCHIVE, scratch)
            _take_place(_unpack_cifar(archive, Path(scratch, CIFAR_FOLDER)), target)
            return
        for remote in SETS[name].remotes[split]:
            path = target / remote.name
            if not (path.exists() or path.with_suffix("").exists()):
                downloaded = _download(SETS[name], remote, scratch)
                target.mkdir(exist_ok=True)
                _take_place(downloaded, path)


def _download(image_set, remote, folder):
    """Download one file into a folder from the first home that has it intact."""
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            "downloading needs pooch and tqdm: pip install 'empirical-score[images]'"
        ) from error
    downloader = pooch.HTTPDownloader(
        progressbar=True,
        chunk_size=2**16,
        headers={"Accept-Encoding": "identity"},  # the bytes that the MD5 is of
    )
    reasons = []
    for home in image_set.homes:
        try:
            md5 = f"md5:{remote.md5}"
            path = pooch.retrieve(
                home + remote.name, md5, remote.name, folder, downloader=downloader
            )
            return Path(path)
        except (OSError, ValueError) as error:
            reasons.append(f"{home + remote.name}: {error}")
    raise OSError(
        f"{remote.name} could not be downloaded, and nothing was kept. "
        + "; ".join(reasons)
    )


def _unpack_cifar(archive, folder):
    """Take the expected files out of the archive, to names of our own choosing."""
    import tarfile

    folder.mkdir()
    missing = dict(CIFAR_MEMBERS)
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            parent, _, name = member.name.rpartition("/")
            if parent != CIFAR_FOLDER or name not in missing:
                continue
            if not member.isfile() or member.size != missing.pop(name):
                raise ValueError(
                    f"{archive.name} holds {member.name} with {member.size} bytes, "
                    f"expected a plain file of {CIFAR_MEMBERS[name]}"
                )
            with tar.extractfile(member) as source, open(folder / name, "xb") as file:
                shutil.copyfileobj(source, file)
    if missing:
        raise ValueError(f"{archive.name} lacks {', '.join(missing)}")
    return folder


def _take_place(source, target):
    """Rename a finished file or folder, unless another process was faster."""
    try:
        if not target.exists():
            os.rename(source, target)
    except OSError:
        if not target.exists():
            raise
