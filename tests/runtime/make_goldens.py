#!/usr/bin/env python3
"""Writes tests/runtime/goldens/*.json: what PyTorch computes for networks whose every weight follows from a formula.

The C++ test (golden_test.cpp) makes the same weights and photo from the same formula, so no weights are stored and the C++
tests need no Python. Run again only when the network's definition changes.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
from network import Network, Widths, is_vgg  # noqa: E402
from preprocess import network_input, probability_from_logit  # noqa: E402
from vgg import Vgg, VggWidths  # noqa: E402

HERE = Path(__file__).resolve().parent / "goldens"
PHOTO = (40, 56)  # height, width
TAPS = [[20.25, 13.5], [3, 36]]
BASE = {
    "variant": "resnet-multi", "blocks": [1, 1, 1, 0], "stride_in": "conv1", "stem_pool": "3x3", "fusion": "own_init",
    "se_reduction": 16, "psp_bins": [1, 2, 3, 6], "align_corners": True, "upsample": "logit",
}  # fmt: skip
GAUSSIAN = {"kind": "gaussian", "sigma": 10, "scale": 1}
CASES = {  # differences from BASE, guidance, widths if the fusion branch is not 64 wide
    "multi": ({}, GAUSSIAN),
    "multi_layer1_3x3ceil": ({"fusion": "layer1", "stem_pool": "3x3ceil"}, {"kind": "disk", "radius": 5, "scale": 1}),
    "early_layer4_conv2": (
        {"variant": "resnet-early", "fusion": "none", "blocks": [1, 1, 1, 1], "stride_in": "conv2", "upsample": "probability"},
        {"kind": "euclidean", "clip": 255, "scale": 1},
    ),
    "resnet_multi": ({"blocks": [3, 4, 23, 3]}, GAUSSIAN, Widths()),  # the paper's
    "vgg_early": (
        {"variant": "vgg-early", "align_corners": True, "upsample": "logit"},
        {"kind": "gaussian_fwhm", "sigma": 10, "scale": 1},
        VggWidths((8, 8, 16, 24, 20), (40, 36)),
    ),
    "baseline_2x2": ({"variant": "resnet-baseline", "fusion": "none", "stem_pool": "2x2", "align_corners": False}, {"kind": "none"}),
}


def fnv1a(text):
    """64-bit FNV-1a hash of a name: the start of its number sequence."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def numbers(name, count):
    """`count` float64 in [-1, 1): splitmix64 of fnv1a(name) + index, top 24 bits."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def weight(name, shape):
    """He's uniform initialisation for filters; batch norm near identity, the last of a residual branch at a quarter."""
    u = numbers(name, int(np.prod(shape))).reshape(shape)
    if len(shape) > 1:
        return (u * np.sqrt(6 / np.prod(shape[1:]))).astype(np.float32)
    if name.endswith("running_var"):
        return (1 + 0.25 * u).astype(np.float32)
    if name.endswith(".weight"):
        return ((0.25 if ".bn3." in name else 1) * (1 + 0.25 * u)).astype(np.float32)
    return (0.25 * u).astype(np.float32)


@torch.no_grad()
def golden(config, guidance, widths):
    preprocess = {"size": [64, 64], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "guidance": guidance}
    network = (Vgg if is_vgg(config) else Network)(config, widths).eval()
    tensors = {n: t for n, t in network.state_dict().items() if not n.endswith("num_batches_tracked")}
    for name, tensor in tensors.items():
        tensor.copy_(torch.from_numpy(weight(name, tuple(tensor.shape))))
    photo = np.floor((numbers("photo", PHOTO[0] * PHOTO[1] * 3) + 1) * 128).astype(np.uint8).reshape(*PHOTO, 3)
    logit = network(network_input(photo, TAPS, preprocess))
    probability = probability_from_logit(logit, PHOTO, config)
    return {
        "network": config, "preprocess": preprocess, "photo": PHOTO, "taps": TAPS,
        "tensors": [[name, list(tensor.shape)] for name, tensor in sorted(tensors.items())],
        "logit": [round(float(v), 6) for v in logit.flatten()],
        "probability_diagonal": [round(float(probability[i, i]), 6) for i in range(min(PHOTO))],
    }  # fmt: skip


def main():
    HERE.mkdir(exist_ok=True)
    for name, (difference, guidance, *widths) in CASES.items():
        config = difference if is_vgg(BASE | difference) else BASE | difference
        result = golden(config, guidance, *widths or [Widths(fusion=64)])
        (HERE / f"{name}.json").write_text(json.dumps(result) + "\n")
        print(f"{name}: logits {min(result['logit']):.3f} to {max(result['logit']):.3f}")


if __name__ == "__main__":
    main()
