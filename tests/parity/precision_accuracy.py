#!/usr/bin/env python3
"""Mean IoU of the CUDA engine's precisions at one centre tap, without a GPU: simulated in PyTorch (precision_simulation.py).

    precision_accuracy.py FOLDER... [--weights FILE] [--precisions f32 f16 int8 fp8] [--csv FILE] [--limit N] [--keep REGEX]

FOLDER has img/NAME.* and gt/NAME.png (255 object, 0 background, 128 ignored). A photo is decoded once for all precisions. With
--csv, every photo's scores are kept in that file as soon as they are known, and photos that it has are not run again.
Exit status 1 if a set's mean IoU is further from that of the first precision than it may be: f16 0.05 points, int8 and fp8 0.3.
"""

import argparse
import csv
import hashlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "reference"), str(ROOT / "weights"), str(ROOT / "weights" / "training")]
from evaluate import OBJECT, intersection_over_union  # noqa: E402
from precision_simulation import PRECISIONS, Simulation  # noqa: E402
from preprocess import network_input, probability_from_logit  # noqa: E402
from safetensors_file import load_safetensors  # noqa: E402
from scenes import centre_tap  # noqa: E402

LIMITS = {"f16": 0.05, "int8": 0.3, "fp8": 0.3}  # points


class Scores:
    """Of every photo: the IoU at each precision, and of each mask with the first precision's. In a CSV file, if it has a name."""

    def __init__(self, path, precisions, computed):
        """`computed`: what else the scores depend on, in a few characters, so that no others are gone on from."""
        self.path, self.rows = path, {}
        self.columns = ["set", f"name ({computed})", *precisions, *(f"{p} with {precisions[0]}" for p in precisions[1:])]
        if path and path.exists():
            with open(path, newline="") as file:
                reader = csv.DictReader(file)
                if reader.fieldnames != self.columns:
                    sys.exit(f"{path} has other columns: {', '.join(reader.fieldnames or [])}")
                for row in reader:
                    self.rows[row["set"], row[self.columns[1]]] = [float(row[c]) for c in self.columns[2:]]
        elif path:
            self.append(self.columns)

    def append(self, cells):
        if self.path:
            with open(self.path, "a", newline="") as file:
                csv.writer(file).writerow(cells)

    def add(self, key, values):
        self.rows[key] = values
        self.append([*key, *(f"{v:.6f}" for v in values)])


def mask_overlap(a, b):
    either = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / either if either else 1.0


def score(folder, truth_path, networks, meta):
    (photo,) = (folder / "img").glob(f"{truth_path.stem}.*")
    image, truth = np.asarray(Image.open(photo).convert("RGB")), np.asarray(Image.open(truth_path).convert("L"))
    x = network_input(image, [centre_tap(truth == OBJECT)], meta["preprocess"])
    masks = [probability_from_logit(network(x), image.shape[:2], meta["network"]) > 0.5 for network in networks]
    return [intersection_over_union(m, truth) for m in masks] + [mask_overlap(m, masks[0]) for m in masks[1:]]


def report(name, precisions, rows):
    """Prints a set's means; returns whether they are within the limits."""
    values, good = 100 * np.array(rows), True
    print(f"{name}, {len(rows)} photos: {precisions[0]} {values[:, 0].mean():.3f} points")
    for i, precision in enumerate(precisions[1:], 1):
        difference = values[:, i] - values[:, 0]
        error = 1.96 * difference.std(ddof=1) / len(rows) ** 0.5 if len(rows) > 1 else float("nan")
        within = abs(difference.mean()) <= LIMITS.get(precision, float("inf"))
        good = good and within
        print(
            f"  {precision}: {values[:, i].mean():.3f}, {difference.mean():+.3f} (95 % of means within {error:.3f}), masks "
            f"agree to {values[:, len(precisions) + i - 1].mean():.2f} %{'' if within else ': too far'}",
            flush=True,
        )
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mfs-small.safetensors")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["f32", "f16", "int8", "fp8"])
    parser.add_argument("--csv", type=Path, help="scores of photos so far, to go on from")
    parser.add_argument("--limit", type=int, help="evenly spaced photos of each set (default: all)")
    parser.add_argument("--keep", help="int8 and fp8: convolutions whose name this finds stay f16 (default: as in the engine)")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    tensors, metadata = load_safetensors(arguments.weights)
    meta = {key: json.loads(metadata.get(f"mfs.{key}", "null")) for key in ("network", "preprocess", "calibration")}
    keep = None if arguments.keep is None else re.compile(arguments.keep).search
    try:
        networks = [Simulation(tensors, meta["network"], p, meta["calibration"], keep) for p in arguments.precisions]
    except ValueError as error:
        sys.exit(f"{arguments.weights}: {error}")
    narrow = [[op.name for op in network.ops if op.narrow] for network in networks]
    computed = hashlib.sha256(arguments.weights.read_bytes() + repr(narrow).encode()).hexdigest()[:8]
    scores, good = Scores(arguments.csv, arguments.precisions, computed), True
    for folder in arguments.folders:
        truths = sorted((folder / "gt").glob("*.png"))
        if not truths:
            sys.exit(f"{folder} has no gt/*.png")
        count = min(arguments.limit or len(truths), len(truths))
        truths = [truths[i * len(truths) // count] for i in range(count)]
        for truth in truths:
            key = folder.name, truth.stem
            if key not in scores.rows:
                scores.add(key, score(folder, truth, networks, meta))
        good = report(folder.name, arguments.precisions, [scores.rows[folder.name, t.stem] for t in truths]) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
