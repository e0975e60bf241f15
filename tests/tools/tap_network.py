"""Writes a small weights file whose network answers with a disc around the tap: made by hand, so that tests know the mask.

Channel 0 carries the guidance map unchanged through the stem, the shortcuts of three blocks (their other branch is zero) and
the head; the logit is 20 * guidance - 5. Standard library only.
"""

import json
import struct
from array import array

PLANES = (64, 128, 256)
STAGE_CHANNELS = 8
NETWORK_SIZE = 128
SIGMA = 10


def tensor(shape, ones=(), value=1.0):
    """(shape, float32 bytes): zero but for `value` at the indices in `ones`."""
    count = 1
    for n in shape:
        count *= n
    values = array("f", bytes(4 * count))
    for index in ones:
        flat = 0
        for n, i in zip(shape, index):
            flat = flat * n + i
        values[flat] = value
    return shape, values.tobytes()


def filled(channels, value):
    return (channels,), array("f", [value] * channels).tobytes()


def batch_norm(tensors, name, channels):
    tensors[f"{name}.weight"] = filled(channels, 1)
    tensors[f"{name}.bias"] = filled(channels, 0)
    tensors[f"{name}.running_mean"] = filled(channels, 0)
    tensors[f"{name}.running_var"] = filled(channels, 1)


def make_tensors(uses_taps):
    tensors = {}
    guidance = [(0, 3, 3, 3)] if uses_taps else []
    tensors["conv1.weight"] = tensor((64, 4 if uses_taps else 3, 7, 7), guidance)
    batch_norm(tensors, "bn1", 64)
    channels = 64
    for layer, planes in enumerate(PLANES, 1):
        at = f"layer{layer}.0"
        tensors[f"{at}.conv1.weight"] = tensor((planes, channels, 1, 1))
        batch_norm(tensors, f"{at}.bn1", planes)
        tensors[f"{at}.conv2.weight"] = tensor((planes, planes, 3, 3))
        batch_norm(tensors, f"{at}.bn2", planes)
        tensors[f"{at}.conv3.weight"] = tensor((4 * planes, planes, 1, 1))
        batch_norm(tensors, f"{at}.bn3", 4 * planes)
        tensors[f"{at}.downsample.0.weight"] = tensor((4 * planes, channels, 1, 1), [(0, 0, 0, 0)])
        batch_norm(tensors, f"{at}.downsample.1", 4 * planes)
        channels = 4 * planes
    for stage in range(4):
        tensors[f"layer5.stages.{stage}.1.weight"] = tensor((STAGE_CHANNELS, channels, 1, 1))
        batch_norm(tensors, f"layer5.stages.{stage}.2", STAGE_CHANNELS)
    priors = 4 * STAGE_CHANNELS
    tensors["layer5.bottleneck.0.weight"] = tensor((512, priors + channels, 1, 1), [(0, priors, 0, 0)])
    batch_norm(tensors, "layer5.bottleneck.1", 512)
    tensors["layer5.final.weight"] = tensor((1, 512, 1, 1), [(0, 0, 0, 0)], 20.0)
    tensors["layer5.final.bias"] = filled(1, -5)
    return tensors


def write(path, uses_taps=True):
    network = {
        "variant": "resnet-early" if uses_taps else "resnet-baseline",
        "blocks": [1, 1, 1, 0],
        "stride_in": "conv1",
        "stem_pool": "3x3",
        "fusion": "none",
        "se_reduction": 16,
        "psp_bins": [1, 2, 3, 6],
        "align_corners": True,
        "upsample": "logit",
    }
    guidance = {"kind": "gaussian", "sigma": SIGMA, "scale": 1} if uses_taps else {"kind": "none"}
    preprocess = {
        "size": [NETWORK_SIZE, NETWORK_SIZE],
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "guidance": guidance,
    }
    metadata = {"mfs.format": "1", "mfs.network": json.dumps(network), "mfs.preprocess": json.dumps(preprocess)}
    header, data = {"__metadata__": metadata}, b""
    for name, (shape, content) in make_tensors(uses_taps).items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
