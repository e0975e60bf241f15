"""Recognises the network of a set of tensor names and shapes, and says which tensors it must consist of."""

import math
import re
from dataclasses import dataclass

STAGE_PLANES = (64, 128, 256, 512)
EXPANSION = 4
FUSION_BLOCKS = 3
DEFAULT_BINS = [1, 2, 3, 6]
# VGG-16 under torchvision's names: the convs of each stage, and the layers after them with the kernels they have as convs.
VGG_STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
VGG_FC = {"classifier.0": 7, "classifier.3": 1}
VGG_SCORES = {"score_pool3": 2, "score_pool4": 3, "score_fr": -1}  # which stage each reads, score_fr the last layer


class ArchitectureError(ValueError):
    """The tensors do not form a network that the runtime knows; the message is one sentence."""


@dataclass
class Architecture:
    """What the tensors alone tell. `shapes` has every tensor that the network needs, and no other."""

    variant: str
    shapes: dict

    def parameters(self):
        """How many numbers are trained; running statistics are not."""
        statistics = ("running_mean", "running_var")
        return sum(math.prod(shape) for name, shape in self.shapes.items() if not name.endswith(statistics))


@dataclass
class ResNet(Architecture):
    blocks: list
    fusion: str
    se_reduction: int
    stages: int

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


@dataclass
class Vgg(Architecture):
    def summary(self):
        channels = self.shapes["features.0.weight"][1]
        widths = [self.shapes[f"features.{stage[-1]}.weight"][0] for stage in VGG_STAGES]
        fc6, fc7 = (self.shapes[f"{name}.weight"][0] for name in VGG_FC)
        return f"{self.variant}, {channels} input channels, stages {','.join(map(str, widths))} wide, fc {fc6}, {fc7}"


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

    def conv_bias(self, name, outputs, inputs, kernel):
        self.conv(name, outputs, inputs, kernel)
        self.shapes[f"{name}.bias"] = (outputs,)

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
        self.conv_bias("layer5.final", 1, head_width, 1)


def resnet_variant(channels, has_fusion):
    variants = {(4, True): "resnet-multi", (4, False): "resnet-early", (3, False): "resnet-baseline"}
    if (channels, has_fusion) not in variants:
        what = "with" if has_fusion else "without"
        raise ArchitectureError(f"conv1 has {channels} input channels {what} a fusion branch, which is no network of the paper")
    return variants[channels, has_fusion]


def recognise(shapes):
    """{name: shape} -> ResNet or Vgg; raises ArchitectureError if a tensor is missing, too many or misshapen."""
    architecture = recognise_vgg(shapes) if "features.0.weight" in shapes else recognise_resnet(shapes)
    compare(shapes, architecture.shapes, architecture.variant)
    return architecture


def recognise_resnet(shapes):
    stem, channels = known_shape(shapes, "conv1.weight", (4,))[:2]
    has_fusion = any(name.startswith("fusion.") for name in shapes)
    variant = resnet_variant(channels, has_fusion)
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

    return ResNet(variant, expected.shapes, blocks, fusion, se_reduction, stages)


def as_convolutions(shapes):
    """torchvision's VGG has Linear layers where FCN has convs: the same numbers in the same order."""
    result = dict(shapes)
    for name, kernel in VGG_FC.items():
        shape = shapes.get(f"{name}.weight", ())
        if len(shape) == 2 and shape[1] % kernel**2 == 0:
            result[f"{name}.weight"] = (shape[0], shape[1] // kernel**2, kernel, kernel)
    return result


def recognise_vgg(shapes):
    channels = known_shape(shapes, "features.0.weight", (4,))[1]
    variants = {4: "vgg-early", 3: "vgg-baseline"}
    if channels not in variants:
        raise ArchitectureError(f"features.0 has {channels} input channels, which is no network of the paper")
    expected, width, widths = _Expected(), channels, []
    convs = [(f"features.{layer}", 3, layer == stage[-1]) for stage in VGG_STAGES for layer in stage]
    for name, kernel, is_last in convs + [(name, kernel, True) for name, kernel in VGG_FC.items()]:
        outputs = known_shape(shapes, f"{name}.weight", (2, 4) if name in VGG_FC else (4,))[0]
        expected.conv_bias(name, outputs, width, kernel)
        width = outputs
        if is_last:
            widths.append(width)
    for name, part in VGG_SCORES.items():
        expected.conv_bias(name, 1, widths[part], 1)
    for name in ("upscore2", "upscore_pool4"):
        expected.conv(name, 1, 1, 4)
    return Vgg(variants[channels], expected.shapes)


def compare(shapes, expected, variant):
    shapes = as_convolutions(shapes)
    for name, shape in expected.items():
        if name not in shapes:
            raise ArchitectureError(f"tensor {name} of {variant} is missing")
        if tuple(shapes[name]) != shape:
            raise ArchitectureError(f"tensor {name} has the shape {list(shapes[name])}, {variant} needs {list(shape)}")
    for name in shapes:
        if name not in expected:
            raise ArchitectureError(f"tensor {name} is not part of {variant}")
