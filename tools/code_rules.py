"""What the Python code of a chapter's cell may not do.

The outputs of a chapter are compared character by character on other machines, so its
code must not depend on hidden state, on time, on place or on the network.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

LOCAL_GENERATORS = {
    "default_rng",
    "Generator",
    "SeedSequence",
    "BitGenerator",
    "PCG64",
    "PCG64DXSM",
    "Philox",
    "SFC64",
    "MT19937",
}
TORCH_DRAWS = {
    "rand",
    "randn",
    "randint",
    "randperm",
    "normal",
    "bernoulli",
    "multinomial",
    "poisson",
}
MODULES = {
    "warnings": "warnings are bugs, not to be filtered",
    "random": "global seed; use numpy.random.default_rng(seed)",
    "tqdm": "no progress bars",
    "time": "no timings",
    "timeit": "no timings",
    "datetime": "no timings",
    "platform": "no versions of the machine",
    "urllib": "no network",
    "requests": "no network",
    "http": "no network",
    "socket": "no network",
    "ftplib": "no network",
    "subprocess": "no other programs",
}
CALLS = {
    "set_title": "no titles in figures: the caption states the claim",
    "suptitle": "no titles in figures: the caption states the claim",
    "plt.title": "no titles in figures: the caption states the claim",
    "perf_counter": "no timings",
    "seterr": "warnings are bugs, not to be filtered",
    "filterwarnings": "warnings are bugs, not to be filtered",
    "simplefilter": "warnings are bugs, not to be filtered",
    "urlopen": "no network",
    "urlretrieve": "no network",
    "load_state_dict_from_url": "no network",
    "os.system": "no other programs",
    "torch.manual_seed": "global seed; pass generator=torch.Generator()",
    "torch.random.manual_seed": "global seed; pass generator=torch.Generator()",
    "torch.seed": "global seed; pass generator=torch.Generator()",
    "random.seed": "global seed; use numpy.random.default_rng(seed)",
    "get_ipython": "no magics",
}
ABSOLUTE = re.compile(
    r"~/|[A-Za-z]:[\\/]{1,2}\w|/[\w.-]+/[\w.-]|/(tmp|home|root|usr)\b"
)


def dotted(node: ast.expr) -> str:
    """The dotted name of an expression such as np.random.seed, else ''."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def imports(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Imports of modules that a chapter has no use for."""
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{name}" for name in names]
    for name in names:
        reason = MODULES.get(name.split(".")[0])
        if reason:
            yield f"import {name}: {reason}"
        parts = name.split(".")
        if (
            parts[:2] == ["numpy", "random"]
            and parts[2:]
            and parts[2] not in (LOCAL_GENERATORS)
        ):
            yield f"import {name}: global seed; use numpy.random.default_rng(seed)"


def calls(node: ast.Call) -> Iterator[str]:
    """Calls that depend on global state, on the machine or on the network."""
    name = dotted(node.func)
    last = name.split(".")[-1]
    keywords = {keyword.arg for keyword in node.keywords}
    for known, reason in CALLS.items():
        if name == known or ("." not in known and last == known):
            yield f"{known}: {reason}"
    if re.match(r"(np|numpy)\.random\.", name) and last not in LOCAL_GENERATORS:
        yield f"{name}: global seed; use numpy.random.default_rng(seed)"
    if last == "default_rng" and not node.args and not node.keywords:
        yield "default_rng() without a seed: outputs would differ each time"
    if (
        name.startswith("torch.")
        and last in TORCH_DRAWS
        and "generator" not in keywords
    ):
        yield f"{name}: global seed; pass generator="
    if last.startswith("fetch_"):
        yield f"{name}: no network"
    for keyword in node.keywords:
        value = keyword.value
        true = isinstance(value, ast.Constant) and value.value is True
        if keyword.arg == "download" and true:
            yield f"{name}(download=True): no network"


def constants(node: ast.Constant) -> Iterator[str]:
    """Text in the code that names a place on one machine or draws a progress bar."""
    if not isinstance(node.value, str):
        return
    if ABSOLUTE.match(node.value):
        yield f"absolute path {node.value!r}"
    if "\r" in node.value:
        yield "carriage return: no progress bars"
    if re.match(r"(https?|ftp)://", node.value):
        yield f"network address {node.value!r}"


def problems(source: str) -> Iterator[str]:
    """Every broken rule of one cell."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        line = (error.text or "").strip()
        yield f"not plain Python (no magics, no shell): {line!r}"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        elif isinstance(node, ast.Call):
            yield from calls(node)
        elif isinstance(node, ast.Constant):
            yield from constants(node)
        elif isinstance(node, ast.Attribute) and node.attr in (
            "__version__",
            "executable",
            "version_info",
        ):
            yield f"{dotted(node)}: no versions or paths of the machine"
