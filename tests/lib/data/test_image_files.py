"""Image files: written here byte by byte, read back, and broken in every way."""

import gzip
import hashlib
import os
import re
import tracemalloc

import numpy as np
import pytest
from small_images import CIFAR, COLORS, IMAGES, LABELS, idx

from empirical_score import datasets
from empirical_score.data import image_files

RNG = np.random.default_rng(1)
SETS = ("mnist", "fashion_mnist", "cifar10")


@pytest.fixture(params=["plain", "gzip"])
def store(request, tmp_path):
    """Write bytes under a name, as they are or compressed."""

    def write(data, name="file"):
        path = tmp_path / name
        path.write_bytes(data if request.param == "plain" else gzip.compress(data))
        return path

    return write


def test_idx_gives_back_what_was_written(store):
    images, labels = store(idx(IMAGES), "images"), store(idx(LABELS), "labels")
    pixels, kinds = image_files.read_idx_pair(images, labels)
    assert pixels.dtype == np.uint8 and kinds.dtype == np.int64
    np.testing.assert_array_equal(pixels, IMAGES.reshape(7, 784))
    np.testing.assert_array_equal(kinds, LABELS)
    for limit in (1, 3, 7, 100):
        pixels, kinds = image_files.read_idx_pair(images, labels, limit=limit)
        np.testing.assert_array_equal(pixels, IMAGES.reshape(7, 784)[:limit])
        np.testing.assert_array_equal(kinds, LABELS[:limit])
    np.testing.assert_array_equal(image_files.read_idx(labels), LABELS)
    right = hashlib.md5(idx(LABELS)).hexdigest()
    np.testing.assert_array_equal(image_files.read_idx(labels, md5=right), LABELS)


def test_cifar_records_become_rows_of_row_column_channel(tmp_path):
    for number, (start, stop) in enumerate([(0, 2), (2, 5)]):
        data = CIFAR[3073 * start : 3073 * stop]
        (tmp_path / f"data_batch_{number}.bin").write_bytes(data)
    paths = sorted(tmp_path.iterdir())
    for limit in (None, 1, 2, 3, 5, 9):
        pixels, labels = image_files.read_cifar(paths, limit=limit)
        assert pixels.dtype == np.uint8 and labels.dtype == np.int64
        np.testing.assert_array_equal(pixels, COLORS.reshape(5, 3072)[:limit])
        np.testing.assert_array_equal(labels, [1, 0, 9, 4, 4][:limit])


def test_cifar_files_longer_than_a_block_of_reading(tmp_path):
    path = tmp_path / "data_batch_1.bin"
    labels = np.arange(600) % 10
    records = RNG.integers(256, size=(600, 3073), dtype=np.uint8)
    records[:, 0] = labels
    path.write_bytes(records.tobytes())
    planes = records[:, 1:].reshape(600, 3, 1024)
    for limit in (None, 255, 256, 257, 599):
        pixels, found = image_files.read_cifar([path], limit=limit)
        np.testing.assert_array_equal(found, labels[:limit])
        for channel in range(3):
            shown = pixels[:, channel::3]
            np.testing.assert_array_equal(shown, planes[:limit, channel])
    records[300, 0] = 11
    path.write_bytes(records.tobytes())
    for paths in ([path], [path] * 2):
        with pytest.raises(ValueError, match="bin gives item 300 the label 11, exp"):
            image_files.read_cifar(paths)
    assert image_files.read_cifar([path], limit=300)[0].shape == (300, 3072)


def test_the_item_of_a_bad_label_is_counted_in_its_own_file(tmp_path):
    good, bad = tmp_path / "data_batch_1.bin", tmp_path / "data_batch_2.bin"
    good.write_bytes(CIFAR)
    bad.write_bytes(CIFAR[: 2 * 3073] + b"\x0a" + CIFAR[1:3073])
    with pytest.raises(ValueError, match="batch_2.bin gives item 2 the label 10"):
        image_files.read_cifar([good, bad])
    assert image_files.read_cifar([good, bad], limit=7)[1].tolist()[5:] == [1, 0]


def test_idx_files_longer_than_a_block_of_reading(store):
    """A block is a mebibyte, 1,337 images and a part of the next one."""
    images = RNG.integers(256, size=(1500, 28, 28), dtype=np.uint8)
    path = store(idx(images))
    for limit in (None, 1, 1337, 1338, 1499, 1500, 1501):
        found = image_files.read_idx(path, (28, 28), limit=limit)
        np.testing.assert_array_equal(found, images.reshape(-1, 784)[:limit])
    official = hashlib.md5(idx(images)).hexdigest()
    assert image_files.read_idx(path, (28, 28), limit=1, md5=official).shape == (1, 784)
    path = store(idx(images)[:-1])
    with pytest.raises(ValueError, match="is truncated"):
        image_files.read_idx(path, (28, 28), limit=1)
    path = store(idx(images) + bytes(2**20))
    with pytest.raises(ValueError, match="goes on"):
        image_files.read_idx(path, (28, 28), limit=1)


def test_the_shape_that_a_header_announces(store):
    for shape in ((), (5,), (28, 28), (3, 4, 5)):
        path = store(idx(np.zeros((2, *shape), dtype=np.uint8)))
        assert image_files.idx_shape(path) == shape
    for header, message in (
        (b"", "is empty; expected an IDX file"),
        (b"\0\0\x08", "starts with the bytes 00 00 08, expected"),
        (b"\0\0\x08\0", "starts with the bytes 00 00 08 00, expected 00 00 08 01"),
        (b"\0\0\x09\x03", "starts with the bytes 00 00 09 03, expected 00 00 08"),
        (b"\0\0\x08\x03\0\0\0\x01", "its header has 8 bytes, expected 16"),
        (idx(IMAGES)[:15], "its header has 15 bytes, expected 16"),
        (idx(IMAGES[:0]), "holds 0 items"),
    ):
        with pytest.raises(ValueError, match=message):
            image_files.idx_shape(store(header))


def test_bytes_become_pixels_from_minus_one_to_one():
    pixels = image_files.to_pixels(np.arange(256, dtype=np.uint8))
    assert pixels.dtype == np.float32 and pixels[0] == -1 and pixels[255] == 1
    exact = np.arange(256) / 127.5 - 1
    np.testing.assert_allclose(pixels, exact, rtol=0, atol=1e-7)


BAD_IMAGES = {
    "empty": (b"", "is empty; expected an IDX file"),
    "wrong magic": (
        idx(LABELS),
        "starts with the bytes 00 00 08 01, expected 00 00 08",
    ),
    "not IDX": (b"<html>not found</html>", "starts with the bytes 3c 68 74 6d, exp"),
    "cut in its magic": (idx(IMAGES)[:3], "starts with the bytes 00 00 08, expected"),
    "cut in its header": (idx(IMAGES)[:11], "its header has 11 bytes, expected 16"),
    "truncated": (idx(IMAGES)[:-1], "is truncated: .*5504 .* in all, found 5503"),
    "trailing byte": (idx(IMAGES) + b"\0", "goes on: .* 7 items .*5504 .* found more"),
    "wrong size": (idx(IMAGES[:, 1:]), r"shape \(27, 28\), expected \(28, 28\)"),
    "no items": (idx(IMAGES[:0]), "holds 0 items, expected at least one"),
    "vast count": (idx(IMAGES, count=2**32 - 1), "is truncated: .* 4294967295 items"),
    "count mismatch": (idx(IMAGES[:6]), "6 images, but .*labels holds 7 labels"),
    "not official": (idx(IMAGES[::-1]), "MD5 [0-9a-f]{32}, expected [0-9a-f]{32}"),
}


@pytest.mark.parametrize("limit", [None, 2])
@pytest.mark.parametrize("case", BAD_IMAGES)
def test_bad_image_files_are_refused_and_left_alone(store, case, limit):
    data, message = BAD_IMAGES[case]
    images, labels = store(data, "images"), store(idx(LABELS), "labels")
    before = images.read_bytes()
    md5 = [hashlib.md5(idx(IMAGES)).hexdigest(), None]
    if case == "count mismatch":
        md5 = [None, None]
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"{re.escape(str(images))}.*{message}"):
            image_files.read_idx_pair(images, labels, limit=limit, md5=md5)
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()
    assert images.read_bytes() == before


def test_a_label_out_of_range_is_named(store, tmp_path):
    images, labels = store(idx(IMAGES), "images"), store(idx(LABELS + 1), "labels")
    message = f"{re.escape(str(labels))} gives item 1 the label 10, expected 0 to 9"
    with pytest.raises(ValueError, match=message):
        image_files.read_idx_pair(images, labels, limit=1)
    path = tmp_path / "test_batch.bin"
    path.write_bytes(CIFAR[: 3 * 3073] + b"\x0a" + CIFAR[1:3073])
    with pytest.raises(ValueError, match="test_batch.bin gives item 3 the label 10"):
        image_files.read_cifar([path])


def test_damaged_gzip_is_refused(tmp_path):
    path, whole = tmp_path / "images.gz", gzip.compress(idx(IMAGES))
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :]
    checksum = whole[:-8] + bytes(4) + whole[-4:]
    for data in (whole[:-9], whole[:-1], whole[:5], flipped, checksum, whole + b"x"):
        path.write_bytes(data)
        with pytest.raises(
            ValueError, match="images.gz is a damaged gzip file: ."
        ) as e:
            image_files.read_idx(path, (28, 28))
        assert str(path) in str(e.value)
        assert path.read_bytes() == data


def test_a_bomb_is_not_swallowed(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(IMAGES) + bytes(10**8), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(ValueError, match="goes on"):
        image_files.read_idx(path, (28, 28))
    assert tracemalloc.get_traced_memory()[1] < 8e6
    tracemalloc.stop()


@pytest.mark.parametrize("size", [0, 1, 3072, 3074, 2 * 3073 - 1])
def test_cifar_files_of_a_wrong_length_are_refused(tmp_path, size):
    path = tmp_path / "data_batch_2.bin"
    path.write_bytes(CIFAR[:size])
    message = f"data_batch_2.bin has {size} bytes, expected a positive multiple of 3073"
    with pytest.raises(ValueError, match=message):
        image_files.read_cifar([path], limit=1)
    assert path.read_bytes() == CIFAR[:size]


def test_a_cifar_file_that_shrinks_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(CIFAR)
    monkeypatch.setattr(image_files.os.path, "getsize", lambda _: 6 * 3073)
    with pytest.raises(ValueError, match="data_batch_1.bin became shorter"):
        image_files.read_cifar([path])


@pytest.mark.parametrize("read", [image_files.read_idx, image_files.read_cifar])
def test_what_is_no_readable_file_is_an_os_error(tmp_path, monkeypatch, read):
    def attempt(path):
        return read(path) if read is image_files.read_idx else read([path])

    with pytest.raises(IsADirectoryError, match="is a directory, expected a file"):
        attempt(tmp_path)
    with pytest.raises(FileNotFoundError, match="absent"):
        attempt(tmp_path / "absent")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="pipe is not a regular file"):
            attempt(tmp_path / "pipe")
    (tmp_path / "locked").write_bytes(CIFAR)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(image_files, "open", refuse, raising=False)
    with pytest.raises(PermissionError, match="cannot be read: Permission .*locked"):
        attempt(tmp_path / "locked")


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", SETS)
def test_the_real_files(name, split):
    """Where they are: sizes, first labels, and pixels against the raw bytes."""
    if not datasets.available(name, split):
        pytest.skip(f"{name} ({split}) is not here; set EMPIRICAL_SCORE_DATA")
    images, labels = getattr(datasets, name)(split, limit=1000)
    dimension = 3072 if name == "cifar10" else 784
    assert images.shape == (1000, dimension) and labels.shape == (1000,)
    assert images.dtype == np.float32 and labels.dtype == np.int64
    assert images.min() == -1 and images.max() == 1
    assert set(labels) == set(range(10))
    paths = datasets.downloads.find(name, split)
    if name == "cifar10":
        records = np.fromfile(paths[0], np.uint8).reshape(-1, 3073)[:1000]
        green = records[:, 1 + 1024 : 1 + 2048].reshape(1000, 32, 32)
        np.testing.assert_array_equal(labels, records[:, 0])
        found = (images.reshape(1000, 32, 32, 3)[..., 1] + 1) * 127.5
        np.testing.assert_array_equal(np.rint(found), green)
        return
    starts = {"mnist": [5, 0, 4, 1, 9], "fashion_mnist": [9, 0, 0, 3, 0]}
    tests = {"mnist": [7, 2, 1, 0, 4], "fashion_mnist": [9, 2, 1, 1, 6]}
    known = (starts if split == "train" else tests)[name]
    np.testing.assert_array_equal(labels[:5], known)
    raw = paths[0].read_bytes()
    raw = gzip.decompress(raw) if paths[0].suffix == ".gz" else raw
    assert len(raw) == 16 + 784 * (60_000 if split == "train" else 10_000)
    assert datasets.fingerprint(name, split) == hashlib.sha256(raw[16:]).hexdigest()
    found = np.rint((images + 1) * 127.5).astype(np.uint8)
    assert found.tobytes() == raw[16 : 16 + 784_000]
