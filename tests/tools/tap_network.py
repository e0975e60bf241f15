"""Writes a small weights file whose network answers with a disc around the tap: made by hand, so that tests know the mask.

Channel 0 carries the guidance map (or 1 minus it, where it grows with the distance) unchanged through the stem, the shortcuts of
three blocks (their other branch is zero) and the head; the logit is 20 * guidance - 5. A VGG network carries it through its first
three stages, whose pools spread it, and the score of the third. Standard library only.
"""

import json
import struct
from array import array

PLANES = (64, 128, 256)
STAGE_CHANNELS = 8
FUSION_CHANNELS = 8
VGG_CHANNELS = 4
NETWORK_SIZE = 128
SIGMA = 10
NO_TAPS = {"kind": "none"}


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


def add_fusion(tensors):
    """The fusion branch of resnet-multi: zero, so that it adds nothing."""
    c = FUSION_CHANNELS
    tensors["init.0.weight"] = tensor((c, 4, 7, 7))
    batch_norm(tensors, "init.1", c)
    for block in range(3):
        at = f"fusion.{block}"
        for index in (1, 2):
            tensors[f"{at}.conv{index}.weight"] = tensor((c, c, 3, 3))
            batch_norm(tensors, f"{at}.bn{index}", c)
        tensors[f"{at}.se.fc1.weight"] = tensor((2, c))
        tensors[f"{at}.se.fc2.weight"] = tensor((c, 2))
    tensors["fusion.2.downsample.0.weight"] = tensor((c, c, 1, 1))
    batch_norm(tensors, "fusion.2.downsample.1", c)


def resnet_tensors(variant, sign):
    tensors = {}
    inputs = 3 if variant == "resnet-baseline" else 4
    tensors["conv1.weight"] = tensor((64, inputs, 7, 7), [(0, 3, 3, 3)] if inputs == 4 else [], sign)
    batch_norm(tensors, "bn1", 64)
    if sign < 0:
        tensors["bn1.bias"] = tensor((64,), [(0,)])
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
    if variant == "resnet-multi":
        add_fusion(tensors)
        channels += FUSION_CHANNELS
    for stage in range(4):
        tensors[f"layer5.stages.{stage}.1.weight"] = tensor((STAGE_CHANNELS, channels, 1, 1))
        batch_norm(tensors, f"layer5.stages.{stage}.2", STAGE_CHANNELS)
    priors = 4 * STAGE_CHANNELS
    tensors["layer5.bottleneck.0.weight"] = tensor((512, priors + channels, 1, 1), [(0, priors, 0, 0)])
    batch_norm(tensors, "layer5.bottleneck.1", 512)
    tensors["layer5.final.weight"] = tensor((1, 512, 1, 1), [(0, 0, 0, 0)], 20.0)
    tensors["layer5.final.bias"] = filled(1, -5)
    return tensors


def vgg_tensors(variant, sign):
    tensors, inputs, c = {}, 3 if variant == "vgg-baseline" else 4, VGG_CHANNELS

    def conv(name, outputs, fan_in, kernel, value=0.0, channel=0, bias=0.0):
        middle = kernel // 2
        tensors[f"{name}.weight"] = tensor((outputs, fan_in, kernel, kernel), [(0, channel, middle, middle)] if value else [], value)
        tensors[f"{name}.bias"] = tensor((outputs,), [(0,)], bias)

    conv("features.0", c, inputs, 3, sign if inputs == 4 else 0.0, channel=3, bias=1.0 if sign < 0 else 0.0)
    for layer in (2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28):
        conv(f"features.{layer}", c, c, 3, 1.0)
    conv("classifier.0", c, c, 7)
    conv("classifier.3", c, c, 1)
    for score in ("score_fr", "score_pool4"):
        conv(score, 1, c, 1)
    conv("score_pool3", 1, c, 1, 20.0, bias=-5.0)
    for upscore in ("upscore2", "upscore_pool4"):
        tensors[f"{upscore}.weight"] = tensor((1, 1, 4, 4))
    return tensors


def write(path, uses_taps=True, variant=None, guidance=None):
    variant = variant or ("resnet-early" if uses_taps else "resnet-baseline")
    guidance = guidance or (NO_TAPS if variant.endswith("-baseline") else {"kind": "gaussian", "sigma": SIGMA, "scale": 1})
    network = {
        "variant": variant,
        "blocks": [1, 1, 1, 0],
        "stride_in": "conv1",
        "stem_pool": "3x3",
        "fusion": "own_init" if variant == "resnet-multi" else "none",
        "se_reduction": FUSION_CHANNELS // 2,
        "psp_bins": [1, 2, 3, 6],
        "align_corners": True,
        "upsample": "logit",
    }
    preprocess = {
        "size": [NETWORK_SIZE, NETWORK_SIZE],
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "guidance": guidance,
    }
    metadata = {"mfs.format": "1", "mfs.network": json.dumps(network), "mfs.preprocess": json.dumps(preprocess)}
    header, data = {"__metadata__": metadata}, b""
    tensors = (vgg_tensors if variant.startswith("vgg") else resnet_tensors)(variant, -1.0 if guidance["kind"] == "euclidean" else 1.0)
    for name, (shape, content) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
