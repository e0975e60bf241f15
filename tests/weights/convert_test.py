#!/usr/bin/env python3
"""Tests of weights/convert.py. Exit status 77: PyTorch, which writes the checkpoints, is not there."""

import argparse
import contextlib
import io
import json
import os
import pickle
import struct
import sys
import tempfile
import unittest
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

try:
    import numpy as np
    import torch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "weights"), str(ROOT / "tests" / "reference")]
import convert  # noqa: E402
from network import Network, Widths, load_tensors, network_from_safetensors  # noqa: E402
from safetensors_file import load_safetensors, load_safetensors_raw, save_safetensors  # noqa: E402
from torch_checkpoint import CheckpointError, load_checkpoint  # noqa: E402
from vgg import Vgg, VggWidths  # noqa: E402

CONFIG = {
    "variant": "resnet-multi", "blocks": [1, 1, 1, 0], "stride_in": "conv1", "stem_pool": "3x3", "fusion": "own_init",
    "se_reduction": 4, "psp_bins": [1, 2, 3, 6], "align_corners": True, "upsample": "logit",
}  # fmt: skip
NARROW = {"fusion": 8, "stage": 4, "head": 8}


def make_network(widths=None, **config):
    torch.manual_seed(1)
    return Network({**CONFIG, **config}, Widths(**{**NARROW, **(widths or {})})).eval()


def without_counters(state):
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


class Marker:
    """Unpickled the usual way, creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


class ConvertCase(unittest.TestCase):
    """Runs the converter in a folder of the test's; `state` is what it shall convert."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.source, self.target = self.folder / "in.pth", self.folder / "out.safetensors"

    def run_convert(self, *options, source=None):
        """Returns (exit status, stdout, stderr)."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = convert.main([str(source or self.source), str(self.target), *options])
            except SystemExit as stop:
                status = stop.code
        return status, out.getvalue(), err.getvalue()

    def convert(self, content, *options, **save_options):
        torch.save(content, self.source, **save_options)
        status, out, err = self.run_convert(*options)
        self.assertEqual((status, err), (0, ""))
        return out

    def refuse(self, expected, *options, status=3, source=None):
        """The converter must end with a sentence and leave nothing behind."""
        got, _, err = self.run_convert(*options, source=source)
        self.assertEqual(got, status, err)
        self.assertIn(expected, err)
        self.assertNotIn("Traceback", err)
        self.assertFalse(self.target.exists())
        return err

    def refuse_state(self, expected, **changes):
        """Changes: name with dots as __ -> tensor, or None to drop it."""
        state = dict(self.state)
        for name, tensor in changes.items():
            state.pop(name.replace("__", "."), None)
            if tensor is not None:
                state[name.replace("__", ".")] = tensor
        torch.save(state, self.source)
        self.refuse(expected)

    def assert_holds(self, state):
        """The target has exactly these tensors, bit by bit."""
        tensors, _ = load_safetensors(self.target)
        state = without_counters(state)
        self.assertEqual(set(tensors), set(state))
        for name, tensor in state.items():
            np.testing.assert_array_equal(tensors[name], tensor.float().numpy(), name)


class ConvertTest(ConvertCase):
    @classmethod
    def setUpClass(cls):
        cls.network = make_network()
        cls.state = cls.network.state_dict()

    def test_plain_state_dict(self):
        out = self.convert(self.state)
        self.assert_holds(self.state)
        self.assertIn("resnet-multi, 4 input channels, stem 64 wide, blocks 1,1,1,0; fusion own_init 8 wide", out)
        parameters = sum(p.numel() for p in self.network.parameters())
        self.assertIn(f"{parameters:,} parameters", out)

    def test_metadata(self):
        self.convert(self.state, "--note", "hello")
        _, metadata = load_safetensors(self.target)
        self.assertEqual(metadata["mfs.format"], "1")
        network = {**CONFIG, "se_reduction": 4}
        self.assertEqual(json.loads(metadata["mfs.network"]), network)
        self.assertEqual(json.loads(metadata["mfs.preprocess"]), convert.DEFAULT_PREPROCESS)
        source = json.loads(metadata["mfs.source"])
        self.assertEqual(source["sha256"], convert.sha256_of(self.source))
        self.assertEqual((source["note"], source["file"]), ("hello", "in.pth"))

    def test_layout_of_the_file(self):
        self.convert(self.state)
        content = self.target.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        self.assertEqual(length % 8, 0)
        self.assertTrue(content[8:9] == b"{" and content[8 : 8 + length].rstrip(b" ").endswith(b"}"))
        self.assertEqual(sorted(os.listdir(self.folder)), ["in.pth", "out.safetensors"])

    def test_wrappers(self):
        for wrap in (
            lambda s: {"state_dict": s, "epoch": 3, "best": np.float64(0.5), "args": argparse.Namespace(lr=0.1)},
            lambda s: {"model": s, "optimizer": {"state": {0: {"step": torch.tensor(1)}}, "param_groups": [{"lr": 0.1}]}},
            lambda s: {"model_state_dict": s},
            lambda s: {"net": {"state_dict": s}},
            lambda s: {"network": OrderedDict(s)},
            lambda s: {"ema": s},
            lambda s: {"state_dict": {f"module.{name}": tensor for name, tensor in s.items()}},
            lambda s: {"model": {f"module.net.{name}": tensor for name, tensor in s.items()}},
            lambda s: {name: torch.nn.Parameter(t) if t.is_floating_point() else t for name, t in s.items()},
        ):
            self.convert(wrap(self.state))
            self.assert_holds(self.state)

    def test_key_chooses(self):
        averaged = {name: tensor * 2 for name, tensor in self.state.items()}
        content = {"model": self.state, "extra": {"average": averaged}}
        self.convert(content)
        self.assert_holds(self.state)
        self.convert(content, "--key", "extra.average")
        self.assert_holds(averaged)
        self.target.unlink()
        self.refuse("it has nothing under the key 'extra.median'", "--key", "extra.median")

    def test_formats_of_pytorch(self):
        for zipped in (True, False):
            for protocol in (2, 3, 4):
                self.convert(self.state, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
                self.assert_holds(self.state)

    def test_dtypes_and_strides(self):
        for dtype in (torch.float16, torch.bfloat16, torch.float64):
            state = {name: t.to(dtype) if t.is_floating_point() else t for name, t in self.state.items()}
            self.convert(state)
            self.assert_holds(state)
        strided = {name: t.to(memory_format=torch.channels_last) if t.ndim == 4 else t for name, t in self.state.items()}
        strided["bn1.weight"] = torch.arange(128.0)[::2]
        strided["bn1.bias"] = torch.arange(128.0)[64:]
        for zipped in (True, False):
            self.convert(strided, _use_new_zipfile_serialization=zipped)
            self.assert_holds(strided)

    def test_variants(self):
        none = {"guidance": {"kind": "none"}}
        for widths, config, preprocess in (
            ({}, {"fusion": "layer1"}, {}),
            ({"fusion": 256}, {"fusion": "layer1", "se_reduction": 16}, {}),
            ({"se_bias": False}, {}, {}),
            ({}, {"blocks": [1, 2, 3, 1]}, {}),
            ({}, {"variant": "resnet-early", "fusion": "none", "se_reduction": 16}, {}),
            ({}, {"variant": "resnet-baseline", "fusion": "none", "se_reduction": 16, "blocks": [2, 1, 1, 0]}, none),
        ):
            with self.subTest(config=config):
                network = make_network(widths, **config)
                self.convert(network.state_dict())
                loaded, meta = network_from_safetensors(self.target)
                self.assertEqual(meta["network"], {**CONFIG, **config})
                self.assertEqual(meta["preprocess"], {**convert.DEFAULT_PREPROCESS, **preprocess})
                x = torch.randn(1, network.in_channels, 64, 64)
                with torch.no_grad():
                    torch.testing.assert_close(loaded(x), network(x), rtol=0, atol=0)

    def test_se_weights_as_convolutions(self):
        state = {n: t[:, :, None, None] if ".se.fc" in n and t.ndim == 2 else t for n, t in self.state.items()}
        self.convert(state)
        self.assert_holds(state)

    def test_options(self):
        preprocess = {"size": [64, 128], "guidance": {"kind": "disk", "radius": 5}}
        self.convert(
            self.state, "--stride-in", "conv2", "--stem-pool", "3x3ceil", "--upsample", "probability", "--align-corners",
            "false", "--bins", "1,2,4,8", "--preprocess", json.dumps(preprocess),
        )  # fmt: skip
        _, metadata = load_safetensors(self.target)
        expected = {"stride_in": "conv2", "stem_pool": "3x3ceil", "upsample": "probability", "align_corners": False}
        self.assertEqual(json.loads(metadata["mfs.network"]), {**CONFIG, **expected, "psp_bins": [1, 2, 4, 8]})
        self.assertEqual(json.loads(metadata["mfs.preprocess"]), {**convert.DEFAULT_PREPROCESS, **preprocess})
        (self.folder / "p.json").write_text(json.dumps(preprocess))
        self.convert(self.state, "--preprocess", f"@{self.folder / 'p.json'}")
        self.assertEqual(json.loads(load_safetensors(self.target)[1]["mfs.preprocess"])["size"], [64, 128])

    def test_usage_errors(self):
        torch.save(self.state, self.source)
        guidance = '{"guidance":%s}'
        for options, expected in (
            (["--dtype", "f8"], "invalid choice"),
            (["--bins", "1,2,3"], "4 PSP stages, but 3 bins"),
            (["--bins", "1,2,3,x"], "invalid parse_bins value"),
            (["--bins", "1,2,3,65"], "invalid parse_bins value"),
            (["--preprocess", "{"], "--preprocess: "),
            (["--preprocess", "[]"], "not a JSON object"),
            (["--preprocess", "@/nowhere/p.json"], "--preprocess: "),
            (["--preprocess", '{"crop":1}'], "unknown field crop"),
            (["--preprocess", '{"size":[512,500]}'], "multiples of 8"),
            (["--preprocess", '{"mean":[0,0]}'], "mean must be three numbers"),
            (["--preprocess", '{"std":[0,1,1]}'], "std must be three positive numbers"),
            (["--preprocess", '{"std":[1e-50,1,1]}'], "std must be three positive numbers"),
            (["--preprocess", guidance % '{"kind":"none"}'], "guidance none does not go with resnet-multi"),
            (["--preprocess", guidance % '{"kind":"cross"}'], "guidance.kind is not one of"),
            (["--preprocess", guidance % '{"kind":"disk","sigma":1}'], "unknown field guidance.sigma"),
            (["--preprocess", guidance % '{"kind":"disk"}'], "guidance.radius"),
            (["--preprocess", guidance % '{"kind":"disk","radius":-1}'], "guidance.radius"),
        ):
            with self.subTest(options=options):
                self.refuse(expected, *options, status=2)
        self.target = self.folder / "out.pth"
        self.refuse("OUT must end in .safetensors", status=2)

    def test_result_that_cannot_be_written(self):
        torch.save(self.state, self.source)
        self.target = self.folder / "no-such-folder" / "out.safetensors"
        self.refuse("cannot be written: No such file or directory", status=1)

    def test_wrong_tensors(self):
        nan, negative = torch.zeros(64), torch.ones(64)
        nan[3], negative[5] = float("nan"), -1e-3
        self.refuse_state("tensor bn1.bias of resnet-multi is missing", bn1__bias=None)
        self.refuse_state("tensor conv1.weight is missing", conv1__weight=None)
        self.refuse_state("tensor layer5.final.bias of resnet-multi is missing", layer5__final__bias=None)
        self.refuse_state("tensor aux.weight is not part of resnet-multi", aux__weight=torch.zeros(3))
        self.refuse_state("tensor bn1.bias has the shape [63], resnet-multi needs [64]", bn1__bias=torch.zeros(63))
        flat = torch.zeros(64, 256)
        self.refuse_state("tensor conv1.weight has the shape [64, 256], expected 4 dimensions", conv1__weight=flat)
        self.refuse_state("conv1 has 5 input channels", conv1__weight=torch.zeros(64, 5, 7, 7))
        self.refuse_state("conv1 has 3 input channels with a fusion branch", conv1__weight=torch.zeros(64, 3, 7, 7))
        self.refuse_state("layer2.1 is missing, though there is a layer2.2", layer2__2__conv1__weight=torch.zeros(1))
        self.refuse_state("tensor bn1.bias holds a NaN or an infinity", bn1__bias=nan)
        self.refuse_state("tensor bn1.running_var holds a negative variance", bn1__running_var=negative)
        self.refuse_state("tensor fusion.1.se.fc1.bias of resnet-multi is missing", fusion__1__se__fc1__bias=None)
        self.refuse_state("'bn1.bias' is not a tensor", bn1__bias=7)
        # A VGG network, but for everything else that it should have.
        self.refuse_state("tensor features.2.weight is missing", features__0__weight=torch.zeros(64, 3, 3, 3))

    def test_names_outside_the_prefix(self):
        state = {f"module.{name}": tensor for name, tensor in self.state.items()}
        torch.save({**state, "aux": torch.zeros(1)}, self.source)
        self.refuse("tensor 'aux' is not part of the network (whose names begin with 'module.')")
        torch.save({**state, 7: torch.zeros(1)}, self.source)
        self.refuse("tensor '7' is not part of the network")

    def test_contents_without_tensors(self):
        for content in ({}, [], 7, None, {"epoch": 3}, {"state_dict": {"a": {"b": 1}}}):
            torch.save(content, self.source)
            self.refuse("it has no state_dict")

    def test_malicious_pickles(self):
        marker = self.folder / "marker"
        for zipped in (True, False):
            for content in (Marker(marker), {"state_dict": {**self.state, "bn1.bias": Marker(marker)}}):
                torch.save(content, self.source, _use_new_zipfile_serialization=zipped)
                self.refuse("mkdir', which no state_dict needs and which is not loaded for safety")
                self.assertFalse(marker.exists())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.save(self.network, self.source)
        self.refuse("it names 'network.Network', which no state_dict needs")

    def test_hostile_opcodes(self):
        deep_key = b"\x80\x02}" + b")" + b"\x85" * 300_000 + b"K\x01s."
        hostile = {
            "eval": b"cbuiltins\neval\n(S'1'\ntR.",
            "getattr": b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.",
            "dotted": b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.",
            "deep key": deep_key,
            "huge memo": b"\x80\x02]r\xff\xff\xff\x7f.",
            "huge array": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
            "huge string": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b".",
            "extension": b"\x80\x02\x82\x01.",
            "deep list": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
            "control characters": b"c\x1b[2Jos\nsystem\n.",
            "storage that is none": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x00K\x00)))tR.",
            "no stop": b"\x80\x02]",
            "empty": b"",
        }
        for name, content in hostile.items():
            with self.subTest(name):
                self.source.write_bytes(content)
                self.assertNotIn("\x1b", self.refuse(f"{self.source}: "))
                with zipfile.ZipFile(self.source, "w") as archive:
                    archive.writestr("archive/data.pkl", content)
                self.refuse(f"{self.source}: ")

    def test_hostile_tensors(self):
        class StorageStandIn:
            pass

        class Described:
            def __init__(self, *description):
                self.description = description

            def __reduce__(self):
                return (torch._utils._rebuild_tensor_v2, (StorageStandIn(), *self.description, False, OrderedDict()))

        def array(*description, kind=torch.FloatStorage, count=6, stored=24, compression=zipfile.ZIP_STORED):
            class Pickler(pickle.Pickler):
                def persistent_id(self, value):
                    return ("storage", kind, "0", "cpu", count) if isinstance(value, StorageStandIn) else None

            content = io.BytesIO()
            Pickler(content, 2).dump(Described(*description))
            with zipfile.ZipFile(self.source, "w", compression) as archive:
                archive.writestr("x/data.pkl", content.getvalue())
                archive.writestr("x/data/0", bytes(stored))
            return load_checkpoint(self.source).array()

        self.assertEqual(array(0, (2, 3), (3, 1)).shape, (2, 3))
        self.assertEqual(array(5, (), ()).shape, ())
        for arguments, keywords, expected in (
            ((1, (2, 3), (3, 1)), {}, "reaches beyond its data"),
            ((0, (2, 3), (4, 1)), {}, "reaches beyond its data"),
            ((6, (), ()), {}, "reaches beyond its data"),
            ((0, (1 << 40, 1 << 40), (0, 0)), {}, "more elements than its data"),
            ((0, (2, -3), (3, 1)), {}, "contradict"),
            ((0, (2, 3), (-3, 1)), {}, "contradict"),
            ((-1, (2, 3), (3, 1)), {}, "contradict"),
            ((0, (2, 3), (1,)), {}, "contradict"),
            ((0, (2.0, 3), (3, 1)), {}, "contradict"),
            ((0, (1,) * 9, (1,) * 9), {}, "too many dimensions"),
            ((0, 6, (1,)), {}, "no data"),
            ((0, (2, 3), (3, 1)), {"count": 7}, "does not have the size"),
            ((0, (2, 3), (3, 1)), {"stored": 23}, "does not have the size"),
            ((0, (2, 3), (3, 1)), {"kind": torch.DoubleStorage}, "does not have the size"),
            ((0, (2, 3), (3, 1)), {"count": -6}, "malformed"),
            ((0, (2, 3), (3, 1)), {"count": "6"}, "malformed"),
            ((0, (2, 3), (3, 1)), {"kind": OrderedDict}, "something else than a block"),
            ((0, (2, 3), (3, 1)), {"compression": zipfile.ZIP_DEFLATED}, "compressed"),
        ):
            with self.subTest(arguments=arguments, keywords=keywords), self.assertRaisesRegex(CheckpointError, expected):
                array(*arguments, **keywords)
        self.refuse_state("tensor bn1.bias: it has more elements than its data", bn1__bias=torch.zeros(1).expand(64))

    def test_damaged_files(self):
        for zipped in (True, False):
            torch.save(self.state, self.source, _use_new_zipfile_serialization=zipped)
            good = self.source.read_bytes()
            for size in (0, 1, 2, 10, 100, 1000, 20_000, len(good) // 2, len(good) - 1):
                with self.subTest(zipped=zipped, size=size):
                    self.source.write_bytes(good[:size])
                    self.refuse(f"{self.source}: ")
        torch.save(self.state, self.source)
        flipped = bytearray(self.source.read_bytes())
        flipped[len(flipped) // 2] ^= 1
        self.source.write_bytes(flipped)
        self.refuse("is missing or damaged")
        self.source.write_bytes(b"not a checkpoint at all\n")
        self.refuse("no PyTorch checkpoint")
        with zipfile.ZipFile(self.source, "w") as archive:
            archive.writestr("readme.txt", "hello")
        self.refuse("it is a zip file, but not of a PyTorch checkpoint")
        self.refuse("cannot be read: No such file or directory", source=self.folder / "missing.pth")
        self.refuse("cannot be read: Is a directory", source=self.folder)

    def test_reencoding(self):
        self.convert(self.state, "--stem-pool", "2x2", "--preprocess", '{"size":[128,64]}')
        original, metadata = load_safetensors(self.target)
        self.source = self.folder / "f32.safetensors"
        self.target.rename(self.source)
        for dtype, tolerance in (("f32", 0), ("f16", 2**-11), ("bf16", 2**-8), ("i8", None)):
            with self.subTest(dtype):
                status, _, err = self.run_convert("--dtype", dtype)
                self.assertEqual((status, err), (0, ""))
                tensors, again = load_safetensors(self.target)
                self.assertEqual(set(tensors), set(original))
                for key in ("mfs.network", "mfs.preprocess"):
                    self.assertEqual(json.loads(again[key]), json.loads(metadata[key]))
                self.assertEqual(json.loads(again["mfs.source"])["source"], json.loads(metadata["mfs.source"]))
                raw, _ = load_safetensors_raw(self.target)
                for name, values in original.items():
                    self.assertEqual(raw[name][0], dtype.upper() if values.ndim > 1 else "F32")
                    if values.ndim == 1:
                        bound = 0
                    elif dtype == "i8":
                        peaks = np.abs(values).reshape(len(values), -1).max(axis=1)
                        bound = (peaks * (1 / 254 + 1e-6)).reshape((-1,) + (1,) * (values.ndim - 1))
                    else:
                        bound = np.abs(values) * tolerance + (2**-25 if dtype == "f16" else 0)
                    self.assertTrue((np.abs(tensors[name] - values) <= bound).all(), name)
        load_tensors(make_network(stem_pool="2x2"), {n: torch.from_numpy(t) for n, t in tensors.items()})

    def test_values_too_large_for_f16(self):
        state = dict(self.state)
        state["layer5.final.weight"] = torch.full_like(state["layer5.final.weight"], 1e5)
        self.convert(state, "--dtype", "bf16")
        self.target.unlink()
        self.refuse("tensor layer5.final.weight holds values too large for f16", "--dtype", "f16")

    def test_bad_weights_files(self):
        tensors = {name: tensor.numpy() for name, tensor in without_counters(self.state).items()}
        self.source = self.folder / "in.safetensors"
        save_safetensors(self.source, tensors, {})
        self.assertEqual(self.run_convert()[0], 0)  # a bare state_dict in another container
        self.target.unlink()
        for metadata, expected, status in (
            ({"mfs.network": "["}, "mfs.network is not a JSON object", 3),
            ({"mfs.preprocess": "7"}, "mfs.preprocess is not a JSON object", 3),
            ({"mfs.network": '{"stem_pool":"4x4"}'}, "stem_pool is '4x4', not one of 3x3, 3x3ceil, 2x2", 2),
            ({"mfs.network": '{"psp_bins":[1,2,3,"6"]}'}, "the PSP bins are not", 2),
        ):
            save_safetensors(self.source, tensors, metadata)
            self.refuse(expected, status=status)
        save_safetensors(self.source, tensors, {})
        good = self.source.read_bytes()
        for content in (b"", good[:7], good[:100], good[:-1], struct.pack("<Q", 200_000) + b"[" * 200_000):
            self.source.write_bytes(content)
            err = self.refuse(f"{self.source}: ")
            self.assertEqual(err.count(str(self.source)), 1)
        self.source.write_bytes(good)
        self.refuse("--key is for PyTorch checkpoints", "--key", "model", status=2)

    def test_the_input_is_never_overwritten(self):
        self.source = self.target
        save_safetensors(self.source, {"a": np.zeros(1, np.float32)}, {})
        before = self.source.read_bytes()
        self.assertEqual(self.run_convert()[0], 2)
        self.assertEqual(self.source.read_bytes(), before)


FC_WEIGHTS = ("classifier.0.weight", "classifier.3.weight")
VGG_WIDTHS = VggWidths((4, 5, 6, 7, 8), (9, 10))


class ConvertVggTest(ConvertCase):
    @classmethod
    def setUpClass(cls):
        torch.manual_seed(1)
        cls.network = Vgg({"variant": "vgg-early"}, VGG_WIDTHS).eval()
        cls.state = cls.network.state_dict()

    def test_both_variants(self):
        for variant, preprocess in (("vgg-early", {}), ("vgg-baseline", {"guidance": {"kind": "none"}})):
            with self.subTest(variant):
                network = Vgg({"variant": variant}, VGG_WIDTHS).eval()
                out = self.convert(network.state_dict(), "--upsample", "probability")
                self.assertIn(f"{variant}, {network.in_channels} input channels, stages 4,5,6,7,8 wide, fc 9, 10", out)
                self.assertIn(f"{sum(p.numel() for p in network.parameters()):,} parameters", out)
                loaded, meta = network_from_safetensors(self.target)
                self.assertEqual(meta["network"], {"variant": variant, "align_corners": True, "upsample": "probability"})
                self.assertEqual(meta["preprocess"], {**convert.DEFAULT_PREPROCESS, **preprocess})
                x = torch.randn(1, network.in_channels, 64, 64)
                with torch.no_grad():
                    torch.testing.assert_close(loaded(x), network(x), rtol=0, atol=0)

    def test_linear_layers_of_torchvision(self):
        """Its classifier flattens a 7x7 map, channel by channel: the numbers of a 7x7 conv in their order."""
        state = {f"module.{name}": tensor.flatten(1) if name in FC_WEIGHTS else tensor for name, tensor in self.state.items()}
        self.assertEqual(state["module.classifier.0.weight"].shape, (9, 8 * 49))
        self.convert(state)
        self.assert_holds(self.state)
        x = torch.randn(1, 8, 7, 7)
        with torch.no_grad():
            flat = torch.nn.functional.linear(x.flatten(1), state["module.classifier.0.weight"])
            window = torch.nn.functional.conv2d(x, torch.from_numpy(load_safetensors(self.target)[0]["classifier.0.weight"]))
        torch.testing.assert_close(window.flatten(1), flat)

    def test_reencoding(self):
        self.convert(self.state, "--align-corners", "false")
        self.source = self.folder / "f32.safetensors"
        self.target.rename(self.source)
        self.assertEqual(self.run_convert("--dtype", "i8")[0], 0)
        metadata = load_safetensors(self.target)[1]
        self.assertEqual(json.loads(metadata["mfs.network"]), {"variant": "vgg-early", "align_corners": False, "upsample": "logit"})

    def test_wrong_tensors(self):
        self.refuse_state("tensor features.17.bias of vgg-early is missing", features__17__bias=None)
        self.refuse_state("tensor features.17.weight is missing", features__17__weight=None)
        self.refuse_state("tensor score_fr.weight of vgg-early is missing", score_fr__weight=None)
        self.refuse_state("tensor upscore_pool4.weight of vgg-early is missing", upscore_pool4__weight=None)
        # torchvision's own last layer, batch norm of its VGG-16-BN, biases of the upscoring.
        self.refuse_state("tensor classifier.6.weight is not part of vgg-early", classifier__6__weight=torch.zeros(1000, 10))
        self.refuse_state("tensor features.1.weight is not part of vgg-early", features__1__weight=torch.zeros(4))
        self.refuse_state("tensor upscore2.bias is not part of vgg-early", upscore2__bias=torch.zeros(1))
        for name, shape, needed in (
            ("features.7.weight", (5, 4, 3, 3), [5, 5, 3, 3]),
            ("score_pool4.weight", (2, 7, 1, 1), [1, 7, 1, 1]),
            ("score_pool3.weight", (1, 7, 1, 1), [1, 6, 1, 1]),
            ("upscore2.weight", (1, 1, 2, 2), [1, 1, 4, 4]),
            ("classifier.0.weight", (9, 8 * 49 + 1), [9, 8, 7, 7]),
            ("classifier.0.weight", (9, 8, 1, 1), [9, 8, 7, 7]),
            ("classifier.3.bias", (11,), [10]),
        ):
            with self.subTest(name, shape=shape):
                expected = f"tensor {name} has the shape {list(shape)}, vgg-early needs {needed}"
                self.refuse_state(expected, **{name.replace(".", "__"): torch.zeros(shape)})
        self.refuse_state("features.0 has 5 input channels", features__0__weight=torch.zeros(4, 5, 3, 3))
        self.refuse_state("tensor features.0.weight has the shape [4], expected 4", features__0__weight=torch.zeros(4))

    def test_options_that_mean_nothing(self):
        torch.save(self.state, self.source)
        for options, expected in (
            (["--stride-in", "conv1"], "stride_in means nothing for vgg-early"),
            (["--bins", "1,2"], "psp_bins means nothing for vgg-early"),
            (["--preprocess", '{"size":[512,264]}'], "multiples of 32 from 64"),
            (["--preprocess", '{"guidance":{"kind":"none"}}'], "guidance none does not go with vgg-early"),
        ):
            with self.subTest(options=options):
                self.refuse(expected, *options, status=2)


if __name__ == "__main__":
    unittest.main()
