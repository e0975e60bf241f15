#!/usr/bin/env python3
"""Converts a PyTorch checkpoint to a weights file, or re-encodes a weights file.

    convert.py checkpoint.pth mfs.safetensors --dtype f16

What the tensors tell (variant, blocks, widths) is read from them and verified. What they do not tell (strides, pooling,
upsampling, preprocessing) is assumed as printed, unless options say otherwise; a weights file brings it along.
Needs numpy; reads checkpoints without executing anything in them.
Exit status: 0 done, 1 the result cannot be written, 2 usage, 3 the checkpoint cannot be used.
"""

import argparse
import hashlib
import json
import math
import os
import sys
from pathlib import Path

try:
    import numpy as np
except ImportError:
    sys.exit(f"convert.py needs numpy and PyTorch, which {sys.executable} lacks (Debian: python3-numpy, python3-torch)")

from architecture import DEFAULT_BINS, ArchitectureError, Vgg, recognise  # noqa: E402
from safetensors_file import (  # noqa: E402
    SCALE_SUFFIX,
    SafetensorsError,
    load_safetensors,
    quantise_rows,
    save_safetensors,
    to_bfloat16,
)
from torch_checkpoint import CheckpointError, StoredTensor, load_checkpoint, shown

VERSION = "1"
FORMAT = "1"
# Where training scripts put the state_dict, most usual first.
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "params", "weights")
AVERAGES = ("ema", "model_ema", "ema_state_dict", "state_dict_ema", "ema_model")
MAX_NESTING = 3
# Tensors that every VGG or ResNet has; what precedes them precedes all names.
ANCHORS = ("features.0.weight", "layer1.0.conv1.weight")

CHOICES = {
    "stride_in": ("conv1", "conv2"),
    "stem_pool": ("3x3", "3x3ceil", "2x2"),
    "upsample": ("logit", "probability"),
    "align_corners": (True, False),
}
DEFAULT_NETWORK = {**{field: values[0] for field, values in CHOICES.items()}, "psp_bins": DEFAULT_BINS}
VGG_FIELDS = ("align_corners", "upsample")  # of those, what means something to a VGG network
DEFAULT_PREPROCESS = {
    "size": [512, 512],
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "guidance": {"kind": "gaussian", "sigma": 10, "scale": 1},
}
GUIDANCE_PARAMETERS = {"gaussian": "sigma", "gaussian_fwhm": "sigma", "euclidean": "clip", "disk": "radius", "none": None}
MAX_SIZE, MAX_BINS, MAX_BIN = 1 << 15, 8, 64


class UsageError(ValueError):
    """Options that cannot be; the message is one sentence."""


class WriteError(Exception):
    """The result cannot be written; the message is one sentence."""


def is_state_dict(value):
    return isinstance(value, dict) and any(isinstance(v, (StoredTensor, np.ndarray)) for v in value.values())


def find_state_dict(content, path=(), depth=MAX_NESTING):
    """Returns (state_dict, keys that lead to it) or None."""
    if is_state_dict(content):
        return content, path
    if isinstance(content, dict) and depth > 0:
        for key in WRAPPERS + AVERAGES:
            found = find_state_dict(content.get(key), (*path, key), depth - 1)
            if found:
                return found
    return None


def choose_state_dict(content, key):
    """Follows `key` ("model.ema") if given, else looks in the usual places."""
    path = tuple(key.split(".")) if key else ()
    for part in path:
        if not isinstance(content, dict) or part not in content:
            raise CheckpointError(f"it has nothing under the key {shown(key)}")
        content = content[part]
    found = find_state_dict(content, path)
    if not found:
        raise CheckpointError("it has no state_dict: no tensors, neither directly nor under the usual keys (see --key)")
    return found


def strip_prefix(state):
    """Drops what precedes the network's own names, such as DataParallel's `module.`; returns (state, prefix)."""
    prefix = ""
    for anchor in ANCHORS:
        prefix = next((n[: -len(anchor)] for n in state if isinstance(n, str) and n.endswith(anchor)), prefix)
    for name in state:
        if not isinstance(name, str) or not name.startswith(prefix):
            raise ArchitectureError(f"tensor {shown(name)} is not part of the network (whose names begin with {shown(prefix)})")
    return {name[len(prefix) :]: value for name, value in state.items()}, prefix


def trained_tensors(state):
    """Drops the counters that inference does not need; everything else must be a tensor."""
    kept = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    for name, value in kept.items():
        if not isinstance(value, (StoredTensor, np.ndarray)):
            raise ArchitectureError(f"{shown(name)} is not a tensor")
    return kept


def numbers_of(name, tensor):
    """Reads a tensor as float32 and checks its values."""
    try:
        values = tensor.array() if isinstance(tensor, StoredTensor) else tensor
    except CheckpointError as error:
        raise CheckpointError(f"tensor {name}: {error}") from error
    if not np.isfinite(values).all():
        raise ArchitectureError(f"tensor {name} holds a NaN or an infinity")
    if name.endswith("running_var") and (values < 0).any():
        raise ArchitectureError(f"tensor {name} holds a negative variance")
    return values


def encode(tensors, dtype):
    """float32 tensors -> what is stored. Vectors (batch norm, biases) stay F32: they are small, and precision matters there."""
    stored = {}
    for name, values in tensors.items():
        if dtype == "f32" or values.ndim < 2:
            stored[name] = values
        elif dtype == "f16":
            with np.errstate(over="ignore"):
                stored[name] = values.astype(np.float16)
            if not np.isfinite(stored[name]).all():
                raise ArchitectureError(f"tensor {name} holds values too large for f16 (use --dtype bf16)")
        elif dtype == "bf16":
            stored[name] = to_bfloat16(values)
        else:
            stored[name], stored[name + SCALE_SUFFIX] = quantise_rows(values)
    return stored


def are_bins(value):
    return isinstance(value, list) and 1 <= len(value) <= MAX_BINS and all(type(b) is int and 1 <= b <= MAX_BIN for b in value)


def is_number(value):
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= np.finfo(np.float32).max


def is_positive(value):
    return is_number(value) and np.float32(value) > 0


def is_side(value, multiple):
    return type(value) is int and 64 <= value <= MAX_SIZE and value % multiple == 0


def check_guidance(guidance, variant):
    kind = guidance.get("kind") if isinstance(guidance, dict) else None
    if kind not in GUIDANCE_PARAMETERS:
        raise UsageError(f"preprocess: guidance.kind is not one of {', '.join(GUIDANCE_PARAMETERS)}")
    if (kind == "none") != variant.endswith("-baseline"):
        raise UsageError(f"preprocess: guidance {kind} does not go with {variant}")
    parameter = GUIDANCE_PARAMETERS[kind]
    allowed = {"kind"} | ({parameter, "scale"} if parameter else set())
    for field in guidance:
        if field not in allowed:
            raise UsageError(f"preprocess: unknown field guidance.{field}")
    if parameter and not (is_positive(guidance.get(parameter)) and is_positive(guidance.get("scale", 1))):
        raise UsageError(f"preprocess: guidance.{parameter} and guidance.scale must be positive numbers")


def check_preprocess(preprocess, variant):
    """The runtime's rules, so that a file that was written can be read."""
    for field in preprocess:
        if field not in DEFAULT_PREPROCESS:
            raise UsageError(f"preprocess: unknown field {field}")
    size, mean, std = preprocess["size"], preprocess["mean"], preprocess["std"]
    multiple = 32 if variant.startswith("vgg-") else 8
    if not isinstance(size, list) or len(size) != 2 or not all(is_side(side, multiple) for side in size):
        raise UsageError(f"preprocess: size must be [height, width], multiples of {multiple} from 64 to {MAX_SIZE}")
    if not isinstance(mean, list) or len(mean) != 3 or not all(map(is_number, mean)):
        raise UsageError("preprocess: mean must be three numbers")
    if not isinstance(std, list) or len(std) != 3 or not all(map(is_positive, std)):
        raise UsageError("preprocess: std must be three positive numbers")
    check_guidance(preprocess["guidance"], variant)


def describe_preprocess(text, known, variant):
    """Fields given on the command line replace those of the weights file or the defaults."""
    preprocess = dict(known or DEFAULT_PREPROCESS)
    if not known and variant.endswith("-baseline"):
        preprocess["guidance"] = {"kind": "none"}
    if text is not None:
        try:
            given = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"--preprocess: {error}") from error
        if not isinstance(given, dict):
            raise UsageError("--preprocess: not a JSON object")
        preprocess.update(given)
    check_preprocess(preprocess, variant)
    return preprocess


def describe_network(architecture, options, known):
    is_vgg = isinstance(architecture, Vgg)
    for field in options:
        if is_vgg and field not in VGG_FIELDS:
            raise UsageError(f"{field} means nothing for {architecture.variant}")
    fields = {**DEFAULT_NETWORK, **{k: v for k, v in known.items() if k in DEFAULT_NETWORK}, **options}
    for field, values in CHOICES.items():
        if fields[field] not in values:
            raise UsageError(f"{field} is {shown(fields[field])}, not one of {', '.join(map(str, values))}")
    if is_vgg:
        return {"variant": architecture.variant, **{field: fields[field] for field in VGG_FIELDS}}
    bins = fields["psp_bins"]
    if not are_bins(bins):
        raise UsageError(f"the PSP bins are not 1 to {MAX_BINS} integers from 1 to {MAX_BIN}")
    if len(bins) != architecture.stages:
        raise UsageError(f"the network has {architecture.stages} PSP stages, but {len(bins)} bins are given (--bins)")
    return {
        "variant": architecture.variant, "blocks": architecture.blocks, "stride_in": fields["stride_in"],
        "stem_pool": fields["stem_pool"], "fusion": architecture.fusion, "se_reduction": architecture.se_reduction,
        "psp_bins": bins, "align_corners": fields["align_corners"], "upsample": fields["upsample"],
    }  # fmt: skip


def metadata_of(network, preprocess, source):
    """The `__metadata__` of a weights file."""
    entries = {"network": network, "preprocess": preprocess, "source": source}
    texts = {f"mfs.{key}": json.dumps(value, separators=(",", ":")) for key, value in entries.items()}
    return {"mfs.format": FORMAT, **texts}


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def parsed_metadata(metadata, key):
    """A JSON object of a weights file's metadata, {} if there is none."""
    if not isinstance(metadata, dict) or f"mfs.{key}" not in metadata:
        return {}
    try:
        value = json.loads(metadata[f"mfs.{key}"])
    except (TypeError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise SafetensorsError(f"mfs.{key} is not a JSON object")
    return value


def read_input(path, key):
    """Returns (state, where it was found, metadata)."""
    if path.suffix == ".safetensors":
        if key:
            raise UsageError("--key is for PyTorch checkpoints")
        try:
            state, metadata = load_safetensors(path)
        except RecursionError as error:
            raise SafetensorsError("the header is nested too deeply") from error
        return state, (), metadata
    return *choose_state_dict(load_checkpoint(path), key), {}


def convert(arguments):
    """Everything but the command line; returns what to tell the user."""
    source_path, target = Path(arguments.checkpoint), Path(arguments.out)
    if target.suffix != ".safetensors":
        raise UsageError("OUT must end in .safetensors")
    if source_path.exists() and target.exists() and os.path.samefile(source_path, target):
        raise UsageError("OUT is the checkpoint itself")
    state, where, metadata = read_input(source_path, arguments.key)
    state, prefix = strip_prefix(state)
    state = trained_tensors(state)
    architecture = recognise({name: tuple(tensor.shape) for name, tensor in state.items()})
    options = {k: getattr(arguments, k) for k in DEFAULT_NETWORK if getattr(arguments, k) is not None}
    network = describe_network(architecture, options, parsed_metadata(metadata, "network"))
    preprocess = describe_preprocess(arguments.preprocess, parsed_metadata(metadata, "preprocess"), architecture.variant)
    tensors = {name: numbers_of(name, state[name]).reshape(shape) for name, shape in architecture.shapes.items()}
    stored = encode(tensors, arguments.dtype)

    source = {"sha256": sha256_of(source_path), "converter": VERSION, "file": source_path.name}
    if arguments.note:
        source["note"] = arguments.note
    if earlier := parsed_metadata(metadata, "source"):
        source["source"] = earlier
    try:
        save_safetensors(target, stored, metadata_of(network, preprocess, source))
    except OSError as error:
        raise WriteError(f"{target}: cannot be written: {error.strerror}") from error

    found = "'" + ".".join(where) + "'" if where else "the top level"
    return [
        f"read     {source_path} (sha256 {source['sha256'][:12]}...), tensors at {found}, prefix '{prefix}'",
        f"found    {architecture.summary()}; {architecture.parameters():,} parameters",
        f"network  {json.dumps({k: network[k] for k in DEFAULT_NETWORK if k in network})}",
        f"input    {json.dumps(preprocess)}",
        f"wrote    {target}, {target.stat().st_size / 1e6:.1f} MB, {arguments.dtype}",
    ]


def parse_bins(text):
    bins = [int(part) for part in text.split(",")]
    if not are_bins(bins):
        raise ValueError
    return bins


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=".pth, .pt, .pth.tar or .safetensors")
    parser.add_argument("out", metavar="OUT", help=".safetensors")
    parser.add_argument("--dtype", choices=("f32", "f16", "bf16", "i8"), default="f32", help="of the weights; vectors stay f32")
    parser.add_argument("--key", help="where the state_dict is, dots between keys; default: the usual places")
    parser.add_argument("--stride-in", choices=CHOICES["stride_in"], help="conv with a bottleneck's stride (default conv1)")
    parser.add_argument("--stem-pool", choices=CHOICES["stem_pool"], help="max-pool of the stem (default 3x3)")
    parser.add_argument("--upsample", choices=CHOICES["upsample"], help="what is enlarged to the photo (default logit)")
    parser.add_argument("--align-corners", choices=("true", "false"), help="of every upsampling (default true)")
    parser.add_argument("--bins", dest="psp_bins", type=parse_bins, metavar="1,2,3,6", help="grids of the PSP stages")
    parser.add_argument("--preprocess", metavar="JSON", help="fields of mfs.preprocess to replace, or @FILE with them")
    parser.add_argument("--note", help="free text for mfs.source")
    arguments = parser.parse_args(argv)
    if arguments.align_corners is not None:
        arguments.align_corners = arguments.align_corners == "true"
    return parser, arguments


def main(argv=None):
    parser, arguments = parse_arguments(argv)
    try:
        print("\n".join(convert(arguments)))
    except UsageError as error:
        parser.error(str(error))
    except WriteError as error:
        print(error, file=sys.stderr)
        return 1
    except (CheckpointError, ArchitectureError, SafetensorsError) as error:
        print(f"{arguments.checkpoint}: {str(error).removeprefix(f'{arguments.checkpoint}: ')}", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"{arguments.checkpoint}: cannot be read: {error.strerror}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
