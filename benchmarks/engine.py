"""The exact empirical denoiser beside every other way to compute it.

    python benchmarks/engine.py [--case NAME ...] [--threads N] [--repeats N]
                                [--peers NAME ...] [--out FOLDER]
                                [--reduce K] [--redraw]

Cases: dense, run, sampling, plane, sweep, memory; all by default, about a quarter of an
hour on two cores.  The competitors of a case are called in turn in one process, after
one warm-up; printed are medians with quartiles, ratios to the book's engine, and the
error against float64 beside every time.  Peak memory is that of a child process.

Results are kept in FOLDER (benchmarks/results): ``engine.json``, one entry a case, from
which ``engine.md`` and ``engine.png`` are drawn; ``--redraw`` does only that.
``--reduce K`` takes a K-th of the points and queries, to see that everything runs, and
writes to a temporary folder; ``--peers`` leaves all other competitors out.
Competitors that are not installed are listed so; see benchmarks/requirements.txt.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = "dense", "run", "sampling", "plane", "sweep", "memory"
POOLS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"


def main() -> int:
    options = arguments()
    limit_threads(options.threads)
    # NumPy, torch and the rest read the number of threads when they are imported.
    sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
    import torch
    from harness import report, timing
    from harness.cases import CASES, Options
    from harness.peers import PEERS

    # Importing torch and setting its threads starts none: children can be forked.
    torch.set_num_threads(options.threads)
    if not options.redraw:
        machine = timing.machine(options.threads)
        peers = tuple(options.peers or PEERS)
        how = Options(options.repeats, reduce=options.reduce, peers=peers)
        chosen = {name: CASES[name] for name in options.case}
        weights = {}
        for name, case in chosen.items():
            began = time.perf_counter()
            weights[name] = list(case.memory(how))
            print(f"{name}: memory, {time.perf_counter() - began:.0f} s", flush=True)
        machine["square"] = timing.square_rate(3000 // options.reduce)
        for name, case in chosen.items():
            began = time.perf_counter()
            settings = []
            for setting in case.timing(how):
                settings.append(setting)
                print(report.progress(setting), flush=True)
            settings = report.joined(settings, weights[name])
            record = {"title": case.title, "machine": machine, "settings": settings}
            report.store(options.out, name, record)
            print(report.markdown({name: record}))
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    report.draw(options.out)
    return 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--case", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--threads", type=int, default=len(cores()))
    parser.add_argument("--repeats", type=int, help="rounds of a case (5; 3; 1)")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peers", nargs="+", help="for instance ours torch")
    parser.add_argument("--reduce", type=int, default=1)
    parser.add_argument("--redraw", action="store_true")
    options = parser.parse_args()
    if options.out is None:
        # Reduced runs must not replace measured results.
        options.out = (
            Path(tempfile.mkdtemp(prefix="engine-reduced-"))
            if options.reduce > 1
            else HERE / "results"
        )
    return options


def limit_threads(count: int) -> None:
    """Give every library ``count`` threads, and this process as many cores."""
    os.environ |= dict.fromkeys(POOLS, str(count))
    # OpenBLAS waits busily for 100 ms, in which every other library has half the cores.
    os.environ["OPENBLAS_THREAD_TIMEOUT"] = "4"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores()[:count])


def cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


if __name__ == "__main__":
    sys.exit(main())
