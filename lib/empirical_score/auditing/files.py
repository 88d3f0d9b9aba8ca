"""Files in and out of an audit: arrays and images are read, a report is written.

Readable are NumPy's ``.npy`` and ``.npz`` (never pickles), IDX files (MNIST and its
descendants), CIFAR-10 ``.bin`` files and folders of images.  Bytes become float32 in
[-1, 1]; other numbers stay as they are.  Whatever is wrong with a file raises a
``ValueError`` or an ``OSError`` that names it.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from ..data import image_files

__all__ = ["Output", "read"]

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif")
KNOWN = ".npy, .npz, an IDX file (*-ubyte, *-ubyte.gz, .idx), a CIFAR-10 .bin file"


def read(paths):
    """Read one or several files or folders, one set of points or images after another.

    ``paths`` is a list; ``file.npz:name`` is one array of a ``.npz`` file that holds
    several.  Returns an array ``(n, ...)``.
    """
    parts = [_read(str(path)) for path in paths]
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) > 1:
        found = ", ".join(
            f"{part.shape[1:]} in {path}"
            for part, path in zip(parts, paths, strict=True)
        )
        raise ValueError(f"the items must have one shape, got {found}")
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class Output:
    """A folder that is written all at once, or not at all.

    The constructor checks that it can be written and that nothing is overwritten, so
    that a long computation does not end in an error; ``force`` allows files of the same
    name to be replaced, and touches no others.
    """

    def __init__(self, folder, names, *, force=False):
        self.folder = Path(folder)
        if self.folder.exists():
            if not self.folder.is_dir():
                raise FileExistsError(f"{folder} is a file, expected a folder")
            there = [name for name in names if (self.folder / name).exists()]
            if there and not force:
                raise FileExistsError(
                    f"{folder} holds {' and '.join(there)}, which would be "
                    "overwritten; choose another folder or add --force"
                )
        parent = self.folder if self.folder.exists() else self.folder.absolute().parent
        if not parent.is_dir():
            raise FileNotFoundError(f"{parent} is no folder; make it first")
        try:
            self.draft = Path(tempfile.mkdtemp(prefix=".audit-", dir=parent))
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"{parent} cannot be written to: {reason}") from error

    def write(self, contents):
        """Write texts, a dictionary by file name; each appears complete or not."""
        try:
            for name, text in contents.items():
                with open(self.draft / name, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
            self.draft.chmod(0o755)
            if self.folder.exists():
                for name in contents:
                    os.replace(self.draft / name, self.folder / name)
            else:
                os.rename(self.draft, self.folder)
        finally:
            self.discard()

    def discard(self):
        """Remove what was drafted."""
        shutil.rmtree(self.draft, ignore_errors=True)


def _read(name):
    path, _, key = name.partition(".npz:")
    path = Path(path + ".npz" if key else name)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir():
        return _pixels(_read_folder(path))
    if path.suffix in (".npy", ".npz"):
        return _pixels(_load(path, key))
    if path.suffix == ".bin":
        return image_files.to_pixels(
            image_files.read_cifar([path])[0].reshape(-1, 32, 32, 3)
        )
    if "ubyte" in path.name or path.suffix == ".idx":
        shape = image_files.idx_shape(path)
        if not shape:
            raise ValueError(f"{path} holds labels, expected images")
        items = image_files.read_idx(path, shape)
        return image_files.to_pixels(items.reshape(-1, *shape))
    raise ValueError(
        f"{path} has an unknown extension; expected {KNOWN} or a folder of images"
    )


def _read_npz(arrays, path, key):
    names = arrays.files
    if not key:
        if len(names) != 1:
            raise ValueError(
                f"{path} holds {len(names)} arrays ({', '.join(names)}); "
                f"name one: {path}:NAME"
            )
        key = names[0]
    if key not in names:
        raise ValueError(f"{path} holds no {key!r}, only {', '.join(names)}")
    return _guarded(path, lambda: arrays[key])


def _load(path, key):
    with open(path, "rb") as file:
        loaded = _guarded(path, lambda: np.load(file, allow_pickle=False))
        zipped = not isinstance(loaded, np.ndarray)
        if zipped != (path.suffix == ".npz"):
            raise ValueError(f"{path} is not what its extension says")
        return _read_npz(loaded, path, key) if zipped else loaded


def _guarded(path, load):
    try:
        return load()
    except Exception as error:  # a damaged file can make NumPy fail in any way
        if "pickle" in str(error):
            raise ValueError(
                f"{path} holds Python objects or is no NumPy file; expected numbers "
                "(pickles are never read, as they can run code)"
            ) from error
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path} is damaged or no NumPy file: {reason}") from error


def _read_folder(folder):
    """Read all images of a folder, in the order of their names."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGES)
    if not paths:
        raise ValueError(
            f"{folder} holds no images ({', '.join(IMAGES)}); a folder of .bin or "
            "IDX files holds several sets: name the files"
        )
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("reading folders of images needs Pillow") from error
    out = None
    for number, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                grey = image.mode in ("1", "L", "I", "I;16", "F")
                pixels = np.asarray(image.convert("L" if grey else "RGB"))
        except Exception as error:  # as above, of Pillow
            reason = str(error) or type(error).__name__
            raise ValueError(f"{path} is no readable image: {reason}") from error
        if out is None:
            out = np.empty((len(paths), *pixels.shape), dtype=np.uint8)
        if pixels.shape != out.shape[1:]:
            raise ValueError(
                f"{path} has shape {pixels.shape}, but {paths[0].name} has "
                f"{out.shape[1:]}; expected images of one size, all grey or all colored"
            )
        out[number] = pixels
    return out


def _pixels(array):
    if array.dtype == np.uint8 and array.ndim > 1:
        return image_files.to_pixels(array)
    return array
