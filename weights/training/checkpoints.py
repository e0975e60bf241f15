"""Weights in and out of training: warm start, checkpoints to resume from, files for the library with their model cards."""

import json
import os

import numpy as np
import torch
from torch import nn

from safetensors_file import load_safetensors, save_safetensors


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


def save_checkpoint(folder, step, network, average, optimiser, config, note):
    """Everything a run resumes from in last.pt; the averaged weights in ema.safetensors, with the model card ema.md."""
    partial = folder / "last.pt.partial"
    state = {"step": step, "network": network.state_dict(), "average": average.state_dict()}
    torch.save(dict(state, optimiser=optimiser.state_dict()["state"]), partial)
    os.replace(partial, folder / "last.pt")
    export(average, config, note, folder / "ema.safetensors")
    (folder / "ema.md").write_text(model_card(folder / "ema.safetensors", config, note))


def load_checkpoint(folder, device, network, average, optimiser):
    """The number of steps that have been done, and the state after them; 0 without a checkpoint."""
    if not (folder / "last.pt").exists():
        return 0
    state = torch.load(folder / "last.pt", map_location=device, weights_only=True)
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(dict(optimiser.state_dict(), state=state["optimiser"]))
    print(f"resumed after step {state['step']}", flush=True)
    return state["step"]


def model_card(weights, config, note):
    """What is known about a file of weights, as Markdown; figures have to be added by hand."""
    network, preprocess = config["network"], config["preprocess"]
    rows = {
        "file": f"`{weights.name}`, {weights.stat().st_size / 1e6:.1f} MB (convolutions F16, batch norm F32)",
        "network": f"{network['variant']}, blocks {network['blocks']}, widths {config['widths']}",
        "input": f"{preprocess['size'][1]} x {preprocess['size'][0]}, guidance {preprocess['guidance']}",
        **note,
    }
    table = "".join(f"| {name} | {value} |\n" for name, value in rows.items())
    return f"# Weights from weights/training/train.py\n\n| | |\n|---|---|\n{table}"
