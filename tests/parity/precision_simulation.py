"""The ResNet networks in PyTorch with values rounded where the CUDA engine rounds them: f16, bf16, int8 (u8) and fp8 (e4m3).

An operation of the lowered network (runtime/lowering.cpp) is an Op here; which convolutions are narrow, and which value is
rounded from f32 rather than from f16, is decided as in runtime/quantisation.cpp. Sums are f32. That is exact enough: a product
of two u8 or e4m3 values has at most 16 significant bits, so that only additions round, by 2^-24, where u8 and e4m3 keep 8 and
4 bits and f16 keeps 11. What this cannot show is how tensor cores lose bits within a sum.
"""

from dataclasses import dataclass, field
from typing import Optional

import numpy as np
import torch
import torch.nn.functional as F

BATCH_NORM_EPS = 1e-5
CHANNELS = 16  # of narrow convolutions, a multiple
LEAST_PEAK = 2.0**-60
LARGEST = {"int8": 255, "fp8": 448}
PRECISIONS = ("f32", "f16", "bf16", "int8", "fp8")


def to_e4m3(x):
    """float32 -> float32 values of e4m3: to nearest, ties to even, saturating."""
    x = x.clamp(-448, 448)
    bits = x.view(torch.int32)
    normal = ((bits + (0x7FFFF + ((bits >> 20) & 1))) & ~0xFFFFF).view(torch.float32)
    subnormal = (x + 1.5 * 2**14) - 1.5 * 2**14  # the last bit of such a sum is worth 2^-9
    return torch.where(x.abs() < 2**-6, subnormal, normal)


def to_step(x):
    return x.clamp(0, 255).round_()


NARROW = {"int8": to_step, "fp8": to_e4m3}
WIDE = {"f32": lambda x: x, "f16": lambda x: x.half().float(), "bf16": lambda x: x.bfloat16().float()}
WIDE["int8"] = WIDE["fp8"] = WIDE["f16"]


@dataclass
class Op:
    kind: str  # input, conv, max_pool, se, resize, bins (pooled context), prior (its convolutions), head
    name: str
    channels: int = 0
    src: Optional[int] = None  # operations that wrote what this one reads
    residual: Optional[int] = None
    joined: Optional[int] = None  # of the second source (projected shortcut, fusion branch) in the sum
    relu: bool = False
    window: dict = field(default_factory=dict)
    joined_stride: int = 1
    filters: Optional[tuple] = None  # (weights, bias), those of joined
    joined_filters: Optional[tuple] = None
    others: tuple = ()  # further operations that a head reads
    narrow: bool = False


class Recorder:
    """The operations of a network, in the engine's order as far as that matters."""

    def __init__(self, tensors, config):
        self.tensors, self.config, self.ops = tensors, config, []
        image = self.add(Op("input", "input", tensors["conv1.weight"].shape[1]))
        pooled = self.pool("pooled", self.conv("conv1", "bn1", image, relu=True, stride=2, padding=3), config["stem_pool"])
        fused = None
        if config["fusion"] == "own_init":
            fused = self.fusion(self.pool("init", self.conv("init.0", "init.1", image, relu=True, stride=2, padding=3), "2x2"))
        x = pooled
        for index, count in enumerate(config["blocks"]):
            for block in range(count):
                x = self.bottleneck(f"layer{index + 1}.{block}", x, (1, 2, 1, 1)[index] if block == 0 else 1, (1, 1, 2, 4)[index])
            if index == 0 and config["fusion"] == "layer1":
                fused = self.fusion(x)
        self.head(x, fused)

    def add(self, op):
        self.ops.append(op)
        return len(self.ops) - 1

    def folded(self, conv, norm, first=0, count=None, shift=True):
        """(weights, bias) in f32 of input channels [first, first + count), folded in double precision."""
        weights = self.tensors[f"{conv}.weight"].astype(np.float64)
        scale, offset = np.ones(len(weights)), np.zeros(len(weights))
        if norm:
            gamma, beta, mean, variance = (
                self.tensors[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gamma / np.sqrt(variance + BATCH_NORM_EPS)
            offset = beta - mean * scale
        weights = weights[:, first : None if count is None else first + count] * scale[:, None, None, None]
        bias = offset if shift else np.zeros(len(weights))
        return torch.from_numpy(weights.astype(np.float32)), torch.from_numpy(bias.astype(np.float32))

    def conv(self, name, norm, src, relu=False, **window):
        filters = self.folded(name, norm)
        return self.add(Op("conv", name, len(filters[1]), src, relu=relu, window=window, filters=filters))

    def pool(self, name, src, kind):
        window = {"2x2": (2, 2, 0), "3x3": (3, 2, 1), "3x3ceil": (3, 2, 1)}[kind]
        window = dict(zip(("kernel_size", "stride", "padding"), window), ceil_mode=kind == "3x3ceil")
        return self.add(Op("max_pool", name, self.ops[src].channels, src, window=window))

    def bottleneck(self, at, x, stride, dilation):
        first, second = (stride, 1) if self.config["stride_in"] == "conv1" else (1, stride)
        y = self.conv(f"{at}.conv1", f"{at}.bn1", x, relu=True, stride=first)
        y = self.conv(f"{at}.conv2", f"{at}.bn2", y, relu=True, stride=second, padding=dilation, dilation=dilation)
        op = self.ops[self.conv(f"{at}.conv3", f"{at}.bn3", y, relu=True)]
        if f"{at}.downsample.0.weight" in self.tensors:
            op.joined, op.joined_stride = x, stride
            op.joined_filters = self.folded(f"{at}.downsample.0", f"{at}.downsample.1")
        else:
            op.residual = x
        return len(self.ops) - 1

    def fusion(self, x):
        for index, stride in enumerate((1, 1, 2)):
            at, shortcut = f"fusion.{index}", x
            y = self.conv(f"{at}.conv1", f"{at}.bn1", x, relu=True, stride=stride, padding=1)
            y = self.conv(f"{at}.conv2", f"{at}.bn2", y, padding=1)
            if f"{at}.downsample.0.weight" in self.tensors:
                shortcut = self.conv(f"{at}.downsample.0", f"{at}.downsample.1", x, stride=stride)
            x = self.add(Op("se", f"{at}.se", self.ops[y].channels, y, residual=shortcut, relu=True))
        return x

    def head(self, x, fused):
        parts = [x] if fused is None else [x, self.add(Op("resize", "resized", self.ops[fused].channels, fused, others=(x,)))]
        conv, norm, bins = "layer5.bottleneck.0", "layer5.bottleneck.1", self.config["psp_bins"]
        priors, first = [], 0
        for index, count in enumerate(bins):
            at = f"layer5.stages.{index}"
            pooled = self.add(Op("bins", f"layer5.pool.{index}", src=parts[0], others=tuple(parts), window={"output_size": count}))
            stage = self.add(Op("prior", at, src=pooled, relu=True, filters=self.folded(f"{at}.1", f"{at}.2")))
            width = len(self.ops[stage].filters[1])
            filters = self.folded(conv, norm, first, width, shift=False)
            priors.append(self.add(Op("prior", f"{conv}.prior{index}", src=stage, filters=filters)))
            first += width
        sources = []
        for part in parts:
            sources.append(self.folded(conv, norm, first, self.ops[part].channels, shift=not sources))
            first += self.ops[part].channels
        features = Op("conv", conv, len(sources[0][1]), parts[0], window={}, filters=sources[0])
        if fused is not None:
            features.joined, features.joined_filters = parts[1], sources[1]
        self.add(Op("head", "layer5.final", 1, self.add(features), others=tuple(priors)))


class Simulation:
    """A network at one precision: N x 4 x h x w, float32 -> logit, float32.

    `calibration` is the parsed `mfs.calibration`, for int8 and fp8; `keep(name)` tells which of their convolutions stay f16 (None: as
    the engine has it).
    """

    def __init__(self, tensors, config, precision, calibration=None, keep=None):
        if config["variant"].startswith("vgg-"):
            raise ValueError("VGG networks are not simulated")
        self.ops, self.align_corners = Recorder(tensors, config).ops, config["align_corners"]
        self.tensors = {name: torch.from_numpy(np.ascontiguousarray(v, np.float32)) for name, v in tensors.items()}
        self.precision, self.wide, self.scales, self.direct = precision, WIDE[precision], {}, set()
        if precision in NARROW:
            self.choose_narrow(calibration, keep)
        for op in self.ops:
            if op.filters is not None:
                op.filters, op.joined_filters = self.rounded_filters(op)
        reads = {}
        for index, op in enumerate(self.ops):
            reads.update({value: index for value in (op.src, op.residual, op.joined, *op.others) if value is not None})
        self.last_read = reads

    def choose_narrow(self, calibration, keep):
        if calibration is None:
            raise ValueError(f"{self.precision} needs weights with a calibration")
        if keep is None:
            keep = lambda name: self.precision == "fp8" and name.startswith("layer1.")  # noqa: E731
        non_negative = {}
        for index, op in enumerate(self.ops):
            if op.kind in ("max_pool", "resize"):
                non_negative[index] = non_negative.get(op.src, False)
            elif op.kind in ("conv", "se"):
                non_negative[index] = op.relu

        def fits(value):
            return non_negative.get(value, False) and self.ops[value].channels % CHANNELS == 0

        for op in self.ops:
            if op.kind == "conv" and fits(op.src) and (op.joined is None or fits(op.joined)) and op.channels % CHANNELS == 0:
                op.narrow = not keep(op.name)
                for value in {op.src, op.joined} - {None} if op.narrow else ():
                    range_ = np.float32(calibration["ranges"][self.name_of(value)])
                    self.scales[value] = range_ / np.float32(LARGEST[self.precision])
        for value in self.scales:
            op = self.ops[value]
            readers = [o for o in self.ops if value in (o.src, o.residual, o.joined, *o.others)]
            if op.narrow and op.residual is None and all(o.narrow and o.residual != value for o in readers):
                self.direct.add(value)

    def name_of(self, value):
        """Under which the calibration has a value's range: a resize that changes nothing is no operation of the engine's."""
        op = self.ops[value]
        return self.ops[op.src].name if op.kind == "resize" else op.name

    def rounded_filters(self, op):
        (weights, bias), joined = op.filters, op.joined_filters
        bias = (bias if joined is None else bias + joined[1])[None, :, None, None]
        joined = None if joined is None else joined[0]
        unit = None
        if op.narrow:
            rows = [weights.flatten(1) * float(self.scales[op.src])]
            if joined is not None:
                rows.append(joined.flatten(1) * float(self.scales[op.joined]))
            rows = torch.cat(rows, 1)
            largest = 127 if self.precision == "int8" else 448
            peak = rows.abs().amax(1)
            unit = torch.where(peak >= LEAST_PEAK, peak / largest, torch.ones(()))
            rows = rows / unit[:, None]
            rows = rows.round_() if self.precision == "int8" else to_e4m3(rows)
            own = weights[0].numel()
            weights, joined = rows[:, :own].reshape(weights.shape), None if joined is None else rows[:, own:].reshape(joined.shape)
            unit = unit[None, :, None, None]
        elif op.kind == "conv":
            weights, joined = self.wide(weights), None if joined is None else self.wide(joined)
        last = torch.channels_last
        return (weights.contiguous(memory_format=last), bias, unit), (
            None if joined is None else joined.contiguous(memory_format=last)
        )

    @torch.no_grad()
    def __call__(self, x, record=None, others=None):
        """`record`, if given, is a dict that receives what the operations write, by name, as the engine keeps it (wide); `others`
        one of values that later operations read instead of those of that name."""
        self.raw, self.rounded, self.narrow_values = {0: x.contiguous(memory_format=torch.channels_last)}, {}, {}
        for index, op in enumerate(self.ops):
            if op.kind != "input":
                self.raw[index] = getattr(self, f"run_{op.kind}")(op)
            if record is not None and index not in self.direct:
                record[op.name] = self.value(index) if op.kind not in ("bins", "prior", "head") else self.raw[index]
            if others is not None and op.name in others:
                self.raw[index] = self.rounded[index] = others[op.name]
            for value in (op.src, op.residual, op.joined, *op.others):
                if value is not None and self.last_read[value] == index:
                    for held in (self.raw, self.rounded, self.narrow_values):
                        held.pop(value, None)
        return self.raw.pop(len(self.ops) - 1)

    def value(self, index):
        """As the engine keeps it for everything but narrow convolutions."""
        if index not in self.rounded:
            self.rounded[index] = self.wide(self.raw[index])
        return self.rounded[index]

    def narrowed(self, index):
        if index not in self.narrow_values:
            value = self.raw[index] if index in self.direct else self.value(index)
            self.narrow_values[index] = NARROW[self.precision](value * float(np.float32(1) / self.scales[index]))
        return self.narrow_values[index]

    def run_conv(self, op):
        weights, bias, unit = op.filters
        read = self.narrowed if op.narrow else self.value
        total = F.conv2d(read(op.src), weights, **op.window)
        if op.joined is not None:
            total += F.conv2d(read(op.joined), op.joined_filters, stride=op.joined_stride)
        if unit is not None:
            total *= unit
        total += bias
        if op.residual is not None:
            total += self.value(op.residual)
        return total.relu_() if op.relu else total

    def run_max_pool(self, op):
        return F.max_pool2d(self.value(op.src), **op.window)

    def run_se(self, op):
        x = self.value(op.src)
        at, hidden = op.name, x.mean(dim=(2, 3))
        for layer, activation in (("fc1", torch.relu), ("fc2", torch.sigmoid)):
            weights = self.tensors[f"{at}.{layer}.weight"].flatten(1)
            hidden = activation(F.linear(hidden, weights, self.tensors.get(f"{at}.{layer}.bias")))
        return torch.relu_(x * hidden[:, :, None, None] + self.value(op.residual))

    def run_resize(self, op):
        x, size = self.value(op.src), self.raw[op.others[0]].shape[2:]
        return x if x.shape[2:] == size else F.interpolate(x, size, mode="bilinear", align_corners=True)

    def run_bins(self, op):
        return torch.cat([F.adaptive_avg_pool2d(self.value(part), **op.window) for part in op.others], 1)

    def run_prior(self, op):
        weights, bias, _ = op.filters
        total = F.conv2d(self.raw[op.src], weights) + bias
        return torch.relu_(total) if op.relu else total

    def run_head(self, op):
        total = self.value(op.src).clone()
        for prior in op.others:
            total += F.interpolate(self.raw[prior], total.shape[2:], mode="bilinear", align_corners=self.align_corners)
        return F.conv2d(torch.relu_(total), self.tensors["layer5.final.weight"], self.tensors["layer5.final.bias"])
