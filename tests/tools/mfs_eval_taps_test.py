#!/usr/bin/env python3
"""Simulated taps of mfs_eval against scipy's distance transform and centre of mass, on random masks.

    mfs_eval_taps_test.py path/to/mfs_eval
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    from PIL import Image
    from scipy import ndimage
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

import tap_network

MASKS = 60
OBJECT, IGNORED = 255, 128


def random_mask(rng):
    """Smoothed noise, so that objects have holes, arms and several parts; some pixels are ignored."""
    shape = rng.integers(8, 120, 2)
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), rng.uniform(0.5, 6))
    mask = np.where(noise >= np.quantile(noise, rng.uniform(0.05, 0.95)), OBJECT, 0).astype(np.uint8)
    mask[(rng.random(shape) < 0.01) & (mask == 0)] = IGNORED
    return mask


def first(candidates):
    """The first True in row-major order as (x, y)."""
    return tuple(int(v) for v in np.argwhere(candidates)[0][::-1])


def distance_tap(mask):
    distance = ndimage.distance_transform_edt(np.pad(mask == OBJECT, 1))[1:-1, 1:-1]
    square = np.rint(distance**2).astype(np.int64)
    return first(square == square.max())


def centre_tap(mask):
    row, column = ndimage.center_of_mass(mask == OBJECT)
    x, y = int(np.floor(column + 0.5)), int(np.floor(row + 0.5))
    if mask[y, x] == OBJECT:
        return x, y
    rows, columns = np.indices(mask.shape)
    square = (rows - row) ** 2 + (columns - column) ** 2
    square[mask != OBJECT] = np.inf
    return first(square <= square.min() + 1e-9)


def main():
    program = Path(sys.argv[1]).resolve()
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        weights = folder / "tap.safetensors"
        tap_network.write(weights)
        masks = {f"{i:03}.png": random_mask(rng) for i in range(MASKS)}
        for part in ("img", "gt"):
            (folder / part).mkdir()
            for name, mask in masks.items():
                Image.fromarray(mask).save(folder / part / name)
        for protocol, expected in (("distance", distance_tap), ("centre", centre_tap)):
            clicks = folder / "clicks.json"
            subprocess.run([program, "--dataset", "masks", folder, "--click", protocol, "--weights", weights,
                            "--export-clicks", clicks, "-q", "--json"], check=True, stdout=subprocess.DEVNULL)  # fmt: skip
            taps = json.loads(clicks.read_text())
            assert len(taps) == MASKS, len(taps)
            off_centre = 0
            for name, ((x, y),) in taps.items():
                want = expected(masks[name])
                assert (x, y) == want, f"{protocol}, mask {name}: tap {x},{y}, scipy says {want}"
                row, column = ndimage.center_of_mass(masks[name] == OBJECT)
                off_centre += masks[name][int(row + 0.5), int(column + 0.5)] != OBJECT
            assert 5 < off_centre < MASKS - 5, off_centre  # both ways to a centre tap occur
            print(f"{protocol}: {MASKS} taps agree with scipy")


if __name__ == "__main__":
    main()
