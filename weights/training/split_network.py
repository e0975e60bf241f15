"""A network cut into a frozen and a trained part, with batch norm that keeps its statistics merged into the convolutions."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

BACKBONE = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
FUSION = ("init", "fusion")


class FoldedConv(nn.Module):
    """A convolution and the BN layer behind it, whose statistics are kept, as one convolution; both are trained."""

    def __init__(self, conv, norm):
        super().__init__()
        self.conv, self.norm = conv, norm

    def forward(self, x):
        scale = self.norm.weight * (self.norm.running_var + self.norm.eps).rsqrt()
        weight = self.conv.weight * scale[:, None, None, None]
        bias = self.norm.bias - self.norm.running_mean * scale
        return F.conv2d(x, weight, bias, self.conv.stride, self.conv.padding, self.conv.dilation)


def merge_batch_norm(network, merge):
    """Replaces every convolution and the BN layer behind it by merge(convolution, BN), where the BN layer keeps its statistics."""
    for block in list(network.modules()):
        children = list(block.named_children())
        for (conv_name, conv), (norm_name, norm) in zip(children, children[1:]):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and not norm.training:
                setattr(block, conv_name, merge(conv, norm))
                setattr(block, norm_name, nn.Identity())
    return network


class SplitNetwork(nn.Module):
    """A network cut into a frozen part of its backbone and the rest, which is trained.

    The frozen part is kept as a copy in `frozen_dtype`. The BN layers of the parts in `kept_statistics` keep their statistics.
    With `skeleton`, the fusion branch is not trained and counts as zero.
    """

    def __init__(self, network, freeze, frozen_dtype, kept_statistics=BACKBONE, skeleton=False):
        super().__init__()
        self.network = network
        self.kept_statistics = kept_statistics
        self.skeleton = skeleton and network.config["fusion"] != "none"
        names = ["stem"] + [f"{layer}.{i}" for layer in network.layers for i in range(len(getattr(network, layer)))]
        boundary = {"none": 0, "backbone": len(names)}.get(freeze)
        boundary = names.index(freeze) if boundary is None else boundary
        self.trained_blocks = names[boundary:]
        self.frozen_blocks = names[:boundary]
        if network.config["fusion"] == "layer1" and any(name.startswith("layer1") for name in self.frozen_blocks):
            raise ValueError("with fusion layer1, --freeze must be none")
        for name in self.frozen_blocks:
            for module in self._modules_of(network, name):
                module.requires_grad_(False)
        if self.skeleton:
            for name in FUSION:
                getattr(network, name, nn.Identity()).requires_grad_(False)
        self.frozen = None
        if self.frozen_blocks:
            self.frozen = merge_batch_norm(copy.deepcopy(network).eval(), fuse_conv_bn_eval).to(frozen_dtype)
        self.train()
        shared = {id(tensor): tensor for tensor in [*network.parameters(), *network.buffers()]}
        self.merged = merge_batch_norm(copy.deepcopy(network, shared), FoldedConv)

    @staticmethod
    def _modules_of(network, block):
        return (network.conv1, network.bn1) if block == "stem" else (network.get_submodule(block),)

    @staticmethod
    def _run(network, blocks, x):
        """Runs blocks of the backbone; returns the last one's output and layer1's, if it is among them."""
        layer1 = None
        for name in blocks:
            x = network.stem_pool(network.stem(x)) if name == "stem" else network.get_submodule(name)(x)
            if name.startswith("layer1."):
                layer1 = x
        return x, layer1

    def train(self, mode=True):
        super().train(mode)
        for name in self.kept_statistics:
            getattr(self.network, name, nn.Identity()).eval()
        return self

    @torch.no_grad()
    def frozen_features(self, x):
        """The trained part's first argument: the frozen blocks' output, or the input if there are none."""
        if not self.frozen_blocks:
            return x
        dtype = next(self.frozen.parameters()).dtype
        return self._run(self.frozen, self.frozen_blocks, x.to(dtype))[0]

    def forward(self, features, x):
        """Output of `frozen_features` and the network's input -> logit."""
        features, layer1 = self._run(self.merged, self.trained_blocks, features)
        fused = None
        if self.skeleton:
            width = self.network.fusion[-1].conv2.out_channels
            fused = features.new_zeros(features.shape[0], width, *features.shape[2:])
        elif self.network.config["fusion"] != "none":
            own = self.network.config["fusion"] == "own_init"
            fused = self.merged.fusion(self.merged.init_features(x) if own else layer1)
        return self.merged.head(features, fused)
