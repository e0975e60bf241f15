"""The network of "Multi-Stage Fusion for One-Click Segmentation" in PyTorch: the reference for parity tests and training.

The paper's ResNets; its VGG networks are in vgg.py.

Modules are named so that `state_dict()` has exactly the tensor names of the weights file. Tensors are NCHW; "h/8" means
the network size divided by 8. Runs under torch 1.13 and newer.
"""

import json
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import torch
import torch.nn.functional as F
from torch import nn

from vgg import Vgg, VggWidths

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "weights"))
from safetensors_file import load_safetensors  # noqa: E402

STAGE_PLANES = (64, 128, 256, 512)  # planes of layer1 .. layer4
STAGE_STRIDES = (1, 2, 1, 1)
STAGE_DILATIONS = (1, 1, 2, 4)
EXPANSION = 4
STEM_WIDTH = 64


@dataclass
class Widths:
    """Widths that the weights file does not name: they are read from its tensors. None means the default.

    fusion: channels of the fusion branch. se_hidden: hidden width of the SE blocks (fusion / se_reduction).
    stage: channels of a PSP stage (a quarter of the PSP input). head: channels of the PSP bottleneck.
    se_bias: whether the SE layers have biases.
    """

    fusion: int = 256
    se_hidden: Optional[int] = None
    stage: Optional[int] = None
    head: int = 512
    se_bias: bool = True

    @classmethod
    def from_tensors(cls, tensors):
        """Reads the widths from tensors (or their shapes) under their names in the weights file."""
        widths = cls(stage=tensors["layer5.stages.0.1.weight"].shape[0], head=tensors["layer5.bottleneck.0.weight"].shape[0])
        if "fusion.0.se.fc1.weight" in tensors:
            widths.se_hidden, widths.fusion = tensors["fusion.0.se.fc1.weight"].shape[:2]
            widths.se_bias = "fusion.0.se.fc1.bias" in tensors
        return widths


def conv(inputs, outputs, kernel, stride=1, dilation=1):
    """A convolution without bias that keeps the size at stride 1."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)


def projection(inputs, outputs, stride):
    """The projected shortcut of a residual block: 1x1 conv and BN."""
    return nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class Bottleneck(nn.Module):
    """1x1 -> 3x3 -> 1x1 residual block; `stride_in` says which of the first two convs has the stride."""

    def __init__(self, inputs, planes, stride, dilation, stride_in, project):
        super().__init__()
        stride1, stride2 = (stride, 1) if stride_in == "conv1" else (1, stride)
        self.conv1 = conv(inputs, planes, 1, stride1)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv(planes, planes, 3, stride2, dilation)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = conv(planes, EXPANSION * planes, 1)
        self.bn3 = nn.BatchNorm2d(EXPANSION * planes)
        self.downsample = projection(inputs, EXPANSION * planes, stride) if project else None

    def forward(self, x):
        y = F.relu_(self.bn1(self.conv1(x)))
        y = F.relu_(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu_(y + (x if self.downsample is None else self.downsample(x)))


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate computed from the global means of all channels."""

    def __init__(self, channels, hidden, bias):
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden, bias=bias)
        self.fc2 = nn.Linear(hidden, channels, bias=bias)

    def forward(self, x):
        gate = torch.sigmoid(self.fc2(F.relu_(self.fc1(x.mean(dim=(2, 3))))))
        return x * gate[:, :, None, None]


class SEBlock(nn.Module):
    """SE-ResNet block of the fusion branch: two 3x3 convs, SE, shortcut."""

    def __init__(self, inputs, channels, stride, se_hidden, se_bias):
        super().__init__()
        self.conv1 = conv(inputs, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.se = SqueezeExcitation(channels, se_hidden, se_bias)
        project = stride != 1 or inputs != channels
        self.downsample = projection(inputs, channels, stride) if project else None

    def forward(self, x):
        y = F.relu_(self.bn1(self.conv1(x)))
        y = self.se(self.bn2(self.conv2(y)))
        return F.relu_(y + (x if self.downsample is None else self.downsample(x)))


class PyramidPooling(nn.Module):
    """PSP head: C input channels at h/8 -> logit (1 channel) at h/8."""

    def __init__(self, channels, bins, stage_width, head_width, align_corners):
        super().__init__()
        self.align_corners = align_corners
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(b), conv(channels, stage_width, 1), nn.BatchNorm2d(stage_width), nn.ReLU())
            for b in bins
        )
        merged = len(bins) * stage_width + channels
        self.bottleneck = nn.Sequential(conv(merged, head_width, 1), nn.BatchNorm2d(head_width), nn.ReLU())
        self.final = nn.Conv2d(head_width, 1, 1)

    def forward(self, x, record=None):
        """`record`, if given, is a dict that receives the intermediate tensors."""
        priors = []
        for index, stage in enumerate(self.stages):
            pooled = stage[0](x)
            prior = stage[1:](pooled)
            if record is not None:
                record[f"layer5.pool.{index}"] = pooled
                record[f"layer5.stages.{index}"] = prior
            prior = F.interpolate(prior, x.shape[2:], mode="bilinear", align_corners=self.align_corners)
            priors.append(prior.to(x.dtype))  # under autocast, interpolate returns float32
        hidden = self.bottleneck(torch.cat(priors + [x], dim=1))
        if record is not None:
            record["layer5.bottleneck"] = hidden
        return self.final(hidden)


class Network(nn.Module):
    """The ResNet networks of the paper. `config` is the `mfs.network` dict of the weights file.

    Input: N x 4 x h x w (R, G, B normalised, guidance), N x 3 x h x w for resnet-baseline; h and w multiples of 8.
    Output: the logit, N x 1 x h/8 x w/8 (one more row and column with `stem_pool` 3x3ceil).
    """

    def __init__(self, config, widths=None):
        super().__init__()
        widths = widths or Widths()
        check_config(config)
        self.config = config
        self.in_channels = 3 if config["variant"] == "resnet-baseline" else 4
        self.conv1 = nn.Conv2d(self.in_channels, STEM_WIDTH, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_WIDTH)

        channels = STEM_WIDTH
        self.layers = [f"layer{i + 1}" for i, count in enumerate(config["blocks"]) if count > 0]
        for i, name in enumerate(self.layers):
            setattr(self, name, self._layer(channels, i, config["blocks"][i], config["stride_in"]))
            channels = EXPANSION * STAGE_PLANES[i]

        if config["fusion"] != "none":
            width = widths.fusion
            if config["fusion"] == "own_init":
                self.init = nn.Sequential(nn.Conv2d(self.in_channels, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width))
                inputs = width
            else:
                inputs = EXPANSION * STAGE_PLANES[0]
            hidden = widths.se_hidden or max(1, width // config["se_reduction"])
            self.fusion = nn.Sequential(
                SEBlock(inputs, width, 1, hidden, widths.se_bias),
                SEBlock(width, width, 1, hidden, widths.se_bias),
                SEBlock(width, width, 2, hidden, widths.se_bias),
            )
            channels += width
        stage_width = widths.stage or channels // 4
        self.layer5 = PyramidPooling(channels, config["psp_bins"], stage_width, widths.head, config["align_corners"])

    @staticmethod
    def _layer(inputs, index, count, stride_in):
        planes, stride, dilation = STAGE_PLANES[index], STAGE_STRIDES[index], STAGE_DILATIONS[index]
        first = Bottleneck(inputs, planes, stride, dilation, stride_in, project=True)
        rest = [Bottleneck(EXPANSION * planes, planes, 1, dilation, stride_in, project=False) for _ in range(count - 1)]
        return nn.Sequential(first, *rest)

    def stem(self, x):
        """conv1, BN, ReLU: N x 64 x h/2 x w/2."""
        return F.relu_(self.bn1(self.conv1(x)))

    def stem_pool(self, x):
        """Max-pool of the stem: N x 64 x h/4 x w/4."""
        if self.config["stem_pool"] == "2x2":
            return F.max_pool2d(x, 2, 2)
        return F.max_pool2d(x, 3, 2, padding=1, ceil_mode=self.config["stem_pool"] == "3x3ceil")

    def init_features(self, x):
        """The paper's Init block on the network's input: N x fusion width x h/4 x w/4."""
        return F.max_pool2d(F.relu_(self.init(x)), 2, 2)

    def head(self, features, fused=None, record=None):
        """Backbone features (and fusion features, None without fusion) at h/8 -> logit."""
        if fused is not None:
            if fused.shape[2:] != features.shape[2:]:
                fused = F.interpolate(fused, features.shape[2:], mode="bilinear", align_corners=True)
            features = torch.cat([features, fused], dim=1)
        return self.layer5(features, record)

    def stages(self, x):
        """All intermediate tensors by name, in order of computation; the last is "logit"."""
        record = OrderedDict()
        record["stem"] = self.stem(x)
        y = record["pooled"] = self.stem_pool(record["stem"])
        for name in self.layers:
            y = record[name] = getattr(self, name)(y)
        fused = None
        if self.config["fusion"] != "none":
            if self.config["fusion"] == "own_init":
                fused = record["init"] = self.init_features(x)
            else:
                fused = record["layer1"]
            for index, block in enumerate(self.fusion):
                fused = record[f"fusion.{index}"] = block(fused)
        record["logit"] = self.head(y, fused, record)
        return record

    def forward(self, x):
        return self.stages(x)["logit"]


def check_config(config):
    """Raises ValueError with one sentence for a `mfs.network` dict that names no ResNet network."""
    allowed = {
        "variant": ("resnet-multi", "resnet-early", "resnet-baseline"),
        "stride_in": ("conv1", "conv2"),
        "stem_pool": ("3x3", "3x3ceil", "2x2"),
        "fusion": ("own_init", "layer1", "none"),
        "align_corners": (True, False),
        "upsample": ("logit", "probability"),
    }
    for field, values in allowed.items():
        if config[field] not in values:
            raise ValueError(f"mfs.network: {field} is {config[field]!r}, not one of {values}")
    if (config["variant"] == "resnet-multi") != (config["fusion"] != "none"):
        raise ValueError(f"mfs.network: variant {config['variant']} does not go with fusion {config['fusion']}")
    if len(config["blocks"]) != 4 or min(config["blocks"][:3]) < 1 or config["blocks"][3] < 0:
        raise ValueError(f"mfs.network: blocks is {config['blocks']}, not three positive counts and a count of layer4")


def load_tensors(network, tensors):
    """Loads {name: float32 array or tensor}; SE weights may be 4-D; missing and extra names raise."""
    state = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    for name in sorted(set(state) ^ set(tensors)):
        raise ValueError(f"tensor {name} is {'missing' if name in state else 'not part of the network'}")
    for name, value in state.items():
        given = torch.as_tensor(tensors[name])
        if ".se.fc" in name and given.ndim == 4:
            given = given[:, :, 0, 0]
        if given.shape != value.shape:
            raise ValueError(f"tensor {name} has shape {tuple(given.shape)}, the network needs {tuple(value.shape)}")
        value.copy_(given)
    return network


def is_vgg(config):
    return config["variant"] in ("vgg-early", "vgg-baseline")


def network_from_safetensors(path):
    """Returns (network in eval mode, meta); meta has the parsed `mfs.network` as "network", `mfs.preprocess` as "preprocess"."""
    tensors, metadata = load_safetensors(path)
    meta = {key: json.loads(metadata[f"mfs.{key}"]) for key in ("network", "preprocess")}
    kind, widths = (Vgg, VggWidths) if is_vgg(meta["network"]) else (Network, Widths)
    network = kind(meta["network"], widths.from_tensors(tensors))
    return load_tensors(network, tensors).eval(), meta
