"""Trains a network for one-click segmentation.

Resumes from OUT/last.pt if that exists; the data, the losses and the weights are then those of an uninterrupted run.
OUT/ema.safetensors always holds the averaged weights of the latest checkpoint in the format of the library.
"""

import argparse
import copy
import json
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "reference"), str(ROOT / "weights")]

from feature_cache import FeatureCache  # noqa: E402
from network import Network, Widths  # noqa: E402
from preprocess import guidance_map  # noqa: E402
from safetensors_file import load_safetensors, save_safetensors  # noqa: E402
from scenes import Batches, Photos  # noqa: E402

BACKBONE = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="JSON: network, preprocess, widths")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders with .tar files of photos and masks")
    parser.add_argument("--init", type=Path, required=True, help="warm start: .npz or .safetensors; absent tensors start fresh")
    parser.add_argument("--out", type=Path, required=True, help="folder for last.pt and ema.safetensors")
    parser.add_argument("--freeze", default="none", help="none, backbone, or the first trained block, e.g. layer3.3")
    parser.add_argument("--cache", type=Path, help="folder for features of the frozen part (needs --scenes)")
    parser.add_argument("--scenes", type=int, default=0, help="number of different scenes; 0: every example is new")
    parser.add_argument("--composites", type=float, default=0.5, help="share of scenes with pasted objects")
    parser.add_argument("--size", type=int, help="side of the square input in training (default: from the config)")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--recipe", choices=("mfs", "paper"), default="mfs", help="AdamW, warm-up, cosine | SGD, fixed rate")
    parser.add_argument("--loss", choices=("mfs", "paper"), default="mfs", help="BCE + soft IoU | class-balanced BCE")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--backbone-lr", type=float, help="learning rate of the backbone (default: lr / 10)")
    parser.add_argument("--ema", type=float, default=0.995, help="decay of the averaged weights per step")
    parser.add_argument("--save-every", type=int, default=50, help="steps between checkpoints")
    parser.add_argument("--log-every", type=int, default=10, help="steps between lines of the log")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: torch's choice)")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare scenes (0: none)")
    parser.add_argument("--no-amp", dest="amp", action="store_false", help="float32 instead of bf16 mixed precision")
    args = parser.parse_args()
    if args.cache and (args.freeze == "none" or not args.scenes):
        parser.error("--cache needs --freeze and --scenes")
    args.backbone_lr = args.lr / 10 if args.backbone_lr is None else args.backbone_lr
    return args


def fold_batch_norm(network):
    """A copy of a network in eval mode whose BN layers are part of the convolutions before them."""
    network = copy.deepcopy(network).eval()
    for block in list(network.modules()):
        for name, child in list(block.named_children()):
            if name.startswith("conv") and hasattr(block, name.replace("conv", "bn")):
                norm = name.replace("conv", "bn")
                setattr(block, name, fuse_conv_bn_eval(child, getattr(block, norm)))
                setattr(block, norm, nn.Identity())
            elif name == "downsample":
                setattr(block, name, fuse_conv_bn_eval(*child))
    return network


class SplitNetwork(nn.Module):
    """A network cut into a frozen part of its backbone and the rest, which is trained.

    The frozen part is kept as a copy in `frozen_dtype`. All of the backbone's BN layers keep their statistics.
    """

    def __init__(self, network, freeze, frozen_dtype):
        super().__init__()
        self.network = network
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
        self.frozen = fold_batch_norm(network).to(frozen_dtype) if self.frozen_blocks else None
        self.train()

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
        for name in BACKBONE:
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
        features, layer1 = self._run(self.network, self.trained_blocks, features)
        fused = None
        if self.network.config["fusion"] != "none":
            own = self.network.config["fusion"] == "own_init"
            fused = self.network.fusion(self.network.init_features(x) if own else layer1)
        return self.network.head(features, fused)


def initialise(network, path):
    """He init of all convs, then the tensors of a .npz or .safetensors file; reports what the file lacks."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    for block in getattr(network, "layer4", ()):
        nn.init.zeros_(block.bn3.weight)
    nn.init.normal_(network.layer5.final.weight, std=0.01)
    nn.init.zeros_(network.layer5.final.bias)
    given = dict(np.load(path)) if path.suffix == ".npz" else load_safetensors(path)[0]
    given = {name: torch.from_numpy(value.astype(np.float32)) for name, value in given.items()}
    state = network.state_dict()
    stem = given["conv1.weight"]
    if stem.shape[1] == 3 and network.in_channels == 4:
        given["conv1.weight"] = torch.cat([stem, torch.zeros_like(stem[:, :1])], dim=1)
    if given["bn1.running_var"].mean() < 1e-2:
        rescale_stem(given)
    for name, value in given.items():
        state[name].copy_(value)
    absent = {name.split(".")[0] for name in state if name not in given and not name.endswith("num_batches_tracked")}
    print(f"{path.name}: {len(given)} tensors; fresh: {', '.join(sorted(absent)) or 'nothing'}", flush=True)


def rescale_stem(tensors):
    """Gives conv1's outputs a mean variance of 1, leaving the function as it is: warm-start files may hold them much
    smaller, and one learning rate must suit all weights."""
    factor = tensors["bn1.running_var"].mean().rsqrt()
    tensors["conv1.weight"] *= factor
    tensors["bn1.running_mean"] *= factor
    tensors["bn1.running_var"] *= factor**2


def multiply_adds(network, size):
    """Multiply-adds of all convolutions for one input of size x size, by part of the network."""
    counts = {}

    def count(name):
        def hook(module, inputs, output):
            part = name.split(".")[0]
            counts[part] = counts.get(part, 0) + output[0].numel() * module.weight[0].numel()

        return hook

    handles = [m.register_forward_hook(count(n)) for n, m in network.named_modules() if isinstance(m, nn.Conv2d)]
    training = network.training
    with torch.no_grad():
        network.eval()(torch.zeros(1, network.in_channels, size, size, device=next(network.parameters()).device))
    network.train(training)
    for handle in handles:
        handle.remove()
    return counts


def make_optimiser(split, args):
    """One parameter group for the backbone and one for the rest; no weight decay on BN and biases (recipe mfs)."""
    groups = {}
    for name, parameter in split.network.named_parameters():
        if parameter.requires_grad:
            rate = args.backbone_lr if name.split(".")[0] in BACKBONE else args.lr
            decay = (5e-4 if args.recipe == "paper" else 1e-2) if args.recipe == "paper" or parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    groups = [{"params": p, "lr": rate, "peak_lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]
    if args.recipe == "paper":
        return torch.optim.SGD(groups, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups)


def rate_factor(step, args):
    """Learning rate at a step, relative to its peak."""
    if args.recipe == "paper":
        return 1.0
    warm_up = max(1, min(100, args.steps // 10))
    progress = (step - warm_up) / max(1, args.steps - warm_up)
    return (step + 1) / warm_up if step < warm_up else 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2


def loss_of(logit, target, kind, align_corners):
    """Logit N x 1 x h/8 x w/8, target N x 1 x h x w (0 or 1): the loss on the logit upsampled to half the input's size."""
    side = [v // 2 for v in target.shape[2:]]
    logit = F.interpolate(logit.float(), side, mode="bilinear", align_corners=align_corners)
    target = F.interpolate(target.float(), side, mode="bilinear", align_corners=align_corners)
    if kind == "paper":
        positive = target.mean().clamp(1e-4, 1 - 1e-4)
        weight = target / (2 * positive) + (1 - target) / (2 * (1 - positive))
        return F.binary_cross_entropy_with_logits(logit, target, weight)
    probability = torch.sigmoid(logit)
    both = (probability * target).sum(dim=(1, 2, 3))
    either = (probability + target - probability * target).sum(dim=(1, 2, 3))
    return F.binary_cross_entropy_with_logits(logit, target) + (1 - both / either).mean()


@torch.no_grad()
def update_average(average, network, step, decay):
    """Exponential average of all weights and BN statistics; young averages forget faster."""
    decay = min(decay, (1 + step) / (10 + step))
    for mean, value in zip(average.state_dict().values(), network.state_dict().values()):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)


def export(network, config, note, path):
    """Writes weights in the library's format: convolutions as F16, BN and biases as F32."""
    tensors = {}
    for name, value in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            value = value.detach().float().cpu().numpy()
            tensors[name] = value.astype(np.float16) if value.ndim > 1 else value
    metadata = {
        "mfs.format": "1",
        "mfs.network": json.dumps(config["network"]),
        "mfs.preprocess": json.dumps(config["preprocess"]),
        "mfs.source": json.dumps(note),
    }
    save_safetensors(path, tensors, metadata)


def save_checkpoint(args, step, split, average, optimiser, config):
    partial = args.out / "last.pt.partial"
    state = {"step": step, "network": split.network.state_dict(), "average": average.state_dict()}
    torch.save(dict(state, optimiser=optimiser.state_dict()), partial)
    os.replace(partial, args.out / "last.pt")
    note = {"note": f"trained by weights/training/train.py, {step} of {args.steps} steps", "seed": args.seed}
    export(average, config, note, args.out / "ema.safetensors")


def network_inputs(batch, preprocess, device):
    """Arrays of one batch -> (input N x 4 x h x w, target N x 1 x h x w) on the device."""
    mean, std = (torch.tensor(preprocess[k], device=device).reshape(1, 3, 1, 1) for k in ("mean", "std"))
    image = batch["image"].to(device).permute(0, 3, 1, 2).float()
    x = (image / 255 - mean) / std
    if preprocess["guidance"]["kind"] != "none":
        x = torch.cat([x, batch["guidance"].to(device)], dim=1)
    return x.contiguous(memory_format=torch.channels_last), batch["target"].to(device)


def features_of(split, cache, batch, x, dtype):
    """Output of the frozen part for a batch, from the cache as far as it has it."""
    if cache is None:
        return split.frozen_features(x)
    numbers, flips = batch["number"].numpy(), batch["flip"].numpy()
    new = np.flatnonzero(cache.filled[numbers] == 0)
    if len(new):
        inputs = x[torch.from_numpy(new)]
        if flips[new].any():
            # Slots hold scenes that are not mirrored: the features of a mirrored input are mirrored back.
            features = split.frozen_features(inputs)
            flipped = torch.from_numpy(flips[new]).to(features.device)[:, None, None, None]
            features = torch.where(flipped, features.flip(3), features)
        else:
            features = split.frozen_features(inputs)
        cache.write(numbers[new], features)
    return cache.read(numbers, flips, dtype).to(x.device)


def main():
    args = parse_arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    config = json.loads(args.config.read_text())
    size = args.size or config["preprocess"]["size"][0]
    args.out.mkdir(parents=True, exist_ok=True)

    network = Network(config["network"], Widths(**config["widths"]))
    initialise(network, args.init)
    macs = multiply_adds(network, size)
    parts = ", ".join(f"{part} {count / 1e9:.2f}" for part, count in macs.items())
    print(f"{size} x {size}: {sum(macs.values()) / 1e9:.2f} G multiply-adds ({parts})", flush=True)

    network = network.to(args.device, memory_format=torch.channels_last)
    dtype = torch.bfloat16 if args.amp else torch.float32
    split = SplitNetwork(network, args.freeze, dtype)
    average = copy.deepcopy(network).requires_grad_(False)
    optimiser = make_optimiser(split, args)
    first = 0
    if (args.out / "last.pt").exists():
        state = torch.load(args.out / "last.pt", map_location=args.device, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
        print(f"resumed after step {first}", flush=True)

    def guidance(taps):
        if config["preprocess"]["guidance"]["kind"] == "none":
            return np.zeros((0, size, size), np.float32)
        return guidance_map(taps, (size, size), (size, size), config["preprocess"]["guidance"])[0].numpy()

    photos = Photos(args.data)
    print(f"{len(photos)} photos, {len(split.trained_blocks)} blocks of the backbone trained", flush=True)
    batches = Batches(photos, args.seed, args.batch, size, args.scenes, args.composites, guidance)
    loader = torch.utils.data.DataLoader(batches, batch_size=None, sampler=range(first, args.steps), num_workers=args.workers)
    cache = None
    if args.cache:
        shape = split.frozen_features(torch.zeros(1, network.in_channels, size, size, device=args.device)).shape[1:]
        key = {"seed": args.seed, "freeze": args.freeze, "composites": args.composites, "init": args.init.name}
        cache = FeatureCache(args.cache, key, args.scenes, shape)

    started, recent = time.monotonic(), []
    for step, batch in zip(range(first, args.steps), loader):
        for group in optimiser.param_groups:
            group["lr"] = group["peak_lr"] * rate_factor(step, args)
        x, target = network_inputs(batch, config["preprocess"], args.device)
        features = features_of(split, cache, batch, x, dtype)
        with torch.autocast(args.device.split(":")[0], torch.bfloat16, enabled=args.amp):
            logit = split(features, x)
        loss = loss_of(logit, target, args.loss, config["network"]["align_corners"])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        update_average(average, network, step, args.ema)
        recent.append(loss.item())
        if (step + 1) % args.log_every == 0 or step + 1 == args.steps:
            rate = (time.monotonic() - started) / (step + 1 - first)
            print(f"step {step + 1} loss {np.mean(recent):.6f} ({rate:.2f} s/step)", flush=True)
            recent = []
        if (step + 1) % args.save_every == 0 or step + 1 == args.steps:
            save_checkpoint(args, step + 1, split, average, optimiser, config)


if __name__ == "__main__":
    main()
