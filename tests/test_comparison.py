"""The rules by which outputs are compared: each fails on a planted fault."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from comparison import differences, keep_figures, parts


def printed(text: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": text}


def shown(kind: str, content: object) -> dict:
    return {"output_type": "display_data", "metadata": {}, "data": {kind: content}}


def glued(name: str, value: str) -> dict:
    kind = "application/papermill.record/text/plain"
    record = {"scrapbook": {"name": name}}
    return {"output_type": "display_data", "metadata": record, "data": {kind: value}}


def raised(message: str) -> dict:
    return {"output_type": "error", "ename": "ValueError", "evalue": message}


def png(array) -> str:
    """An array as a PNG figure in base 64, as notebooks store it."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(array, dtype=np.uint8)).save(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def agree(stored: dict, fresh: dict, *tags: str) -> bool:
    return not differences([stored], [fresh], tags)


@pytest.mark.parametrize(
    ("stored", "fresh"),
    [
        (printed("0.385\n"), printed("0.386\n")),
        (printed("0.385\n"), printed("0.385")),
        (printed("note\n"), printed("note\n", "stderr")),
        (shown("text/plain", "0.1"), shown("text/plain", "0.2")),
        (shown("text/html", "<p>0.1</p>"), shown("text/html", "<p>0.2</p>")),
        (shown("image/svg+xml", "<svg>0.1"), shown("image/svg+xml", "<svg>0.2")),
        (shown("application/json", {"a": 1}), shown("application/json", {"a": 2})),
        (shown("text/plain", "0.1"), shown("text/latex", "0.1")),
        (glued("slope", "'0.385'"), glued("slope", "'0.386'")),
        (glued("slope", "'0.385'"), glued("drop", "'0.385'")),
        (raised("sigma is 0"), raised("sigma is 1")),
    ],
)
def test_everything_is_the_same_text(stored, fresh):
    assert agree(stored, stored) and agree(fresh, fresh)
    assert not agree(stored, fresh)


def test_number_and_order_of_outputs():
    first, second = printed("a"), glued("b", "1")
    assert differences([first, second], [first, second]) == []
    assert differences([first, second], [first]) == [
        "outputs: stdout instead of stdout, b"
    ]
    assert differences([], [first]) == ["outputs: stdout instead of nothing"]
    assert differences([first, second], [second, first]) != []


ONE_UNIT = [
    ("0.385", "0.386"),
    ("12.9 of 20 steps, 3.10", "13.0 of 20 steps, 3.09"),
    ("-0.3, 4.2%", "-0.4, 4.1%"),
    ("(0.25).", "(0.26)."),
    ("9.99e-03", "1.00e-02"),
]
MORE = [
    ("0.385", "0.387"),  # two units
    ("9.99e-03", "1.01e-02"),  # ten units of the finer one
    ("12 copies", "13 copies"),  # a count
    ("1,234", "1,235"),
    ("4e-16", "5e-16"),
    ("0.99", "1.0"),  # one digit less
    ("9.9", "10.0"),  # one digit more
    ("0.0", "-0.0"),  # a sign
    ("-0.1", "0.1"),
    ("0.1 s", "0.1 m"),  # a word
    ("0.1", "nan"),
    ("version 2.1.0", "version 2.2.0"),  # not a decimal number
    ("x0.1", "x0.2"),
    ("0.1px", "0.2px"),
    ("0.1 0.2", "0.1 0.2 0.3"),
]


@pytest.mark.parametrize(("stored", "fresh"), ONE_UNIT)
def test_a_measurement_may_differ_by_one_unit(stored, fresh):
    for one in (printed, lambda text: shown("text/plain", text)):
        assert agree(one(stored), one(fresh), "hide-input", "measurement")
        assert not agree(one(stored), one(fresh), "hide-input")
    assert agree(glued("a", f"'{stored}'"), glued("a", f"'{fresh}'"), "measurement")
    cells = [shown("text/html", f"<td>{text}</td>") for text in (stored, fresh)]
    assert agree(*cells, "measurement")


@pytest.mark.parametrize(("stored", "fresh"), MORE)
def test_a_measurement_differs_by_no_more_and_in_nothing_else(stored, fresh):
    assert not agree(printed(stored), printed(fresh), "measurement")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/html", '<td width="{}">a</td>'),  # inside a tag
        ("image/svg+xml", "<text>{}</text>"),
        ("text/latex", "${}$"),
    ],
)
def test_what_is_no_printed_number_is_no_measurement(kind, text):
    cells = [shown(kind, text.format(number)) for number in ("0.1", "0.2")]
    assert not agree(*cells, "measurement")
    assert not agree(raised("0.1"), raised("0.2"), "measurement")
    assert not agree(printed("0.1", "stderr"), printed("0.2", "stderr"), "measurement")


def test_figures_have_a_size_and_a_distance(tmp_path):
    white = np.full((40, 60, 3), 255)
    near, far = white.copy(), white.copy()
    near -= 1
    far[:, 30] = 0
    images = [png(image) for image in (white, near, far, white[:39])]
    old, close, apart, small = (shown("image/png", image) for image in images)
    assert agree(old, shown("image/png", images[0] + "\n")) and agree(old, close)
    assert "RMS" in differences([old], [apart], ["measurement"])[0]
    assert "size" in differences([old], [small])[0]
    assert differences([old], []) == ["outputs: nothing instead of image/png"]
    keep_figures(tmp_path / "kept", "cell", [old, old], [close, apart])
    names = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert names == ["cell-2-fresh.png", "cell-2-stored.png"]
    assert parts([apart])[0].content == images[2]
