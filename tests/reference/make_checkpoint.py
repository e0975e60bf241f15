#!/usr/bin/env python3
"""Makes a random checkpoint whose network behaves: activations of order one everywhere, logits that depend on the input.

    make_checkpoint.py out.safetensors --variant resnet-multi --blocks 3,4,23,3 --seed 1
    make_checkpoint.py out.pth --variant resnet-early --blocks 1,1,2,0
    make_checkpoint.py out.pth --variant vgg-early --vgg-widths 8,16,16,24,24,40,40

Weights follow He et al. (2015); each residual branch is scaled down by its last BN, so that depth does not amplify; the BN
statistics are those of synthetic photos; the head is scaled to logits of about -3 to 3. The .pth is a plain state_dict.
"""

import argparse
import hashlib
import json
import math
import sys
from pathlib import Path

import torch
from torch import nn

from network import Network, Widths, is_vgg
from vgg import Vgg, VggWidths

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "weights"))
from architecture import recognise  # noqa: E402
from convert import VGG_FIELDS, describe_preprocess, encode, metadata_of, parse_bins  # noqa: E402
from safetensors_file import save_safetensors  # noqa: E402

VARIANTS = ("resnet-multi", "resnet-early", "resnet-baseline", "vgg-early", "vgg-baseline")
CALIBRATION_IMAGES = 8
CALIBRATION_SIZE = 64
LOGIT_DEVIATION = 1.5
RESIDUAL_SCALE = (0.2, 0.3)
GUIDANCE_GAIN = 3.0  # a tap covers little of the photo, yet shall be visible in the result


def smooth_noise(generator, shape, cells):
    """Random fields of order one, as smooth as a grid of cells x cells makes them."""
    coarse = torch.randn(shape[0], shape[1], cells, cells, generator=generator)
    return nn.functional.interpolate(coarse, shape[2:], mode="bicubic", align_corners=False)


def synthetic_inputs(generator, channels):
    """Normalised "photos" with structure at several scales; the fourth channel is a Gaussian around a random tap."""
    shape = (CALIBRATION_IMAGES, 3, CALIBRATION_SIZE, CALIBRATION_SIZE)
    photos = sum(smooth_noise(generator, shape, cells) * gain for cells, gain in ((3, 0.8), (12, 0.5), (48, 0.3)))
    if channels == 3:
        return photos
    taps = torch.rand(CALIBRATION_IMAGES, 2, 1, generator=generator) * CALIBRATION_SIZE
    squares = (torch.arange(CALIBRATION_SIZE) - taps) ** 2
    guidance = torch.exp(-(squares[:, 0, :, None] + squares[:, 1, None, :]) / (2 * 10**2))
    return torch.cat([photos, guidance[:, None]], dim=1)


def stems_of(network):
    """The convs that read the network's input."""
    if isinstance(network, Vgg):
        return [network.features[0]]
    return [network.conv1, *([network.init[0]] if hasattr(network, "init") else [])]


def draw_weights(network, generator):
    """Random weights; BN affine parameters near their usual values."""

    def normal(tensor, mean, deviation):
        tensor.copy_(mean + deviation * torch.randn(tensor.shape, generator=generator))

    for name, module in network.named_modules():
        if isinstance(module, nn.ConvTranspose2d):  # near bilinear, and different at every tap
            ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
            module.weight.copy_(ramp[:, None] * ramp * (1 + 0.3 * torch.randn(module.weight.shape, generator=generator)))
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            fan_in = module.weight[0].numel()
            normal(module.weight, 0, math.sqrt(2 / fan_in))
            if module.bias is not None:
                normal(module.bias, 0, 0.1)
        elif isinstance(module, nn.BatchNorm2d):
            is_last_of_branch = name.endswith("bn3") or (name.startswith("fusion.") and name.endswith("bn2"))
            low, high = RESIDUAL_SCALE if is_last_of_branch else (0.8, 1.2)
            module.weight.copy_(low + (high - low) * torch.rand(module.weight.shape, generator=generator))
            normal(module.bias, 0, 0.1)
    if network.in_channels == 4:
        for stem in stems_of(network):
            stem.weight[:, 3] *= GUIDANCE_GAIN


def calibrate(network, generator):
    """BN statistics from synthetic inputs, slightly disturbed; then the head's scale and bias."""
    inputs = synthetic_inputs(generator, network.in_channels)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    network.train()(inputs)
    for norm in norms:
        norm.running_mean += 0.05 * norm.running_var.sqrt() * torch.randn(norm.running_mean.shape, generator=generator)
        norm.running_var *= 0.9 + 0.2 * torch.rand(norm.running_var.shape, generator=generator)
        norm.running_var.clamp_(min=1e-3)
    logits = network.eval()(inputs)
    final = network.layer5.final
    final.weight *= LOGIT_DEVIATION / logits.std()
    final.bias.zero_()
    final.bias -= network(inputs).mean()


def calibrate_scores(network, generator):
    """The same for a VGG network, which has no BN: its three scores count alike, their sum is the logit."""
    network.eval()
    inputs = synthetic_inputs(generator, network.in_channels)
    stages = network.stages(inputs)
    for name in ("score_fr", "score_pool4", "score_pool3"):
        score, values = getattr(network, name), stages[name]
        score.weight *= LOGIT_DEVIATION / (math.sqrt(3) * values.std())
    network.score_pool3.bias -= network(inputs).mean()


def make_network(config, widths, seed):
    """A calibrated random network in eval mode; `widths` are Widths or VggWidths."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        network = (Vgg if is_vgg(config) else Network)(config, widths)
        draw_weights(network, generator)
        (calibrate_scores if is_vgg(config) else calibrate)(network, generator)
    return network


def state_of(network, fc_dims=2):
    """The tensors of a weights file, {name: float32 array}; SE weights as 1x1 convs if fc_dims is 4."""
    state = {n: t.numpy() for n, t in network.state_dict().items() if not n.endswith("num_batches_tracked")}
    return {n: t[:, :, None, None] if ".se.fc" in n and t.ndim == 2 and fc_dims == 4 else t for n, t in state.items()}


def save(path, network, preprocess, dtype="f32", fc_dims=2):
    """A plain state_dict (.pth) or a weights file (.safetensors)."""
    state = state_of(network, fc_dims)
    if Path(path).suffix != ".safetensors":
        torch.save({name: torch.from_numpy(values) for name, values in state.items()}, path)
        return
    digest = hashlib.sha256(b"".join(values.tobytes() for values in state.values())).hexdigest()
    source = {"sha256": digest, "note": "random weights for tests"}
    save_safetensors(path, encode(state, dtype), metadata_of(network.config, preprocess, source))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help=".safetensors or .pth")
    parser.add_argument("--variant", choices=VARIANTS, default="resnet-multi")
    parser.add_argument("--fusion", choices=("own_init", "layer1"), default="own_init", help="of resnet-multi")
    parser.add_argument("--blocks", default="3,4,23,3", help="per layer; the last may be 0")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", choices=("f32", "f16", "bf16", "i8"), default="f32", help="of a .safetensors file")
    parser.add_argument("--stride-in", choices=("conv1", "conv2"), default="conv1")
    parser.add_argument("--stem-pool", choices=("3x3", "3x3ceil", "2x2"), default="3x3")
    parser.add_argument("--upsample", choices=("logit", "probability"), default="logit")
    parser.add_argument("--align-corners", choices=("true", "false"), default="true")
    parser.add_argument("--bins", type=parse_bins, default=[1, 2, 3, 6])
    parser.add_argument("--fusion-width", type=int, default=256)
    parser.add_argument("--se-reduction", type=int, default=16)
    parser.add_argument("--stage-width", type=int, help="default: a quarter of the PSP input")
    parser.add_argument("--head-width", type=int, default=512)
    parser.add_argument("--vgg-widths", help="channels of the five stages, fc6 and fc7 (default 64,128,256,512,512,4096,4096)")
    parser.add_argument("--no-se-bias", action="store_true")
    parser.add_argument("--fc-dims", type=int, choices=(2, 4), default=2, help="dimensions of the SE weights")
    parser.add_argument("--preprocess", metavar="JSON", help="fields of mfs.preprocess to replace")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    config = {
        "variant": arguments.variant,
        "blocks": [int(count) for count in arguments.blocks.split(",")],
        "stride_in": arguments.stride_in,
        "stem_pool": arguments.stem_pool,
        "fusion": arguments.fusion if arguments.variant == "resnet-multi" else "none",
        "se_reduction": arguments.se_reduction,
        "psp_bins": arguments.bins,
        "align_corners": arguments.align_corners == "true",
        "upsample": arguments.upsample,
    }
    widths = Widths(
        fusion=arguments.fusion_width,
        stage=arguments.stage_width,
        head=arguments.head_width,
        se_bias=not arguments.no_se_bias,
    )
    if is_vgg(config):
        config = {field: config[field] for field in ("variant", *VGG_FIELDS)}
        given = [int(width) for width in arguments.vgg_widths.split(",")] if arguments.vgg_widths else []
        widths = VggWidths(tuple(given[:5]), tuple(given[5:])) if given else VggWidths()
    preprocess = describe_preprocess(arguments.preprocess, None, config["variant"])
    network = make_network(config, widths, arguments.seed)
    save(arguments.out, network, preprocess, arguments.dtype, arguments.fc_dims)
    found = recognise({name: values.shape for name, values in state_of(network, arguments.fc_dims).items()})
    print(f"{arguments.out}: {found.summary()}; {found.parameters():,} parameters; {json.dumps(config)}")


if __name__ == "__main__":
    main()
