"""Ways to compute the same numbers: kernels, vector widths, threads, last digits.

A chapter's outputs must be the same under each of these set-ups. A set-up is a name and
the variables that a kernel is started with; one that this machine cannot run says why.
What a process really computes with is told by `report`, so that no set-up is believed
to have been tried that took no effect.

Processors that one does not have are stood in for by *jitter*: `jitter.c` moves matrix
products and elementary functions by a few units in the last place.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TOOLS = Path(__file__).resolve().parent
POOLS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
MOVED = "other digits than usual"


@dataclass(frozen=True)
class Setup:
    """A way to compute; `expects` is what the report says if it took effect."""

    name: str
    variables: Mapping[str, str]
    expects: Mapping[str, object]
    obstacle: str = ""  # why this machine cannot run it


def threads(count: int) -> dict[str, str]:
    """The variables for so many threads of linear algebra."""
    return {f"{pool}_NUM_THREADS": str(count) for pool in POOLS}


OWN = Setup("own", {}, {})  # what the libraries choose by themselves, with one thread


def setups(jitters: tuple[str, ...] = ("1:2:2", "2:2:2", "3:8:8")) -> list[Setup]:
    """All set-ups, those included that this machine cannot run."""
    x86 = "" if platform.machine() in ("x86_64", "AMD64") else "not an x86 processor"
    wide = x86 or ("" if "X86_V4" in vectors() else "no AVX-512 on this processor")
    old = {
        "OPENBLAS_CORETYPE": "Prescott",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "NPY_DISABLE_CPU_FEATURES": " ".join(vectors()),
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4",
    }
    is_old = {
        "OpenBLAS": ["Katmai"],  # its kernels and Prescott's are the same
        "torch": "DEFAULT",
        "NumPy": [],
        "exp": MOVED,
        "product of torch": MOVED,
    }
    two = {"threads": [2]}
    return [
        OWN,
        Setup("own, two threads", threads(2), two),
        Setup(
            "SkylakeX",
            {"OPENBLAS_CORETYPE": "SkylakeX", "ATEN_CPU_CAPABILITY": "avx512"},
            {"OpenBLAS": ["SkylakeX"], "torch": "AVX512"},
            wide,
        ),
        Setup(
            "Haswell",
            {
                "OPENBLAS_CORETYPE": "Haswell",
                "ATEN_CPU_CAPABILITY": "avx2",
                "MKL_CBWR": "AVX2",
                "NPY_DISABLE_CPU_FEATURES": " ".join(set(vectors()) - {"X86_V3"}),
            },
            {"OpenBLAS": ["Haswell"], "torch": "AVX2", "NumPy": ["X86_V3"]},
            wide and f"{wide}: the same as 'own'",
        ),
        Setup(
            "Sandybridge",
            {"OPENBLAS_CORETYPE": "Sandybridge", "ATEN_CPU_CAPABILITY": "default"},
            {"OpenBLAS": ["Sandybridge"], "torch": "DEFAULT"},
            x86,
        ),
        Setup("Prescott", old, is_old, x86),
        Setup("Prescott, two threads", {**old, **threads(2)}, {**is_old, **two}, x86),
        *map(jitter, jitters),
    ]


def before_storing() -> list[Setup]:
    """The few set-ups under which a chapter is checked before it is stored.

    With the machine's own: the widest and the narrowest vectors, one and two threads.
    """
    names = ("Haswell", "Prescott, two threads", "jitter 1:2:2")
    return [setup for setup in setups() if setup.name in names and not setup.obstacle]


def jitter(spec: str) -> Setup:
    """Jitter by ``SEED:UNITS:UNITS32``, in units in the last place.

    NumPy's own vector loops are off, so that its functions are those that are moved.
    More units find values that happen to be near an edge of rounding.
    """
    library, obstacle = jitter_library()
    loaded = " ".join(filter(None, [library, os.environ.get("LD_PRELOAD")]))
    variables = {
        "LD_PRELOAD": loaded,
        "NUMERIC_JITTER": spec,
        "NPY_DISABLE_CPU_FEATURES": " ".join(vectors()),
    }
    kinds = ("product", "product of SciPy", "product of torch", "exp")
    return Setup(f"jitter {spec}", variables, dict.fromkeys(kinds, MOVED), obstacle)


@functools.cache
def jitter_library() -> tuple[str, str]:
    """`jitter.c` compiled, or why that is not possible here."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if sys.platform != "linux" or not compiler:
        return "", "jitter needs Linux and a C compiler (cc)"
    source = TOOLS / "jitter.c"
    mark = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    target = TOOLS.parent / "_build" / "numerics" / f"jitter-{mark}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        options = ["-O2", "-shared", "-fPIC", "-fno-builtin"]
        command = [compiler, *options, source, "-o", fresh, "-ldl", "-lm"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return "", f"jitter.c does not compile: {done.stderr.strip()[-300:]}"
        fresh.replace(target)
    return str(target), ""


def vectors() -> list[str]:
    """The vector instructions that NumPy's loops make use of in this process."""
    return np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])


def report() -> dict[str, object]:
    """What this process computes with, as far as its libraries are loaded."""
    import threadpoolctl

    def mark(array) -> str:
        return hashlib.sha256(np.asarray(array).tobytes()).hexdigest()[:8]

    numbers = np.modf(0.6180339887498949 * np.arange(1, 40001))[0].reshape(200, 200)
    numbers @ numbers  # starts the threads
    pools = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
    found = {
        "OpenBLAS": sorted({pool["architecture"] for pool in pools}),
        "threads": sorted({pool["num_threads"] for pool in pools}),
        "NumPy": vectors(),
        "product": mark(numbers @ numbers),
        "exp": mark(np.exp(numbers)),
    }
    if blas := sys.modules.get("scipy.linalg.blas"):
        found["product of SciPy"] = mark(blas.dgemm(1.0, numbers, numbers))
    if torch := sys.modules.get("torch"):
        tensor = torch.from_numpy(numbers)
        found["torch"] = torch.backends.cpu.get_cpu_capability()
        found["product of torch"] = mark(tensor @ tensor)
    return found


def without_effect(setup: Setup, said: Mapping, usual: Mapping) -> list[str]:
    """Where a report, compared with that of `OWN`, is not what a set-up asks for."""
    problems = []
    for name in said.keys() & setup.expects.keys():
        wanted = setup.expects[name]
        if said[name] == usual.get(name) if wanted is MOVED else said[name] != wanted:
            problems.append(f"{name}: {wanted} wanted, found {said[name]}")
    return problems
