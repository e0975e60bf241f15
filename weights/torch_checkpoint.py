"""Reads PyTorch checkpoints with numpy alone, executing nothing that is in them.

A checkpoint is a pickle, and a pickle is a program: unpickled the usual way, it can run anything. Here only the few
opcodes and names that tensors and plain containers need are understood; anything else ends the reading with a sentence.
Both formats are read: zip archives (PyTorch 1.6 and newer) and the older stream of pickles followed by raw data.
"""

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from safetensors_file import from_bfloat16

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
MAX_DIMS = 8
STORAGE_DTYPES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BFloat16Storage": "<u2",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?",
}  # fmt: skip
# What tensors, dicts, lists, tuples, numbers and strings are pickled with, in protocols 2 to 4.
OPCODES = (
    "PROTO STOP FRAME MARK POP POP_MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT "
    "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE BINUNICODE8 SHORT_BINUNICODE BINBYTES SHORT_BINBYTES EMPTY_DICT DICT "
    "SETITEM SETITEMS EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 PUT BINPUT LONG_BINPUT MEMOIZE "
    "GET BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE NEWOBJ BUILD BINPERSID"
).split()
KEY_TYPES = (str, bytes, int, float, type(None))


class CheckpointError(ValueError):
    """The checkpoint cannot be used; the message is one sentence."""


def shown(text):
    """A stranger's text for use in a sentence: quoted, shortened, without control characters."""
    text = str(text)
    return ascii(text if len(text) <= 80 else text[:80] + "...")


@dataclass
class Storage:
    """A block of numbers somewhere in the file; `read` returns its bytes."""

    dtype_name: str
    count: int
    read: object

    def array(self):
        dtype = np.dtype(STORAGE_DTYPES[self.dtype_name])
        content = self.read()
        if len(content) != self.count * dtype.itemsize:
            raise CheckpointError("a block of data does not have the size that the checkpoint says (truncated?)")
        return np.frombuffer(content, dtype)


@dataclass
class StoredTensor:
    """A tensor as the pickle describes it; its numbers are read when asked for."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple

    def array(self):
        """The numbers as a dense float32 array."""
        sizes = (self.offset, *self.shape, *self.strides)
        if not all(type(v) is int and v >= 0 for v in sizes) or len(self.shape) != len(self.strides):
            raise CheckpointError("its shape and strides contradict each other")
        if len(self.shape) > MAX_DIMS:
            raise CheckpointError("it has too many dimensions")
        elements = math.prod(self.shape)
        if elements > self.storage.count:
            raise CheckpointError("it has more elements than its data")
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides))
        if elements > 0 and last >= self.storage.count:
            raise CheckpointError("it reaches beyond its data")
        flat = self.storage.array()[self.offset :]
        view = np.lib.stride_tricks.as_strided(flat, self.shape, [s * flat.itemsize for s in self.strides], writeable=False)
        if self.storage.dtype_name == "BFloat16Storage":
            view = from_bfloat16(view)
        return np.array(view, np.float32, order="C")


@dataclass(frozen=True)
class StorageType:
    """Stands for torch.FloatStorage and the like."""

    name: str


class Inert:
    """Stands for an object of a harmless class that nobody needs here, such as the training's command line."""

    def __init__(self, *ignored):
        pass


def check_key(key):
    # Hashing a deeply nested tuple would overflow the interpreter's stack.
    if not isinstance(key, KEY_TYPES):
        raise CheckpointError(f"it has a dict with a key of type {type(key).__name__}")


def ordered_dict(items=()):
    for key, _ in items:
        check_key(key)
    return OrderedDict(items)


def as_tensor(value):
    if not isinstance(value, StoredTensor):
        raise CheckpointError("a parameter in it is no tensor")
    return value


def rebuild_tensor(storage, offset, shape, strides, *ignored):
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise CheckpointError("a tensor in it has no data")
    return StoredTensor(storage, offset, shape, strides)


# Everything that a checkpoint may name.
NAMES = {
    ("collections", "OrderedDict"): ordered_dict,
    ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): lambda data, *ignored: as_tensor(data),
    ("torch._utils", "_rebuild_parameter_with_state"): lambda data, *ignored: as_tensor(data),
    ("torch", "Size"): lambda sizes=(): tuple(sizes),
    ("torch", "device"): Inert,
    ("argparse", "Namespace"): Inert,
    ("numpy", "dtype"): Inert,
    ("numpy.core.multiarray", "scalar"): Inert,
    ("numpy._core.multiarray", "scalar"): Inert,
    ("_codecs", "encode"): Inert,
    **{(module, name): StorageType(name) for name in STORAGE_DTYPES for module in ("torch", "torch.cuda")},
}


class RestrictedUnpickler(pickle._Unpickler):
    """The interpreter's unpickler written in Python, with little left of it.

    Not the one in C: that reserves memory as a file tells it to.
    """

    dispatch = {getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]] for name in OPCODES}

    def __init__(self, file, storage_of):
        super().__init__(file, encoding="latin1")
        self.storage_of = storage_of

    def find_class(self, module, name):
        if (module, name) not in NAMES:
            raise CheckpointError(
                f"it names {shown(f'{module}.{name}')}, which no state_dict needs and which is not loaded for safety "
                "(save model.state_dict() instead of whole objects)"
            )
        return NAMES[module, name]

    def persistent_load(self, pid):
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], StorageType):
            raise CheckpointError("it refers to something else than a block of numbers")
        _, kind, key, _, count, *view = pid
        if type(count) is not int or count < 0 or not isinstance(key, (str, int)) or any(v is not None for v in view):
            raise CheckpointError("its reference to a block of numbers is malformed")
        return self.storage_of(kind.name, str(key), count)

    def load_build(self):
        """Attributes of containers (PyTorch keeps version numbers there) are of no interest."""
        self.stack.pop()

    def load_setitem(self):
        check_key(self.stack[-2])
        super().load_setitem()

    def load_setitems(self):
        for key in self.stack[::2]:
            check_key(key)
        super().load_setitems()

    def load_dict(self):
        for key in self.stack[::2]:
            check_key(key)
        super().load_dict()

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict


def read_zip(path):
    archive = zipfile.ZipFile(path)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise CheckpointError("it is compressed, which PyTorch never does")
    pickles = [name for name in archive.namelist() if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError("it is a zip file, but not of a PyTorch checkpoint")
    folder = pickles[0][: -len("data.pkl")]

    def read(name):
        try:
            return archive.read(name)
        except Exception as error:  # wrong check sum, missing entry, encryption ...
            raise CheckpointError(f"its part {shown(name)} is missing or damaged") from error

    if folder + "byteorder" in archive.namelist() and read(folder + "byteorder") != b"little":
        raise CheckpointError("it was written on a big-endian machine")

    def storage_of(dtype_name, key, count):
        return Storage(dtype_name, count, lambda: read(f"{folder}data/{key}"))

    return RestrictedUnpickler(io.BytesIO(read(pickles[0])), storage_of).load()


def read_legacy(path):
    with open(path, "rb") as file:
        content = file.read()
    stream, storages = io.BytesIO(content), {}

    def no_storage(*ignored):
        raise CheckpointError("it refers to data before any were described")

    def storage_of(dtype_name, key, count):
        storage = storages.setdefault(key, Storage(dtype_name, count, None))
        if (storage.dtype_name, storage.count) != (dtype_name, count):
            raise CheckpointError("it describes a block of data in two ways")
        return storage

    if RestrictedUnpickler(stream, no_storage).load() != LEGACY_MAGIC:
        raise CheckpointError("it is neither a PyTorch checkpoint nor a .safetensors file")
    if RestrictedUnpickler(stream, no_storage).load() != LEGACY_PROTOCOL:
        raise CheckpointError("its protocol version is unknown")
    system = RestrictedUnpickler(stream, no_storage).load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError("it was written on a big-endian machine")
    result = RestrictedUnpickler(stream, storage_of).load()
    keys = RestrictedUnpickler(stream, no_storage).load()

    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise CheckpointError("its list of data blocks does not match its tensors")
    position = stream.tell()
    for key in keys:
        storage = storages[str(key)]
        begin = position + 8
        end = begin + storage.count * np.dtype(STORAGE_DTYPES[storage.dtype_name]).itemsize
        if end > len(content) or struct.unpack("<q", content[position:begin]) != (storage.count,):
            raise CheckpointError("a block of data does not have the size that the checkpoint says (truncated?)")
        storage.read = lambda begin=begin, end=end: memoryview(content)[begin:end]
        position = end
    return result


def load_checkpoint(path):
    """Returns what was saved: dicts, lists and numbers with `StoredTensor` leaves. Raises CheckpointError or OSError."""
    try:
        return read_zip(path) if zipfile.is_zipfile(path) else read_legacy(path)
    except (CheckpointError, OSError):
        raise
    except Exception as error:  # the ways in which a damaged pickle or zip file can go wrong are countless
        raise CheckpointError(f"it is damaged or no PyTorch checkpoint ({type(error).__name__})") from error
