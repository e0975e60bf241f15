#!/usr/bin/env python3
"""The engine against PyTorch, stage by stage, for every variant, option and guidance kind of the network.

    parity_test.py STAGE_DUMP [--full] [--table FILE] [--only NAME]

Random checkpoints (tests/reference/make_checkpoint.py) run through the engine (STAGE_DUMP) and the reference network; every
named value is compared. A stage may differ by STAGE_LIMIT of its largest magnitude, the probability by PROBABILITY_LIMIT per
pixel. --full adds the whole ResNet-101 and VGG-16 networks and large photos. Exit status 77 without PyTorch: skipped.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

try:
    import numpy as np
    import torch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
from make_checkpoint import make_network, save  # noqa: E402
from network import Widths, is_vgg, network_from_safetensors  # noqa: E402
from preprocess import network_input, probability_from_logit  # noqa: E402
from refine import refined_probability  # noqa: E402
from vgg import VggWidths  # noqa: E402
from convert import VGG_FIELDS, describe_preprocess  # noqa: E402

STAGE_LIMIT = 1e-4
PROBABILITY_LIMIT = 1e-4


@dataclass
class Case:
    name: str
    config: dict = field(default_factory=dict)  # differences from BASE
    widths: dict = field(default_factory=dict)
    guidance: dict = None
    size: tuple = (64, 64)  # height, width of the network
    photo: tuple = (53, 37)  # height, width
    taps: tuple = ((11.25, 30.5),)
    fc_dims: int = 2
    dtype: str = "f32"


BASE = {
    "variant": "resnet-multi",
    "blocks": [1, 2, 2, 1],
    "stride_in": "conv1",
    "stem_pool": "3x3",
    "fusion": "own_init",
    "se_reduction": 16,
    "psp_bins": [1, 2, 3, 6],
    "align_corners": True,
    "upsample": "logit",
}
EARLY = {"variant": "resnet-early", "fusion": "none"}
BASELINE = {"variant": "resnet-baseline", "fusion": "none"}
VGG_EARLY, VGG_BASELINE = {"variant": "vgg-early"}, {"variant": "vgg-baseline"}
NARROW = {"stages": (8, 16, 24, 32, 40), "fc": (64, 48)}
ODD = {"stages": (5, 7, 9, 11, 13), "fc": (17, 19)}
WINOGRAD = {"stages": (8, 8, 128, 128, 32), "fc": (64, 64)}
GAUSSIAN = {"kind": "gaussian", "sigma": 10, "scale": 1}

CASES = [
    Case("multi"),
    Case("multi 96x128", size=(96, 128), photo=(200, 120), taps=((0, 0), (119, 199), (60.4, 99.6))),
    Case("multi layer1", {"fusion": "layer1"}),
    Case("multi layer1 narrow", {"fusion": "layer1"}, {"fusion": 64}),
    Case("multi 3x3ceil", {"stem_pool": "3x3ceil"}),
    Case("multi 3x3ceil 96x128", {"stem_pool": "3x3ceil"}, size=(96, 128)),
    Case("multi 2x2", {"stem_pool": "2x2"}),
    Case("multi stride in conv2", {"stride_in": "conv2"}),
    Case("multi without layer4", {"blocks": [1, 1, 2, 0]}, {"fusion": 64, "stage": 128, "head": 256}),
    Case("multi upsample probability", {"upsample": "probability"}),
    Case("multi half-pixel corners", {"align_corners": False}),
    Case("multi bins 1 4", {"psp_bins": [1, 4]}),
    Case("multi no SE bias, 4-D SE", {}, {"se_bias": False}, fc_dims=4),
    Case("multi f16 weights", dtype="f16"),
    Case("multi i8 weights", dtype="i8"),
    Case("multi gaussian_fwhm 255", guidance={"kind": "gaussian_fwhm", "sigma": 10, "scale": 255}),
    Case("multi euclidean", guidance={"kind": "euclidean", "clip": 255, "scale": 1}, taps=((0, 0), (36, 52))),
    Case("multi disk", guidance={"kind": "disk", "radius": 5, "scale": 1}),
    Case("multi photo 1x1", photo=(1, 1), taps=((0, 0),)),
    Case("multi photo 1x400", photo=(1, 400), taps=((-0.5, -0.5), (399.5, 0.5))),
    Case("multi photo 700x1100", photo=(700, 1100), taps=((1099, 699),)),
    Case("early", EARLY),
    Case("early 96x128 3x3ceil conv2", EARLY | {"stem_pool": "3x3ceil", "stride_in": "conv2"}, size=(96, 128)),
    Case("early euclidean probability", EARLY | {"upsample": "probability"}, guidance={"kind": "euclidean", "clip": 100, "scale": 1}),
    Case("baseline", BASELINE, guidance={"kind": "none"}, taps=()),
    Case("baseline without layer4", BASELINE | {"blocks": [1, 1, 1, 0]}, guidance={"kind": "none"}, taps=(), size=(96, 128)),
    Case("vgg-early", VGG_EARLY, NARROW),
    Case("vgg-early 96x160", VGG_EARLY | {"upsample": "probability"}, ODD, size=(96, 160), photo=(200, 120)),
    Case("vgg-early 128x128", VGG_EARLY | {"align_corners": False}, WINOGRAD, size=(128, 128), photo=(90, 150)),
    Case("vgg-early i8 weights", VGG_EARLY, NARROW, dtype="i8"),
    Case("vgg-baseline", VGG_BASELINE, NARROW, guidance={"kind": "none"}, taps=()),
    Case("vgg-baseline 64x96", VGG_BASELINE, ODD, guidance={"kind": "none"}, size=(64, 96), taps=()),
]
FULL_CASES = [
    Case("paper multi 512x512", {"blocks": [3, 4, 23, 3]}, size=(512, 512), photo=(375, 500), taps=((250.5, 187.25),)),
    Case("paper early 512x512", EARLY | {"blocks": [3, 4, 23, 3]}, size=(512, 512), photo=(375, 500)),
    Case("paper baseline 512x512", BASELINE | {"blocks": [3, 4, 23, 3]}, guidance={"kind": "none"}, size=(512, 512), taps=()),
    Case("paper vgg-early 512x512", VGG_EARLY, size=(512, 512), photo=(375, 500), taps=((250.5, 187.25),)),
    Case("paper vgg-baseline 256x256", VGG_BASELINE, guidance={"kind": "none"}, size=(256, 256), photo=(375, 500), taps=()),
    Case("small multi 512x512", {"blocks": [3, 4, 6, 0]}, {"fusion": 64}, size=(512, 512), photo=(375, 500)),
    Case("multi photo 3000x5000", size=(512, 512), photo=(3000, 5000), taps=((4999, 0), (2500.3, 1499.7))),
]


def photo_of(case, seed):
    """uint8 H x W x 3: smooth colour with noise, so that every pixel counts."""
    rng = np.random.default_rng(seed)
    height, width = case.photo
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    phase = rng.uniform(0, 6, 3)
    waves = np.stack([np.sin(x * 6 / width + y * 9 / height + p) for p in phase], axis=2)
    return np.clip(128 + 80 * waves + rng.normal(0, 20, (height, width, 3)), 0, 255).astype(np.uint8)


def engine_stages(program, weights, photo, case, folder, precision="f32"):
    """{name: float32 NHWC} from the engine."""
    raw = folder / "photo.rgb"
    photo.tofile(raw)
    (height, width), (net_height, net_width) = case.photo, case.size
    command = [program, weights, raw, width, height, net_width, net_height, precision, folder, *np.ravel(case.taps)]
    lines = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout.splitlines()
    stages = {}
    for line in lines:
        name, *shape = line.split(" ")
        stages[name] = np.fromfile(folder / f"{name}.f32", np.float32).reshape([int(n) for n in shape])
    return stages


@torch.no_grad()
def reference_stages(weights, photo, case):
    """The same from PyTorch."""
    network, meta = network_from_safetensors(weights)
    x = network_input(photo, case.taps, meta["preprocess"], case.size)
    values = network.stages(x)
    stages = {"input": x, **values}
    stages = {name: value.permute(0, 2, 3, 1).numpy() for name, value in stages.items()}
    probability = probability_from_logit(values["logit"], photo.shape[:2], meta["network"])
    refined = refined_probability(photo, values["logit"], case.size, meta["network"])
    return stages | {"probability": probability[None, :, :, None], "refined": refined[None, :, :, None]}


def compare(case, ours, reference):
    """Rows (stage, largest difference, limit, good)."""
    rows = []
    for name, expected in reference.items():
        if name not in ours:
            if name != "layer5.bottleneck":  # the rewritten head never makes it
                rows.append((name, float("nan"), 0, False))
            continue
        parts = {"input": ours[name]}
        if name == "input":
            parts = {"input": slice(0, 3), "guidance": slice(3, 4)}
            parts = {k: s for k, s in parts.items() if expected[..., s].size}
        else:
            parts = {name: slice(None)}
        for part, channels in parts.items():
            a, b = ours[name][..., channels], expected[..., channels]
            limit = PROBABILITY_LIMIT if name in ("probability", "refined") else STAGE_LIMIT * max(1.0, float(np.abs(b).max()))
            difference = float(np.abs(a - b).max()) if a.shape == b.shape else float("nan")
            rows.append((part, difference, limit, difference <= limit))
    return rows


def run_case(program, case, folder, seed):
    config, widths = BASE | case.config, Widths
    if is_vgg(config):
        config, widths = {field: config[field] for field in ("variant", *VGG_FIELDS)}, VggWidths
    preprocess = describe_preprocess(json.dumps({"guidance": case.guidance or GAUSSIAN}), None, config["variant"])
    weights = folder / "weights.safetensors"
    network = make_network(config, widths(**case.widths), seed)
    with torch.no_grad():  # as a network trained with this scale would be
        for stem in ("conv1.weight", "init.0.weight", "features.0.weight"):
            if stem in network.state_dict():
                network.state_dict()[stem][:, 3:] /= preprocess["guidance"].get("scale", 1)
    save(weights, network, preprocess, case.dtype, case.fc_dims)
    photo = photo_of(case, seed)
    return compare(case, engine_stages(program, weights, photo, case, folder), reference_stages(weights, photo, case))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the stage_dump program")
    parser.add_argument("--full", action="store_true", help="also the whole network at 512x512 and large photos")
    parser.add_argument("--table", help="write every stage of every case to this Markdown file")
    parser.add_argument("--only", help="cases whose name contains this")
    arguments = parser.parse_args()
    cases = [c for c in CASES + (FULL_CASES if arguments.full else []) if not arguments.only or arguments.only in c.name]
    table, failures = ["| case | stage | largest difference | limit | |", "|---|---|---:|---:|---|"], 0
    for seed, case in enumerate(cases):
        with tempfile.TemporaryDirectory() as folder:
            rows = run_case(arguments.program, case, Path(folder), seed)
        bad = [row for row in rows if not row[3]]
        failures += bool(bad)
        of = {row[0]: row[1] for row in rows}
        verdict = "FAILED" if bad else "passed"
        print(f"{verdict}: {case.name}: probability differs by {of['probability']:.2e}, refined {of['refined']:.2e}", flush=True)
        for stage, difference, limit, _ in bad:
            print(f"    {stage}: {difference:.3e}, limit {limit:.3e}; again with --only '{case.name}'")
        table += [f"| {case.name} | {s} | {d:.2e} | {l:.2e} | {'' if good else 'FAILED'} |" for s, d, l, good in rows]
    if arguments.table:
        Path(arguments.table).write_text("\n".join(table) + "\n")
    print(f"{len(cases) - failures} of {len(cases)} cases agree with PyTorch {torch.__version__}")
    return 1 if failures or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
