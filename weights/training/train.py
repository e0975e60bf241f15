"""Trains a network for one-click segmentation.

Resumes from OUT/last.pt if that exists; on a CPU, the data, the losses and the weights are then those of an uninterrupted run.
OUT/ema.safetensors always holds the averaged weights of the latest checkpoint in the format of the library.
"""

import argparse
import copy
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "reference"), str(ROOT / "weights")]

from checkpoints import initialise, load_checkpoint, save_checkpoint  # noqa: E402
from device_scenes import DeviceBatches  # noqa: E402
from feature_cache import FeatureCache  # noqa: E402
from network import Network, Widths  # noqa: E402
from preprocess import guidance_map  # noqa: E402
from scenes import Batches, Photos  # noqa: E402
from split_network import BACKBONE, SplitNetwork  # noqa: E402

PAPER_RATE = 1e-8  # Sec. 3.4, for a loss that is summed over the pixels of a batch


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="JSON: network, preprocess, widths")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders with .tar files of photos and masks")
    parser.add_argument("--init", type=Path, required=True, help="warm start: .npz or .safetensors; absent tensors start fresh")
    parser.add_argument("--out", type=Path, required=True, help="folder for last.pt and ema.safetensors")
    parser.add_argument(
        "--phase",
        choices=("skeleton", "late", "joint"),
        default="joint",
        help="the paper's phases: all but the fusion branch, which counts as zero | fusion branch and head alone | everything",
    )
    parser.add_argument("--freeze", help="none, backbone, or the first trained block, e.g. layer3.3 (default: the phase's)")
    parser.add_argument("--keep-statistics", action="store_true", help="keep the statistics of every BN layer")
    parser.add_argument("--cache", type=Path, help="folder for features of the frozen part (needs --scenes)")
    parser.add_argument("--scenes", type=int, default=0, help="number of different scenes; 0: every example is new")
    parser.add_argument("--composites", type=float, default=0.5, help="share of scenes with pasted objects")
    parser.add_argument("--plain", action="store_true", help="photos as they are: no crops, flips, colours, composites")
    parser.add_argument("--size", type=int, nargs="+", help="side of the square input; of several, one a batch")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, help="examples a step (default: 16, recipe paper: 5)")
    parser.add_argument("--recipe", choices=("mfs", "paper"), default="mfs", help="AdamW, warm-up, cosine | SGD, fixed rate")
    parser.add_argument("--loss", choices=("mfs", "paper"), help="BCE + soft IoU | class-balanced BCE (default: the recipe's)")
    parser.add_argument("--lr", type=float, help="learning rate (default: 1e-3, recipe paper: the paper's)")
    parser.add_argument("--backbone-lr", type=float, help="the backbone's (default: lr / 10, recipe paper: lr)")
    parser.add_argument("--ema", type=float, default=0.995, help="decay of the averaged weights per step")
    parser.add_argument("--save-every", type=int, default=50, help="steps between checkpoints")
    parser.add_argument("--log-every", type=int, default=10, help="steps between lines of the log")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: torch's choice)")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare scenes (0: none)")
    parser.add_argument("--compose-on-device", action="store_true", help="all photos and scenes in the device's memory")
    parser.add_argument("--minutes", type=float, help="ends the schedule after this time if --steps do not end it before")
    parser.add_argument("--no-amp", dest="amp", action="store_false", help="float32 instead of bf16 mixed precision")
    args = parser.parse_args()
    args.freeze = args.freeze or ("backbone" if args.phase == "late" else "none")
    args.loss = args.loss or args.recipe
    args.batch = args.batch or (5 if args.recipe == "paper" else 16)
    if args.compose_on_device and (args.cache or args.scenes or args.plain):
        parser.error("--compose-on-device goes without --cache, --scenes and --plain")
    if args.cache and (args.freeze == "none" or not args.scenes or len(args.size or [0]) > 1):
        parser.error("--cache needs --freeze, --scenes and one size")
    return args


def set_rates(args, size):
    """Learning rates that were not given."""
    if args.recipe == "paper":
        # The loss here is the mean over a batch's pixels.
        args.lr = PAPER_RATE * args.batch * size**2 if args.lr is None else args.lr
        args.backbone_lr = args.lr if args.backbone_lr is None else args.backbone_lr
    else:
        args.lr = 1e-3 if args.lr is None else args.lr
        args.backbone_lr = args.lr / 10 if args.backbone_lr is None else args.backbone_lr


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


def rate_factor(step, args, elapsed):
    """Learning rate at a step, relative to its peak; elapsed: seconds since the run began."""
    if args.recipe == "paper":
        return 1.0
    warm_up = max(1, min(100, args.steps // 10))
    progress = max(0.0, (step - warm_up) / max(1, args.steps - warm_up))
    if args.minutes:
        progress = min(1.0, max(progress, elapsed / (60 * args.minutes)))
    return min(1.0, (step + 1) / warm_up) * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


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


def batches_of(args, photos, config, sizes, first):
    """From step `first` on: (the batch as `Batches` has it or None, input, target)."""
    if args.compose_on_device:
        batches = DeviceBatches(photos, args.seed, args.batch, sizes, args.composites, config["preprocess"], args.device)
        for step in range(first, args.steps):
            yield None, *batches[step]
        return

    def guidance(taps, size):
        if config["preprocess"]["guidance"]["kind"] == "none":
            return np.zeros((0, size, size), np.float32)
        return guidance_map(taps, (size, size), (size, size), config["preprocess"]["guidance"])[0].numpy()

    batches = Batches(photos, args.seed, args.batch, sizes, args.scenes, args.composites, guidance, args.plain)
    loader = torch.utils.data.DataLoader(batches, batch_size=None, sampler=range(first, args.steps), num_workers=args.workers)
    for batch in loader:
        yield batch, *network_inputs(batch, config["preprocess"], args.device)


def main():
    began = time.monotonic()
    args = parse_arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = args.device != "cpu"  # which then adds up in an order of its own
    torch.manual_seed(args.seed)
    config = json.loads(args.config.read_text())
    sizes = args.size or config["preprocess"]["size"][:1]
    args.out.mkdir(parents=True, exist_ok=True)

    network = Network(config["network"], Widths(**config["widths"]))
    initialise(network, args.init)
    size = max(sizes)
    set_rates(args, size)
    macs = multiply_adds(network, size)
    parts = ", ".join(f"{part} {count / 1e9:.2f}" for part, count in macs.items())
    print(f"{size} x {size}: {sum(macs.values()) / 1e9:.2f} G multiply-adds ({parts})", flush=True)

    network = network.to(args.device, memory_format=torch.channels_last)
    dtype = torch.bfloat16 if args.amp else torch.float32
    kept = [name for name, _ in network.named_children()] if args.keep_statistics else BACKBONE
    split = SplitNetwork(network, args.freeze, dtype, kept, args.phase == "skeleton")
    average = copy.deepcopy(network).requires_grad_(False)
    optimiser = make_optimiser(split, args)
    first = load_checkpoint(args.out, args.device, network, average, optimiser)
    if first and args.minutes:
        sys.exit(f"error: {args.out} has a run already, and one with --minutes cannot go on")

    photos = Photos(args.data)
    print(f"{len(photos)} photos, {len(split.trained_blocks)} blocks of the backbone trained", flush=True)
    cache = None
    if args.cache:
        shape = split.frozen_features(torch.zeros(1, network.in_channels, size, size, device=args.device)).shape[1:]
        key = {"seed": args.seed, "freeze": args.freeze, "composites": args.composites, "init": args.init.name, "plain": args.plain}
        cache = FeatureCache(args.cache, key, args.scenes, shape)

    def note(step):
        return {
            "note": f"trained by weights/training/train.py, {step} of {args.steps} steps"
            + (f", {args.minutes:g} minutes" if args.minutes else ""),
            "data": f"{len(photos)} photos of {', '.join(folder.name for folder in args.data)}, "
            + ("as they are" if args.plain else f"composites {args.composites}")
            + (", composed on the device" if args.compose_on_device else ""),
            "start": args.init.name,
            "recipe": f"{args.recipe}, loss {args.loss}, phase {args.phase}, frozen {args.freeze}, sides {sizes}, "
            f"batch {args.batch}, rates {args.lr:.3g} and {args.backbone_lr:.3g}, average {args.ema}",
            "seed": args.seed,
        }

    started, recent = None, []
    for step, (batch, x, target) in zip(range(first, args.steps), batches_of(args, photos, config, sizes, first)):
        now = time.monotonic()
        started = started or now
        for group in optimiser.param_groups:
            group["lr"] = group["peak_lr"] * rate_factor(step, args, now - began)
        features = features_of(split, cache, batch, x, dtype)
        with torch.autocast(args.device.split(":")[0], torch.bfloat16, enabled=args.amp):
            logit = split(features, x)
        loss = loss_of(logit, target, args.loss, config["network"]["align_corners"])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        update_average(average, network, step, args.ema)
        recent.append(loss.detach())
        done = step + 1
        last = done == args.steps or (args.minutes and time.monotonic() - began >= 60 * args.minutes)
        if done % args.log_every == 0 or last:
            mean = torch.stack(recent).double().mean().item()
            rate = (time.monotonic() - started) / (done - first)
            print(f"step {done} loss {mean:.6f} ({rate:.2f} s/step)", flush=True)
            recent = []
        if done % args.save_every == 0 or last:
            save_checkpoint(args.out, done, network, average, optimiser, config, note(done))
        if last:
            break


if __name__ == "__main__":
    main()
