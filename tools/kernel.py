"""The environment of every chapter kernel: when writing outputs and when checking them.

Both `tools/notebooks.py` and the root `conftest.py` use these settings, so that a
chapter is executed in exactly the same way when its outputs are stored and when they
are compared.
"""

from __future__ import annotations

import os
from pathlib import Path

import numerics

ROOT = Path(__file__).resolve().parent.parent
CELL_TIMEOUT = 120  # seconds; a chapter should stay under 45 in all


def environment(root: Path = ROOT) -> dict[str, str]:
    """Variables for a kernel: our library on the path, one thread for linear algebra.

    One thread lets two kernels share two cores without fighting. What a chapter shows
    depends neither on this nor on the processor: see `numerics.py`.
    """
    data = os.environ.get("EMPIRICAL_SCORE_DATA")
    paths = [str(root / "lib"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(p for p in paths if p)),
        "PYTHONHASHSEED": "0",
        # A kernel works in its chapter's folder, so a relative folder would be lost.
        **({"EMPIRICAL_SCORE_DATA": str(Path(data).resolve())} if data else {}),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        **numerics.threads(1),
    }
