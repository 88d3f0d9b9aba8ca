"""The files of an audit: read, broken, written."""

import gzip
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from empirical_score.auditing import files as audit_files

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


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    """Whatever the case of the extension; what is no image by name is passed over."""
    names = ("9.PNG", "a.bmp", "10.png", "c.tiff")
    for name, image in zip(names, BYTES, strict=False):
        Image.fromarray(image).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    found = audit_files.read([tmp_path])
    np.testing.assert_array_equal(found, as_numbers(BYTES[[2, 0, 1, 3]]))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_modes_of_pictures(tmp_path, mode):
    """One bit and eight are gray, all others color."""
    grey, color = Image.fromarray(BYTES[0]), Image.fromarray(COLORS[0])
    image = (grey if mode in ("1", "L") else color).convert(mode)
    image.save(tmp_path / "x.png")
    found = audit_files.read([tmp_path])
    expected = image.convert("L" if mode in ("1", "L") else "RGB")
    np.testing.assert_array_equal(found, [as_numbers(np.asarray(expected))])
    if mode in ("RGB", "RGBA"):
        np.testing.assert_array_equal(found, [as_numbers(COLORS[0])])


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
    # Ways to fail that are neither a ValueError nor an OSError.
    header = b"{'descr': (((".ljust(118)
    (folder / "brackets.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + header)
    vast = {"descr": "|u1", "fortran_order": False, "shape": (10**15, 1)}
    with open(folder / "vast.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, vast)
    np.savez(folder / "method.npz", a=BYTES)
    zipped = (folder / "method.npz").read_bytes()
    local, central = zipped.index(b"PK\x03\x04"), zipped.index(b"PK\x01\x02")
    method = bytearray(zipped)
    method[local + 8] = method[central + 10] = 99
    (folder / "method.npz").write_bytes(method)
    locked = bytearray(zipped)
    locked[local + 6] |= 1
    locked[central + 8] |= 1
    (folder / "locked.npz").write_bytes(locked)
    bomb = folder_of(folder / "bomb", BYTES[:1])
    png = (bomb / "000.png").read_bytes()
    sizes = struct.pack(">2I", 40_000, 40_000)
    check = struct.pack(">I", zlib.crc32(png[12:16] + sizes + png[24:29]))
    png = png[:16] + sizes + png[24:29] + check + png[33:]
    (bomb / "000.png").write_bytes(png)
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
        "brackets.npy": "is damaged or no NumPy file: ",
        "vast.npy": "is damaged or no NumPy file: ",
        "method.npz": "is damaged or no NumPy file: That compression method",
        "locked.npz": "is damaged or no NumPy file: .*encrypted",
        "bomb": "000.png is no readable image: Image size",
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
