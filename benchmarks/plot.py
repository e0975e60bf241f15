#!/usr/bin/env python3
"""Draws the roofline picture of a run of mfs_benchmarks.

    build/bin/mfs_benchmarks --benchmark_out=run.json --benchmark_out_format=json
    benchmarks/plot.py run.json roofline.png

Roofs are the measured copy bandwidth and the measured multiply-adds of the file's own device card. Points: one per case, at the
operations per byte of its cost() and the rate it reached; operations without arithmetic (concat) have no place in it. Prints the
geometric means over the cases that were run next to a peer. Needs matplotlib (Debian: python3-matplotlib). PNG, SVG or PDF.
"""

import argparse
import json
import math
import re
import sys
from collections import defaultdict
from pathlib import Path

MARKERS = {"f32": "s", "bf16": "o", "f16": "^", "int8": "P", "bf16x16": "D", "f16x16": "v"}


def cases_of(report):
    """[{operation, variant, intensity, tflops, ...}] of what ran."""
    cases = []
    for run in report["benchmarks"]:
        if run.get("error_occurred") or run.get("run_type") == "aggregate":
            continue
        name = run["name"].split("/iterations:")[0].removesuffix("/manual_time")
        variant = name.split()[-1]
        cases.append(
            {
                "name": name,
                "operation": name.split()[0],
                "variant": variant if variant in MARKERS else "",
                "flops": run["flops"],
                "bytes": run["bytes"],
                "us": run["us"],
                "count": run.get("count", 1),
                "peers": {key.removesuffix(" us"): us for key, us in run.items() if re.fullmatch(r"\w+ us", key)},
            }
        )
    return cases


def geometric_means(cases):
    """Lines of text: by variant and library, each case as often as the network has it."""
    logs = defaultdict(list)
    for case in cases:
        for library, us in case["peers"].items():
            logs[case["variant"], library] += [math.log(us / case["us"])] * int(case["count"])
    for (variant, library), values in sorted(logs.items()):
        if library == "peer" and sum(v == variant for v, _ in logs) <= 2:
            continue  # faster than nobody
        name = "the faster peer" if library == "peer" else library
        yield f"{variant}: {math.exp(sum(values) / len(values)):.3f} x {name}, geometric mean over {len(values)} convolutions"


def draw(report, cases, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    context = report["context"]
    bandwidth = float(context["copy GB/s"]) * 1e9
    roofs = {"f32": float(context["f32 TFLOP/s"])}
    if context["16-bit by"] != "f32":
        roofs[f"16 bits, {context['16-bit by']}"] = float(context["16-bit TFLOP/s"])
    cases = [c for c in cases if c["flops"] > 0]
    low = min(c["flops"] / c["bytes"] for c in cases) / 2
    high = max([2 * roof * 1e12 / bandwidth for roof in roofs.values()] + [2 * c["flops"] / c["bytes"] for c in cases])

    figure, axes = plt.subplots(figsize=(10, 6.5))
    for name, roof in roofs.items():
        knee = roof * 1e12 / bandwidth
        axes.plot([low, knee, high], [low * bandwidth * 1e-12, roof, roof], color="0.35", linewidth=1.2)
        axes.annotate(f"{name}: {roof:.3g} TFLOP/s", (high, roof), ha="right", va="bottom", fontsize=8, color="0.25")
    axes.annotate(f"copy: {bandwidth * 1e-9:.4g} GB/s", (low, low * bandwidth * 1e-12), ha="left", va="bottom", fontsize=8, color="0.25")
    operations = sorted({c["operation"] for c in cases})
    colours = dict(zip(operations, plt.get_cmap("tab20").colors))
    for operation in operations:
        for variant in sorted({c["variant"] for c in cases if c["operation"] == operation}):
            mine = [c for c in cases if (c["operation"], c["variant"]) == (operation, variant)]
            axes.scatter(
                [c["flops"] / c["bytes"] for c in mine],
                [c["flops"] / c["us"] * 1e-6 for c in mine],
                s=28,
                marker=MARKERS.get(variant, "x"),
                color=colours[operation],
                label=f"{operation} {variant}".strip(),
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations per byte of cost()")
    axes.set_ylabel("TFLOP/s")
    axes.set_title(f"{context['device']}\n{context['details']}, {context['date'][:10]}", fontsize=9)
    axes.grid(True, which="major", color="0.9")
    axes.legend(fontsize=6.5, ncol=2, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path, help="JSON file of mfs_benchmarks")
    parser.add_argument("picture", type=Path, nargs="?", help="PNG, SVG or PDF to write; without it only the means are printed")
    options = parser.parse_args()
    report = json.loads(options.report.read_text())
    if "copy GB/s" not in report.get("context", {}):
        sys.exit(f"plot.py: {options.report} is not a report of mfs_benchmarks")
    cases = cases_of(report)
    for line in geometric_means(cases):
        print(line)
    if options.picture is None:
        return
    if not any(case["flops"] > 0 for case in cases):
        sys.exit(f"plot.py: {options.report} has no case with arithmetic")
    try:
        draw(report, cases, options.picture)
    except ImportError:
        sys.exit("plot.py: the picture needs matplotlib (Debian: python3-matplotlib)")


if __name__ == "__main__":
    main()
