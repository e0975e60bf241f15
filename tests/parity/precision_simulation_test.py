#!/usr/bin/env python3
"""precision_simulation.py against the CUDA engine on the emulated GPU: every named value of a network with calibrated weights.

    precision_simulation_test.py STAGE_DUMP_EMULATED [--weights FILE] [--size 64x64] [--photo FILE] [--limit 0.1] [--verbose]

Every named value is compared, from the engine's values of those before it. Both round at the same points but add in another order,
so that a value next to a tie is rounded otherwise now and then, which later operations see. So the simulation models the engine if
it is much nearer to it than the engine is to f32: differences are taken in the root mean square, and --limit is for their ratio. It
is larger where a row of convolutions is in f16, where nearly all rounding errors are as small as those of the order. The larger the
network's input, the more such values there are, and what one of them changes changes more of them: --limit has to be larger then.
Exit status 77 without PyTorch: skipped.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import torch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

from parity_test import GAUSSIAN, Case, engine_stages, photo_of
from precision_simulation import Simulation, to_e4m3
from safetensors_file import load_safetensors

ROOT = Path(__file__).resolve().parents[2]
PRECISIONS = ("f16", "int8", "fp8")
NOT_SIMULATED = ("input", "probability", "refined")  # before and after the network
# Of rows of convolutions, in the precisions that compute them in f16: 0.42 at most. All others: 0.1, 0.094 at most.
F16_LIMIT = 0.6
IN_F16 = {"f16": ("layer1", "layer2", "layer3", "layer4", "fusion.0", "fusion.1", "fusion.2"), "int8": (), "fp8": ("layer1",)}


def check_e4m3():
    """Against a search among all values of the type."""
    values = np.array([m * 2.0**-9 for m in range(8)] + [(8 + m) * 2.0 ** (e - 10) for e in range(1, 16) for m in range(8)])[:-1]
    assert values[-1] == 448 and len(values) == 127
    rng = np.random.default_rng(1)
    middles = (values[1:] + values[:-1]) / 2
    x = np.concatenate([values, middles, rng.uniform(0, 500, 5000), 2 ** rng.uniform(-14, 10, 5000)]).astype(np.float32)
    above = np.searchsorted(values, np.minimum(x, 448))
    below = np.maximum(above - 1, 0)
    up, down = values[above] - np.minimum(x, 448), np.minimum(x, 448) - values[below]
    nearest = np.where((up < down) | ((up == down) & (above % 2 == 0)), above, below)
    for sign in (1, -1):
        assert np.array_equal(to_e4m3(torch.from_numpy(sign * x)).numpy(), (sign * values[nearest]).astype(np.float32))


def operation_of(stage, config):
    """That writes the engine's named value."""
    if stage == "stem":
        return "conv1"
    if stage.startswith("fusion."):
        return f"{stage}.se"
    if stage in ("layer1", "layer2", "layer3", "layer4"):
        return f"{stage}.{config['blocks'][int(stage[5]) - 1] - 1}.conv3"
    return {"logit": "layer5.final"}.get(stage, stage)


def rms(x):
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def compare(engine, tensors, meta, precision, limit, verbose):
    """Stages further off than their limit, and how many were compared."""
    x = torch.from_numpy(engine["input"]).permute(0, 3, 1, 2)
    stages = {operation_of(s, meta["network"]): v for s, v in engine.items() if s not in (*NOT_SIMULATED, "logit")}
    others = {name: torch.from_numpy(v).permute(0, 3, 1, 2) for name, v in stages.items()}
    values = [{}, {}]
    Simulation(tensors, meta["network"], precision, meta["calibration"])(x, values[0], others)
    Simulation(tensors, meta["network"], "f32", meta["calibration"])(x, values[1])
    bad, count = [], 0
    for stage, value in engine.items():
        if stage in NOT_SIMULATED:
            continue
        ours, exact = (v[operation_of(stage, meta["network"])].permute(0, 2, 3, 1).numpy() for v in values)
        off, rounded = rms(ours - value), rms(value - exact)
        most = F16_LIMIT if stage in IN_F16[precision] else limit
        good, count = off <= most * rounded, count + 1
        text = f"{precision} {stage}: {off:.2e} from the engine, which is {rounded:.2e} from f32; {np.mean(ours == value):.2%} equal"
        bad += [] if good else [text]
        if verbose or not good:
            print(text + ("" if good else ": FAILED"), flush=True)
    return bad, count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="stage_dump_emulated")
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mfs-small.safetensors")
    parser.add_argument("--size", default="64x64", help="of the network, WxH")
    parser.add_argument("--photo", type=Path, help="default: a synthetic one")
    parser.add_argument("--limit", type=float, default=0.1)
    parser.add_argument("--verbose", action="store_true", help="print every stage")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    check_e4m3()

    tensors, metadata = load_safetensors(arguments.weights)
    meta = {key: json.loads(metadata[f"mfs.{key}"]) for key in ("network", "calibration")}
    width, height = (int(v) for v in arguments.size.split("x"))
    case = Case("", size=(height, width), photo=(height, width), guidance=GAUSSIAN)
    photo = photo_of(case, 5)
    if arguments.photo:
        from PIL import Image

        photo = np.asarray(Image.open(arguments.photo).convert("RGB"))
        case.photo = photo.shape[:2]
    case.taps = ((case.photo[1] / 2, case.photo[0] / 2),)
    bad = []
    for precision in PRECISIONS:
        with tempfile.TemporaryDirectory() as folder:
            engine = engine_stages(arguments.program, arguments.weights, photo, case, Path(folder), precision)
        wrong, count = compare(engine, tensors, meta, precision, arguments.limit, arguments.verbose)
        bad += wrong if count > 10 else [f"{precision}: only {count} stages"]
    print("\n".join(bad) if bad else "the simulation agrees with the emulated engine")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
