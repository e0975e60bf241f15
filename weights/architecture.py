"""Recognises the network of a set of tensor names and shapes, and says which tensors it must consist of."""

import math
import re
from dataclasses import dataclass

STAGE_PLANES = (64, 128, 256, 512)
EXPANSION = 4
FUSION_BLOCKS = 3
DEFAULT_BINS = [1, 2, 3, 6]


class ArchitectureError(ValueError):
    """The tensors do not form a network that the runtime knows; the message is one sentence."""


@dataclass
class Architecture:
    """What the tensors alone tell. `shapes` has every tensor that the network needs, and no other."""

    variant: str
    blocks: list
    fusion: str
    se_reduction: int
    stages: int
    shapes: dict

    def summary(self):
        """Two or three words per part, for people."""
        channels, stem = self.shapes["conv1.weight"][1], self.shapes["conv1.weight"][0]
        parts = [f"{self.variant}, {channels} input channels, stem {stem} wide, blocks {','.join(map(str, self.blocks))}"]
        if self.fusion != "none":
            hidden, width = self.shapes["fusion.0.se.fc1.weight"][:2]
            biases = "with" if "fusion.0.se.fc1.bias" in self.shapes else "without"
            parts.append(f"fusion {self.fusion} {width} wide, SE {width} -> {hidden} -> {width} {biases} biases")
        stage, inputs = self.shapes["layer5.stages.0.1.weight"][:2]
        parts.append(f"PSP {inputs} -> {self.stages} x {stage} -> {self.shapes['layer5.bottleneck.0.weight'][0]} -> 1")
        return "; ".join(parts)

    def parameters(self):
        """How many numbers are trained; running statistics are not."""
        statistics = ("running_mean", "running_var")
        return sum(math.prod(shape) for name, shape in self.shapes.items() if not name.endswith(statistics))


def count_indices(names, prefix):
    """Number of distinct n in names `<prefix>.n.<anything>`; they must be 0, 1, 2 ..."""
    pattern = re.compile(re.escape(prefix) + r"\.(\d{1,4})\.")
    indices = {int(match[1]) for match in map(pattern.match, names) if match}
    for index in range(len(indices)):
        if index not in indices:
            raise ArchitectureError(f"{prefix}.{index} is missing, though there is a {prefix}.{max(indices)}")
    return len(indices)


def known_shape(shapes, name, ndim):
    if name not in shapes:
        raise ArchitectureError(f"tensor {name} is missing")
    if len(shapes[name]) not in ndim or 0 in shapes[name]:
        allowed = " or ".join(map(str, ndim))
        raise ArchitectureError(f"tensor {name} has the shape {list(shapes[name])}, expected {allowed} dimensions")
    return shapes[name]


class _Expected:
    """Collects names and shapes as the network's definition is walked through."""

    def __init__(self):
        self.shapes = {}

    def conv(self, name, outputs, inputs, kernel):
        self.shapes[f"{name}.weight"] = (outputs, inputs, kernel, kernel)

    def conv_bn(self, conv, bn, outputs, inputs, kernel):
        self.conv(conv, outputs, inputs, kernel)
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            self.shapes[f"{bn}.{leaf}"] = (outputs,)

    def projection(self, block, outputs, inputs):
        self.conv_bn(f"{block}.downsample.0", f"{block}.downsample.1", outputs, inputs, 1)

    def bottlenecks(self, layer, count, planes, inputs):
        for index in range(count):
            at, outputs = f"{layer}.{index}", EXPANSION * planes
            self.conv_bn(f"{at}.conv1", f"{at}.bn1", planes, inputs, 1)
            self.conv_bn(f"{at}.conv2", f"{at}.bn2", planes, planes, 3)
            self.conv_bn(f"{at}.conv3", f"{at}.bn3", outputs, planes, 1)
            if index == 0:
                self.projection(at, outputs, inputs)
            inputs = outputs

    def se_block(self, at, width, inputs, hidden, fc_dims, biases, project):
        self.conv_bn(f"{at}.conv1", f"{at}.bn1", width, inputs, 3)
        self.conv_bn(f"{at}.conv2", f"{at}.bn2", width, width, 3)
        for name, outputs, fan_in in (("fc1", hidden, width), ("fc2", width, hidden)):
            self.shapes[f"{at}.se.{name}.weight"] = (outputs, fan_in, 1, 1)[:fc_dims]
            if biases:
                self.shapes[f"{at}.se.{name}.bias"] = (outputs,)
        if project:
            self.projection(at, width, inputs)

    def pyramid(self, channels, stages, stage_width, head_width):
        for index in range(stages):
            self.conv_bn(f"layer5.stages.{index}.1", f"layer5.stages.{index}.2", stage_width, channels, 1)
        self.conv_bn("layer5.bottleneck.0", "layer5.bottleneck.1", head_width, stages * stage_width + channels, 1)
        self.conv("layer5.final", 1, head_width, 1)
        self.shapes["layer5.final.bias"] = (1,)


def variant_of(channels, has_fusion):
    variants = {(4, True): "resnet-multi", (4, False): "resnet-early", (3, False): "resnet-baseline"}
    if (channels, has_fusion) not in variants:
        what = "with" if has_fusion else "without"
        raise ArchitectureError(f"conv1 has {channels} input channels {what} a fusion branch, which is no network of the paper")
    return variants[channels, has_fusion]


def recognise(shapes):
    """{name: shape} -> Architecture; raises ArchitectureError if a tensor is missing, too many or misshapen."""
    if "features.0.weight" in shapes:
        raise ArchitectureError("this is a VGG network, which this version does not support")
    stem, channels = known_shape(shapes, "conv1.weight", (4,))[:2]
    has_fusion = any(name.startswith("fusion.") for name in shapes)
    variant = variant_of(channels, has_fusion)
    fusion = "none" if not has_fusion else "own_init" if any(name.startswith("init.") for name in shapes) else "layer1"
    blocks = [count_indices(shapes, f"layer{i + 1}") for i in range(len(STAGE_PLANES))]
    if 0 in blocks[:3]:
        raise ArchitectureError(f"layer{blocks.index(0) + 1} is missing")

    expected, width, se_reduction = _Expected(), stem, 16
    expected.conv_bn("conv1", "bn1", stem, channels, 7)
    for index, (count, planes) in enumerate(zip(blocks, STAGE_PLANES)):
        expected.bottlenecks(f"layer{index + 1}", count, planes, width)
        width = EXPANSION * planes if count else width
    if has_fusion:
        fc1 = known_shape(shapes, "fusion.0.se.fc1.weight", (2, 4))
        hidden, fusion_width = fc1[:2]
        se_reduction = max(1, fusion_width // hidden)
        inputs = EXPANSION * STAGE_PLANES[0]
        if fusion == "own_init":
            expected.conv_bn("init.0", "init.1", fusion_width, channels, 7)
            inputs = fusion_width
        biases = any(re.fullmatch(r"fusion\.\d\.se\.fc\d\.bias", name) for name in shapes)
        for index in range(FUSION_BLOCKS):
            project = index == FUSION_BLOCKS - 1 or inputs != fusion_width
            expected.se_block(f"fusion.{index}", fusion_width, inputs, hidden, len(fc1), biases, project)
            inputs = fusion_width
        width += fusion_width
    stages = count_indices(shapes, "layer5.stages")
    stage_width = known_shape(shapes, "layer5.stages.0.1.weight", (4,))[0]
    head_width = known_shape(shapes, "layer5.bottleneck.0.weight", (4,))[0]
    expected.pyramid(width, stages, stage_width, head_width)

    compare(shapes, expected.shapes, variant)
    return Architecture(variant, blocks, fusion, se_reduction, stages, expected.shapes)


def compare(shapes, expected, variant):
    for name, shape in expected.items():
        if name not in shapes:
            raise ArchitectureError(f"tensor {name} of {variant} is missing")
        if tuple(shapes[name]) != shape:
            raise ArchitectureError(f"tensor {name} has the shape {list(shapes[name])}, {variant} needs {list(shape)}")
    for name in shapes:
        if name not in expected:
            raise ArchitectureError(f"tensor {name} is not part of {variant}")
