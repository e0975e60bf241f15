"""The paper's vgg-baseline and vgg-early in PyTorch: VGG-16 FCN-8s with one class, without cropping; for parity tests.

Modules are named so that `state_dict()` has exactly the tensor names of the weights file. Runs under torch 1.13 and newer.
"""

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

STAGE_CONVS = (2, 2, 3, 3, 3)


@dataclass
class VggWidths:
    """Widths that the weights file does not name: they are read from its tensors. Channels of each stage, and of fc6 and fc7."""

    stages: tuple = (64, 128, 256, 512, 512)
    fc: tuple = (4096, 4096)

    @classmethod
    def from_tensors(cls, tensors):
        stages = tuple(tensors[f"features.{last}.weight"].shape[0] for last in (2, 7, 14, 21, 28))
        return cls(stages, tuple(tensors[f"classifier.{index}.weight"].shape[0] for index in (0, 3)))


class Vgg(nn.Module):
    """`config` is the `mfs.network` dict of the weights file.

    Input: N x 4 x h x w (R, G, B normalised, guidance), N x 3 x h x w for vgg-baseline; h and w multiples of 32.
    Output: the logit, N x 1 x h/8 x w/8.
    """

    def __init__(self, config, widths=None):
        super().__init__()
        widths = widths or VggWidths()
        self.config = config
        self.in_channels = 3 if config["variant"] == "vgg-baseline" else 4
        layers, inputs, self.pools = [], self.in_channels, []
        for count, width in zip(STAGE_CONVS, widths.stages):
            for _ in range(count):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
            self.pools.append(len(layers))
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        fc6, fc7 = nn.Conv2d(inputs, widths.fc[0], 7, padding=3), nn.Conv2d(*widths.fc, 1)
        self.classifier = nn.Sequential(fc6, nn.ReLU(), nn.Dropout(), fc7, nn.ReLU(), nn.Dropout())
        self.score_fr = nn.Conv2d(widths.fc[1], 1, 1)
        self.score_pool4 = nn.Conv2d(widths.stages[3], 1, 1)
        self.score_pool3 = nn.Conv2d(widths.stages[2], 1, 1)
        self.upscore2 = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)
        self.upscore_pool4 = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)

    def stages(self, x):
        """All intermediate tensors by name, in order of computation; the last is "logit"."""
        record, begin = OrderedDict(), 0
        for index, end in enumerate(self.pools, 1):
            x = record[f"pool{index}"] = self.features[begin : end + 1](x)
            begin = end + 1
        record["fc6"] = self.classifier[:3](x)
        record["fc7"] = self.classifier[3:](record["fc6"])
        record["score_fr"] = self.score_fr(record["fc7"])
        record["score_pool4"] = self.score_pool4(record["pool4"])
        record["score_pool3"] = self.score_pool3(record["pool3"])
        record["fuse_pool4"] = self.upscore2(record["score_fr"]) + record["score_pool4"]
        record["logit"] = self.upscore_pool4(record["fuse_pool4"]) + record["score_pool3"]
        return record

    def forward(self, x):
        return self.stages(x)["logit"]
