"""Reads and writes .safetensors files with numpy and json alone.

Layout of a file: 8 bytes little-endian length of the header, the header (JSON), the raw data of the tensors.
The header maps a tensor's name to {"dtype", "shape", "data_offsets": [begin, end]} (offsets from the end of the
header) and "__metadata__" to a map from string to string.

Weight-only compression: an I8 tensor `name` has a companion F32 tensor `name.scale` with one scale per output
channel; its value is int8 * scale.
"""

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DTYPES = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2"), "I8": np.dtype("i1")}
SCALE_SUFFIX = ".scale"
HEADER_ALIGNMENT = 8
MAX_HEADER_BYTES = 100_000_000


class SafetensorsError(ValueError):
    """The file is not a well-formed .safetensors file; the message is one sentence."""


@dataclass
class Bfloat16:
    """A bf16 tensor for `save_safetensors`: its bit patterns as uint16 (numpy has no such type)."""

    bits: np.ndarray

    @property
    def shape(self):
        return self.bits.shape


def to_bfloat16(values):
    """Rounds finite float32 values to bf16, to nearest, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    return Bfloat16((rounded >> 16).astype(np.uint16))


def from_bfloat16(bits):
    """uint16 bit patterns -> float32, exact."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def quantise_rows(weight):
    """float (O, ...) -> (int8 of the same shape, float32 scale (O,)): symmetric, one scale per output channel."""
    rows = np.asarray(weight, np.float32).reshape(weight.shape[0], -1)
    peak = np.abs(rows).max(axis=1)
    scale = np.where(peak > 0, peak / 127, 1).astype(np.float32)
    levels = np.clip(np.rint(rows / scale[:, None]), -127, 127)
    return levels.astype(np.int8).reshape(weight.shape), scale


def dequantise_rows(levels, scale):
    """Inverse of `quantise_rows` up to rounding: float32 of the shape of `levels`."""
    return levels.astype(np.float32) * scale.reshape((-1,) + (1,) * (levels.ndim - 1))


def _parse_header(path, content):
    if len(content) < 8:
        raise SafetensorsError(f"{path}: shorter than the 8-byte length of the header")
    (length,) = struct.unpack("<Q", content[:8])
    if length > min(MAX_HEADER_BYTES, len(content) - 8):
        raise SafetensorsError(f"{path}: the header says it has {length} bytes, the file ends before that")
    try:
        header = json.loads(content[8 : 8 + length])
    except ValueError as error:
        raise SafetensorsError(f"{path}: the header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise SafetensorsError(f"{path}: the header is not a JSON object")
    return header, memoryview(content)[8 + length :]


def _parse_tensor(path, name, entry, data):
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise SafetensorsError(f"{path}: tensor {name}: its header entry is malformed") from error
    if dtype not in DTYPES:
        raise SafetensorsError(f"{path}: tensor {name}: dtype {dtype} is none of {', '.join(DTYPES)}")
    if not all(type(v) is int and v >= 0 for v in (*shape, begin, end)):
        raise SafetensorsError(f"{path}: tensor {name}: shape and offsets must be non-negative integers")
    size = DTYPES[dtype].itemsize * int(np.prod(shape, dtype=object))
    if end - begin != size:
        raise SafetensorsError(f"{path}: tensor {name}: {end - begin} bytes of data, its shape needs {size}")
    if end > len(data):
        raise SafetensorsError(f"{path}: tensor {name}: its data ends after the end of the file")
    return dtype, np.frombuffer(data[begin:end], DTYPES[dtype]).reshape(shape)


def load_safetensors_raw(path):
    """Returns ({name: (dtype name, array as stored)}, metadata); BF16 arrays are uint16 bit patterns."""
    header, data = _parse_header(path, Path(path).read_bytes())
    metadata = header.pop("__metadata__", {})
    tensors = {name: _parse_tensor(path, name, entry, data) for name, entry in header.items()}
    spans = sorted((*header[name]["data_offsets"], name) for name in header)
    for (_, end, first), (begin, _, second) in zip(spans, spans[1:]):
        if begin < end:
            raise SafetensorsError(f"{path}: tensors {first} and {second} overlap")
    return tensors, metadata


def load_safetensors(path):
    """Returns ({name: float32 array}, metadata); I8 tensors are multiplied by their scales, which disappear."""
    raw, metadata = load_safetensors_raw(path)
    tensors = {}
    for name, (dtype, stored) in raw.items():
        if dtype == "I8":
            if raw.get(name + SCALE_SUFFIX, ("",))[0] != "F32":
                raise SafetensorsError(f"{path}: tensor {name} is I8 and has no F32 tensor {name}{SCALE_SUFFIX}")
            scale = raw[name + SCALE_SUFFIX][1]
            if stored.ndim == 0 or scale.shape != (stored.shape[0],):
                raise SafetensorsError(f"{path}: tensor {name}{SCALE_SUFFIX} must have one scale per output channel")
            tensors[name] = dequantise_rows(stored, scale)
        elif name.endswith(SCALE_SUFFIX) and raw.get(name[: -len(SCALE_SUFFIX)], ("",))[0] == "I8":
            continue
        else:
            tensors[name] = from_bfloat16(stored) if dtype == "BF16" else stored.astype(np.float32)
    return tensors, metadata


def save_safetensors(path, tensors, metadata):
    """Writes {name: float32 | float16 | int8 array or Bfloat16} and {str: str}; the file appears atomically."""
    header, chunks, offset = {"__metadata__": metadata} if metadata else {}, [], 0
    names = {dtype: name for name, dtype in DTYPES.items() if name != "BF16"}
    for name, tensor in tensors.items():
        is_bfloat16 = isinstance(tensor, Bfloat16)
        array = np.ascontiguousarray(tensor.bits if is_bfloat16 else tensor)
        dtype = "BF16" if is_bfloat16 else names.get(array.dtype)
        if dtype is None:
            raise SafetensorsError(f"{path}: tensor {name}: cannot store dtype {array.dtype}")
        end = offset + array.nbytes
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        chunks.append(array.tobytes())
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % HEADER_ALIGNMENT)
    partial = Path(f"{path}.partial")
    with open(partial, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(chunks)
    os.replace(partial, path)
