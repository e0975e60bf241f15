"""Mean IoU at one centre tap over a folder with img/NAME.* and gt/NAME.png (255 object, 0 background, 128 ignored)."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "reference"), str(ROOT / "weights")]

from network import network_from_safetensors  # noqa: E402
from predict import predict  # noqa: E402
from scenes import centre_tap  # noqa: E402

OBJECT, IGNORED = 255, 128


def intersection_over_union(mask, truth):
    """Boolean mask and grey truth, H x W -> IoU over the pixels that are not ignored; 1 if both are empty."""
    counted = truth != IGNORED
    both = np.count_nonzero(mask & (truth == OBJECT) & counted)
    either = np.count_nonzero((mask | (truth == OBJECT)) & counted)
    return both / either if either else 1.0


def parse_size(text):
    """"native" or WxH -> the size argument of `predict`, (height, width)."""
    return text if text == "native" else tuple(int(v) for v in reversed(text.split("x")))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, help=".safetensors")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, help="evenly spaced photos to use (default: all)")
    parser.add_argument("--size", type=parse_size, help="network size WxH or native (default: from the weights)")
    parser.add_argument("--zoom-in", action="store_true", help="look twice, as mfs_eval --zoom-in does")
    parser.add_argument("--refine", action="store_true", help="let outlines follow the photo's edges, as mfs_eval --refine does")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--list", action="store_true", help="print the IoU of every photo")
    parser.add_argument("--bf16", action="store_true", help="bf16 instead of float32 convolutions: faster, slightly different")
    args = parser.parse_args()
    if args.zoom_in and args.size == "native":
        parser.error("--zoom-in goes without --size native")

    network, meta = network_from_safetensors(args.weights)
    network = network.to(memory_format=torch.channels_last)
    truths = sorted((args.folder / "gt").glob("*.png"))
    if args.limit:
        truths = [truths[i * len(truths) // args.limit] for i in range(min(args.limit, len(truths)))]

    def load(path):
        (photo,) = (args.folder / "img").glob(f"{path.stem}.*")
        image = Image.open(photo).convert("RGB")
        return path.stem, np.asarray(image), np.asarray(Image.open(path).convert("L"))

    scores = []
    with ThreadPoolExecutor(1) as loader:
        for name, image, truth in loader.map(load, truths):
            with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
                taps = [centre_tap(truth == OBJECT)]
                probability = predict(network, image, taps, meta, args.size, args.zoom_in, args.refine, args.threshold)
            scores.append(intersection_over_union(probability > args.threshold, truth))
            if args.list:
                print(f"{scores[-1]:.4f} {name}")
    print(f"{args.folder.name}: mean IoU {np.mean(scores):.4f} over {len(scores)} photos")


if __name__ == "__main__":
    main()
