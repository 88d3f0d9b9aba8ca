"""From records to a table and a figure; nothing is measured here."""

import itertools
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from empirical_score._book import figures

BASES = {"denoise": "ours", "log_density": "ours-log"}
OVER = ("ours-certified", "torch-attention")  # shown relative to ours at every level
LINES = {
    "ours": ("ours, exact", figures.BLUE, "o"),
    "ours-certified": ("ours, certified", figures.GREEN, "s"),
    "torch-attention": ("torch attention", figures.ORANGE, "^"),
    "torch": ("torch, two products", figures.RED, "v"),
}


def joined(settings, weights):
    """Put peak memory beside the times of the same problem, in every setting."""
    for record in weights:
        if "memory" not in record:
            settings.append(record)  # measured, or skipped, as a whole
            continue
        for setting in settings:
            same = (setting.get(key) == record[key] for key in ("problem", "size"))
            if all(same):
                for name, memory in record["memory"].items():
                    setting["rows"].get(name, {})["memory"] = memory
    return settings


def store(folder, name, record):
    """Replace one case in ``engine.json`` and keep the others."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "engine.json"
    cases = json.loads(path.read_text()) if path.exists() else {}
    cases[name] = record
    path.write_text(json.dumps(cases, indent=1) + "\n")


def draw(folder):
    """Write ``engine.md`` and ``engine.png`` from ``engine.json``."""
    path = Path(folder) / "engine.json"
    if not path.exists():
        print("nothing measured yet")
        return
    cases = json.loads(path.read_text())
    (folder / "engine.md").write_text(f"{INTRODUCTION}\n{markdown(cases)}")
    figure(cases, folder / "engine.png")
    print(f"engine.json, engine.md and engine.png are in {folder}")


INTRODUCTION = """# The exact empirical denoiser, measured

Written by `make bench` from `engine.json`, which lies beside this page. All data are
float32. Competitors of a setting were called in turn in one process. *Time* is the
median of the timed calls with its quartiles, *ratio* is the time relative to ours
(below 1: faster than ours), *error* is measured against float64: the largest RMS over
coordinates of any row, and in parentheses its ratio to the spread of the data; for log
densities the largest difference in nats. *Memory* is the peak above the data in a child
process, preparation included; pages of a mapped file count in the resident set.

Verdicts: *exact* (rounding only, at most 1e-3 of the spread or 1e-2 nats), *certified*
(within the promised RMS error), *inexact* (by design), *wrong* (further off than it
should be).

![Times relative to ours, and cost against the noise level](engine.png)
"""


def markdown(cases):
    """Return the cases as Markdown tables."""
    lines = []
    for case in cases.values():
        lines += [f"## {case['title']}", "", describe(case["machine"]), ""]
        for _, group in itertools.groupby(case["settings"], heading):
            group = list(group)
            if "rows" not in group[0]:
                lines += [f"*{group[0]['skipped']}*", ""]
            elif len(group) > 3:
                lines += [*sweep(group), ""]
            else:
                lines += itertools.chain(*([*table(s), ""] for s in group))
    return "\n".join(lines)


def describe(machine):
    """Return one paragraph on the machine."""
    versions = ", ".join(f"{key} {value}" for key, value in machine["versions"].items())
    rate = f"{machine['square'] / 1e9:.0f} GFLOP/s"
    return (
        f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores, "
        f"load {machine['load']} at the start; large square float32 product: {rate}. "
        f"{versions}."
    )


def heading(setting):
    """Return the heading of a setting, without its noise level."""
    if "rows" not in setting:
        return setting["skipped"]
    n, d, m = setting["size"]
    return f"### {setting['problem']}, {n:,} x {d:,}, m = {m:,}"


def progress(setting):
    """Return one line on what has just been measured."""
    if "rows" not in setting:
        return setting["skipped"]
    level = f", sigma = {setting['sigma']:.3g}" if setting["sigma"] else ""
    timed = [row for row in setting["rows"].values() if "median" in row]
    best = min(timed, key=lambda row: row["median"], default=None)
    fastest = f"{best['label']}, {duration(best['median'])}" if best else "none"
    return f"{heading(setting)[4:]}{level}: fastest {fastest}"


def sweep(group):
    """Return the lines of one table for many noise levels: a time, and its error.

    Those named in ``OVER`` have their time over that of the exact engine in addition.
    """
    names = [name for name in LINES if "median" in group[0]["rows"].get(name, {})]
    absent = [name for name in LINES if name not in names]
    head = ["sigma"]
    for name in names:
        head += [LINES[name][0], "ratio"] if name in OVER else [LINES[name][0]]
    lines = [heading(group[0]), "", "Time of a call, and its relative error."]
    for name in absent:
        why = group[0]["rows"].get(name, {}).get("skipped", "not measured")
        lines += [f"{LINES[name][0].capitalize()}: {why}."]
    lines += ["", "| " + " | ".join(head) + " |", "|" + "--:|" * len(head)]
    for setting in group:
        rows, cells = setting["rows"], [f"{setting['sigma']:.3g}"]
        for name in names:
            row = rows[name]
            mark = " wrong" if row["verdict"] == "wrong" else ""
            cells += [f"{duration(row['median'])} ({row['relative']:.0e}{mark})"]
            cells += [times(ratio(rows, name))] if name in OVER else []
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def table(setting):
    """Return the lines of one setting's table."""
    n, d, m = setting["size"]
    title = heading(setting)
    title += f", sigma = {setting['sigma']:.3g}" if setting["sigma"] else ""
    title += f", {setting['levels']} levels" if "levels" in setting else ""
    lines = [title, ""]
    if "file" in setting:
        lines += [f"The file has {amount(setting['file'])}.", ""]
    if "rate" in setting and "median" in setting["rows"].get("ours", {}):
        flops = 4 * m * n * d / setting["rows"]["ours"]["median"]
        share = flops / setting["rate"]
        lines += [
            f"A plain product of this shape reaches {setting['rate'] / 1e9:.0f} "
            f"GFLOP/s; ours, counting its two products, {flops / 1e9:.0f} "
            f"({share:.0%} of it).",
            "",
        ]
    lines += [
        "| method | time | quartiles | calls | ratio | error | verdict | memory |",
        "|---|--:|--:|--:|--:|--:|---|--:|",
    ]
    rows = setting["rows"]
    order = sorted(rows, key=lambda name: rows[name].get("median", np.inf))
    return lines + [line(rows, name) for name in order]


def line(rows, name):
    """Return one competitor's line."""
    row = rows[name]
    if "median" not in row:
        return f"| {row['label']} | | | | | | {row['skipped']} | |"
    low, high = row["quartiles"]
    cells = [
        row["label"],
        duration(row["median"]),
        f"{duration(low)} to {duration(high)}" if row["rounds"] > 1 else "",
        str(row["rounds"]),
        times(ratio(rows, name)),
        "" if "nats" not in row else f"{row['nats']:.1e} nats",
        row.get("verdict", ""),
        "",
    ]
    if "rms" in row:
        cells[5] = f"{row['rms']:.1e} ({row['relative']:.1e})"
    if "same" in row:
        cells[6] = "same image for {} of {}".format(*row["same"])
    if "memory" in row:
        memory = row["memory"]
        cells[7] = memory.get("failed") or amount(memory["resident"])
        if "private" in memory and memory["resident"] > 1.2 * memory["private"] + 2**26:
            cells[7] += f", {amount(memory['private'])} without mapped pages"
    return "| " + " | ".join(cells) + " |"


def ratio(rows, name):
    """Return a competitor's time over ours of the same kind."""
    base = BASES["log_density" if "nats" in rows[name] else "denoise"]
    return rows[name]["median"] / rows.get(base, {}).get("median", np.nan)


def times(value):
    """Return a ratio in digits; nothing where ours was not measured."""
    return f"{value:.{2 if value >= 0.1 else 4}f}" if np.isfinite(value) else ""


def duration(seconds):
    """Return a time with its unit."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def amount(size):
    """Return a number of bytes with its unit."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def figure(cases, path):
    """Draw times relative to ours, and the cost of a call against the noise level."""
    with plt.rc_context(figures.STYLE):
        drawn, (left, right) = plt.subplots(
            1, 2, figsize=(12, 6.2), width_ratios=(1.25, 1)
        )
        bars(left, cases.get("dense", {"settings": []})["settings"])
        curves(right, cases.get("sweep", {"settings": []})["settings"])
        drawn.savefig(path, dpi=130)
        plt.close(drawn)


def bars(axes, settings):
    """Draw one bar a competitor and dense setting, on a logarithmic axis."""
    settings = [setting for setting in settings if "rows" in setting]
    names = {
        name: row["label"]
        for setting in settings
        for name, row in setting["rows"].items()
        if "median" in row and name not in BASES.values()
    }
    height = 0.8 / max(1, len(settings))
    colors = figures.BLUE, figures.ORANGE, figures.GREEN, figures.RED
    for k, (setting, color) in enumerate(zip(settings, colors, strict=False)):
        rows = setting["rows"]
        timed = {i: name for i, name in enumerate(names) if "median" in rows[name]}
        values = [ratio(rows, name) for name in timed.values()]
        wrong = [
            rows[name]["verdict"] in ("inexact", "wrong") for name in timed.values()
        ]
        drawn = axes.barh(
            np.array(list(timed)) + (k - (len(settings) - 1) / 2) * height,
            np.array(values) - 1,
            height,
            left=1,
            color=color,
            label=setting["problem"],
        )
        for bar, off in zip(drawn, wrong, strict=True):
            bar.set(hatch="////" if off else None, edgecolor="white", linewidth=0.3)
    axes.axvline(1, color=figures.INK, linewidth=1)
    axes.set(xscale="log", xlabel="time / ours (hatched: inexact or wrong)")
    axes.set_yticks(range(len(names)), names.values(), fontsize=10.5)
    axes.invert_yaxis()
    if settings:
        axes.legend(loc="best", fontsize=10.5)


def curves(axes, settings):
    """Draw the time of one call against sigma, for the last training set swept."""
    settings = [setting for setting in settings if "rows" in setting]
    last = [s for s in settings if s["problem"] == settings[-1]["problem"]]
    for name, (label, color, marker) in LINES.items():
        timed = [s for s in last if "median" in s["rows"].get(name, {})]
        if timed:
            sigmas = [s["sigma"] for s in timed]
            calls = [1e3 * s["rows"][name]["median"] for s in timed]
            axes.plot(sigmas, calls, color=color, marker=marker, label=label)
    axes.set(xscale="log", yscale="log", xlabel=r"noise level $\sigma$")
    if last:
        n, d, m = last[-1]["size"]
        axes.set_ylabel(f"{last[-1]['problem']}: ms a call of {m} points")
        axes.legend(fontsize=10.5)
