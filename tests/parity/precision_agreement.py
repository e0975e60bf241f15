#!/usr/bin/env python3
"""How well masks of one precision agree with another's: mean IoU between them over a folder of photos.

    precision_agreement.py build/bin/mfs_infer FOLDER [--limit 50] [--weights FILE] [--precisions f32 bf16]

FOLDER has img/NAME.jpg and gt/NAME.png; the tap of each photo is the centre of its object. Exit status 1 below --least.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "weights" / "training"))
from scenes import centre_tap  # noqa: E402


def masks(arguments, precision, photos, clicks, folder):
    """{name: boolean mask}, written by the program."""
    out = folder / precision
    out.mkdir()
    command = [arguments.program, *photos, "--clicks", clicks, "-o", out, "--precision", precision, "-q"]
    if arguments.weights:
        command += ["--weights", arguments.weights]
    subprocess.run([str(part) for part in command], check=True)
    return {photo.stem: np.asarray(Image.open(out / f"{photo.stem}.mask.png")) > 127 for photo in photos}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="mfs_infer")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=50, help="evenly spaced photos to use")
    parser.add_argument("--weights", help="default: the program's own")
    parser.add_argument("--precisions", nargs=2, default=["f32", "bf16"])
    parser.add_argument("--least", type=float, default=0.99)
    arguments = parser.parse_args()

    truths = sorted((arguments.folder / "gt").glob("*.png"))
    count = min(arguments.limit, len(truths))
    truths = [truths[i * len(truths) // count] for i in range(count)]
    photos = [arguments.folder / "img" / f"{truth.stem}.jpg" for truth in truths]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        taps = {p.name: [[float(v) for v in centre_tap(np.asarray(Image.open(t).convert("L")) == 255)]] for p, t in zip(photos, truths)}
        clicks = folder / "clicks.json"
        clicks.write_text(json.dumps(taps))
        first, second = (masks(arguments, precision, photos, clicks, folder) for precision in arguments.precisions)
    scores = []
    for photo in first:
        either = np.count_nonzero(first[photo] | second[photo])
        scores.append(np.count_nonzero(first[photo] & second[photo]) / either if either else 1.0)
    mean = float(np.mean(scores))
    print(f"{' against '.join(arguments.precisions)}: mean IoU {mean:.4f}, worst {min(scores):.4f}, over {count} photos")
    return 0 if mean >= arguments.least else 1


if __name__ == "__main__":
    sys.exit(main())
