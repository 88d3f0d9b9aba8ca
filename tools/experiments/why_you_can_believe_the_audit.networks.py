"""Train small networks on handwritten digits, and stop at several times.

    python tools/experiments/why_you_can_believe_the_audit.networks.py [SEEDS]

A network of two hidden layers learns the denoiser of n digits, with fresh noise at
every step, as any diffusion model does.  n is 60 or 600; nothing else differs.  The
record beside this script (NumPy arrays, no pickle) has

steps               (4,) the numbers of steps after which samples were drawn
N/copying           (seeds, 4) the audit's verdict: 0 no, 1 yes, 2 undetermined
N/p                 (seeds, 4) p-value of the ratio
N/flagged           (seeds, 4) share of the samples that are flagged
N/nearer            (seeds, 4) chance that a sample has a smaller ratio than a held-out
                    digit, 1/2 if nothing is going on
N/distance          (seeds, 4) median distance to the training set, over that of
                    held-out digits
60/samples          (4, 300, 64) the samples of the first seed, float16
600/samples         (1, 300, 64) those of the first seed after the last step

About five minutes on one core.  Samples of networks trained in float32 for so long
differ between machines; the verdicts do not.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
import empirical_score as es

RECORD = Path(__file__).with_suffix(".npz")
STEPS, SEEDS = (300, 1000, 3000, 10_000), 3
LEVELS = es.geometric_levels(25, 10.0, 0.02, zero=True)


def split(n):
    """The first n of the shuffled digits, and the last 1,000."""
    digits = es.datasets.digits()[0]
    digits = digits[np.random.default_rng(0).permutation(len(digits))]
    return digits[:n], digits[-1000:]


def noise_level(count, rng):
    """Log-normal noise levels, as in Karras et al. (2022), a little higher."""
    return np.exp(rng.normal(-0.7, 1.0, count))


def run(n, seed, steps=STEPS, count=300):
    """Yield 300 samples of a network each time that it has trained long enough."""
    train, _ = split(n)
    rng = np.random.default_rng([n, seed])
    shape = {"hidden": (256, 256), "activation": "silu"}
    net = es.Denoiser(64, rng, form="edm", scale=0.75, dtype="float32", **shape)
    start = 10 * np.random.default_rng(1).standard_normal((count, 64))
    plan = {"steps": max(steps), "batch": 128, "rate": 1e-3}
    for record in es.train(net, train.astype(np.float32), noise_level, rng, **plan):
        if record.step in steps:
            yield es.sample_ode(net, start, LEVELS)


def judge(n, samples):
    """Return the numbers of the record for one set of samples."""
    train, holdout = split(n)
    found = es.audit(train, samples, holdout)
    return {
        "copying": {False: 0, True: 1}.get(found.copying, 2),
        "p": found.p_value,
        "flagged": len(found.flagged) / len(samples),
        "nearer": found.statistics["ratio"].overall,
        "distance": np.median(found.generated.distance)
        / np.median(found.holdout.distance),
    }


def main(seeds=SEEDS):
    record, began = {"steps": np.array(STEPS)}, time.perf_counter()
    for n in (60, 600):
        rows = []
        for seed in range(seeds):
            samples = list(run(n, seed))
            rows.append([judge(n, x) for x in samples])
            if seed == 0:
                kept = samples if n == 60 else samples[-1:]
                record[f"{n}/samples"] = np.array(kept).astype(np.float16)
            seconds = time.perf_counter() - began
            print(n, seed, f"{seconds:.0f} s", rows[-1], flush=True)
        for key in rows[0][0]:
            record[f"{n}/{key}"] = np.array([[r[key] for r in row] for row in rows])
    np.savez_compressed(RECORD, **record)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
