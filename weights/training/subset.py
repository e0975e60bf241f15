"""A few photos of a training set, both as data to train on and as a folder to evaluate on: does training fit what it sees?"""

import argparse
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from scenes import Photos


def add(tar, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with .tar files of photos and masks")
    parser.add_argument("out", type=Path, help="folder for subset.tar, img/ and gt/")
    parser.add_argument("--count", type=int, default=20)
    args = parser.parse_args()

    photos = Photos([args.data])
    for part in ("img", "gt"):
        (args.out / part).mkdir(parents=True, exist_ok=True)
    with tarfile.open(args.out / "subset.tar", "w") as tar:
        for i in range(args.count):
            photo, mask = photos.pairs[i * len(photos) // args.count]
            add(tar, f"{i:03}.webp", photo)
            add(tar, f"{i:03}.png", mask)
            Image.open(io.BytesIO(photo)).convert("RGB").save(args.out / "img" / f"{i:03}.png")
            labels = np.asarray(Image.open(io.BytesIO(mask))).astype(np.uint8)
            Image.fromarray(np.where(labels > 0, 255, 0).astype(np.uint8)).save(args.out / "gt" / f"{i:03}.png")


if __name__ == "__main__":
    main()
