"""Rounds, memory and the machine: how a measurement is taken."""

import importlib.metadata
import multiprocessing
import os
import platform
import resource
import statistics
import threading
import time
from pathlib import Path

import numpy as np

STATUS = Path("/proc/self/status")
# Other threads' spinning after a parallel region dies down within this time.
SETTLE = 0.01


def interleaved(calls, warm, rounds, patience):
    """Time functions round robin in this process; return ``{name: [seconds]}``.

    ``calls`` maps names to functions without arguments, ``warm`` to the seconds of a
    first call.  A round calls all in order.  One whose calls would take more than
    ``patience`` seconds together drops out of further rounds; one whose first call did
    is not called again, and that call is its time.
    """
    times = {name: [warm[name]] if warm[name] > patience else [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            used = times[name]
            if not used or sum(used) + used[-1] <= patience:
                used.append(seconds(call)[0])
    return times


def seconds(call):
    """Return how long one call takes, and its result."""
    time.sleep(SETTLE)
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def summary(times):
    """Return median, quartiles and number of timed calls, as a record."""
    low, _, high = (
        statistics.quantiles(times, n=4, method="inclusive")
        if len(times) > 1
        else times * 3
    )
    return {
        "median": statistics.median(times),
        "quartiles": [low, high],
        "rounds": len(times),
    }


def product_rate(x, y, repeats=5):
    """Return the best float32 rate of ``x @ y.T``, in flop/s, of torch and NumPy."""
    import torch

    best = np.inf
    for a, b in ((x, y), (torch.from_numpy(x), torch.from_numpy(y))):
        a @ b.T
        best = min(
            best, *(seconds(lambda a=a, b=b: a @ b.T)[0] for _ in range(repeats))
        )
    return 2 * x.shape[0] * x.shape[1] * y.shape[0] / best


def square_rate(size=3000):
    """Return the best float32 rate of one large square product, in flop/s."""
    x = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    return product_rate(x, x, 3)


def peak_memory(work, before=None, limit=60):
    """Return ``work()``'s peak memory in a child process of its own, as a record.

    ``resident``: growth of the peak resident set over that at the start, in bytes;
    ``private``: the same without pages of mapped files, sampled while it runs.  The
    child is forked before this process has computed anything, so that it has no
    threads to lose; ``before()`` runs in it first, to load libraries.  A child that
    fails, or takes more than ``limit`` seconds, gives ``{"failed": why}``.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_measured, args=(work, before, theirs))
    child.start()
    theirs.close()
    if ours.poll(limit):
        try:
            found = ours.recv()
        except EOFError:
            found = {"failed": "ended early"}
    else:
        child.kill()
        found = {"failed": f"no end within {limit} s"}
    child.join()
    return found


def _measured(work, before, pipe):
    try:
        if before:
            before()
        if STATUS.exists():
            try:
                Path("/proc/self/clear_refs").write_text("5")  # the peak starts here
            except OSError:
                pass
        resident, private = _peak(), _private()
        highest, done = [private], threading.Event()

        def watch():
            while not done.wait(0.01):
                highest.append(max(highest.pop(), _private()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        result = work()
        done.set()
        watcher.join()
        found = {"resident": _peak() - resident, "private": highest[0] - private}
        pipe.send({**found, "result": result})
    except BaseException as error:
        pipe.send({"failed": f"{type(error).__name__}: {error}"})
    finally:
        pipe.close()
        os._exit(0)


def _peak():
    if STATUS.exists():
        return _status("VmHWM")
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _private():
    return _status("RssAnon") if STATUS.exists() else 0


def _status(key):
    for line in STATUS.read_text().splitlines():
        if line.startswith(key + ":"):
            return 1024 * int(line.split()[1])
    return 0


def machine(threads):
    """Describe this machine by cores and versions: no names, no paths."""
    packages = (
        "numpy torch scipy scikit-learn jax faiss-cpu pykeops smalldiffusion"
    ).split()
    versions = {"Python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2),
        "versions": versions,
    }


def _processor():
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.machine()
