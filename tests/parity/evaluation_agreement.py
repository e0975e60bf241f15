#!/usr/bin/env python3
"""mfs_eval against the same evaluation in PyTorch, both in f32 on the same decoded photos and the same taps.

    evaluation_agreement.py build/bin/mfs_eval FOLDER... [--weights FILE] [--zoom-in] [--refine] [--limit N] [--threads N]

FOLDER has img/NAME.jpg and gt/NAME.png. The photos are decoded once, into PNG files: JPEG decoders differ. The taps are those
that mfs_eval exports. Exit status 1 if a mean IoU differs by more than 0.01 points.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "reference"), str(ROOT / "weights" / "training")]
from evaluate import OBJECT, intersection_over_union  # noqa: E402
from network import network_from_safetensors  # noqa: E402
from predict import predict  # noqa: E402

LIMIT = 1e-4  # of the mean IoU: 0.01 points


def decode(folder, limit, out):
    """A copy of (an evenly spaced part of) a data set with photos as PNG."""
    for part in ("img", "gt"):
        (out / part).mkdir(parents=True, exist_ok=True)
    truths = sorted((folder / "gt").glob("*.png"))
    count = min(limit or len(truths), len(truths))
    for truth in (truths[i * len(truths) // count] for i in range(count)):
        (photo,) = (folder / "img").glob(f"{truth.stem}.*")
        Image.open(photo).convert("RGB").save(out / "img" / f"{truth.stem}.png", compress_level=1)
        shutil.copy(truth, out / "gt" / truth.name)


def engine_scores(arguments, folder, files):
    """({name: IoU}, {name: [[x, y]]}) from mfs_eval."""
    rows, clicks = files / "iou.csv", files / "clicks.json"
    command = [arguments.program, "--dataset", "set", folder, "--click", "centre", "--weights", arguments.weights]
    command += ["--precision", "f32", "--device", "cpu", "--threads", arguments.threads, "--csv", rows, "--export-clicks", clicks]
    command += ["--zoom-in"] * arguments.zoom_in + ["--refine"] * arguments.refine
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    with open(rows, newline="") as file:
        scores = {row["name"]: float(row["iou_1"]) for row in csv.DictReader(file)}
    return scores, {Path(name).stem: taps for name, taps in json.loads(clicks.read_text()).items()}


def reference_scores(weights, folder, clicks, zoom_in, refine):
    """{name: IoU} from PyTorch."""
    network, meta = network_from_safetensors(weights)
    network = network.to(memory_format=torch.channels_last)
    scores = {}
    for name, taps in clicks.items():
        image, truth = (Image.open(folder / part / f"{name}.png") for part in ("img", "gt"))
        probability = predict(network, np.asarray(image), taps, meta, zoom_in=zoom_in, refine=refine)
        scores[name] = intersection_over_union(probability > 0.5, np.asarray(truth.convert("L")))
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="mfs_eval")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mfs-small.safetensors")
    parser.add_argument("--zoom-in", action="store_true", help="look twice")
    parser.add_argument("--refine", action="store_true", help="let outlines follow the photo's edges")
    parser.add_argument("--limit", type=int, help="evenly spaced photos to use (default: all)")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    agree = True
    for folder in arguments.folders:
        with tempfile.TemporaryDirectory() as name:
            files = Path(name)
            decode(folder, arguments.limit, files / "set")
            engine, clicks = engine_scores(arguments, files / "set", files)
            reference = reference_scores(arguments.weights, files / "set", clicks, arguments.zoom_in, arguments.refine)
        ours, theirs = (np.array([scores[name] for name in sorted(engine)]) for scores in (engine, reference))
        difference = abs(ours.mean() - theirs.mean())
        agree = agree and difference <= LIMIT
        print(
            f"{folder.name}: mfs_eval {100 * ours.mean():.4f}, PyTorch {100 * theirs.mean():.4f} points over {len(ours)} photos; "
            f"largest difference of one photo {100 * np.abs(ours - theirs).max():.4f}",
            flush=True,
        )
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
