#!/usr/bin/env python3
"""Training from the outside and its parts: killed and resumed, the losses, the paper's phases, the exported file in the engine.

    training_test.py path/to/mfs_infer [TEST...]

Exit status 77 without PyTorch: skipped.
"""

import argparse
import io
import json
import math
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

try:
    import numpy as np
    import torch
    from PIL import Image, features
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("tests/reference", "weights", "weights/training")]

from average import average  # noqa: E402
from device_scenes import DeviceBatches  # noqa: E402
from make_checkpoint import make_network, save  # noqa: E402
from network import Widths, network_from_safetensors  # noqa: E402
from pieces import cut, join  # noqa: E402
from predict import predict  # noqa: E402
from safetensors_file import load_safetensors, save_safetensors  # noqa: E402
from scenes import Batches, Photos, make_scene  # noqa: E402
from split_network import SplitNetwork  # noqa: E402
from train import loss_of, rate_factor  # noqa: E402

INFER = ""
SIZE = 64
STEPS = 8
CONFIG = {
    "network": {
        "variant": "resnet-multi", "blocks": [1, 1, 1, 0], "stride_in": "conv1", "stem_pool": "3x3", "fusion": "own_init",
        "se_reduction": 16, "psp_bins": [1, 2], "align_corners": True, "upsample": "logit",
    },
    "preprocess": {
        "size": [SIZE, SIZE], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
        "guidance": {"kind": "gaussian", "sigma": 10, "scale": 1},
    },
    "widths": {"fusion": 8, "stage": 8, "head": 16},
}  # fmt: skip
ALL_PARTS = ("conv1", "bn1", "layer1", "layer2", "layer3", "init", "fusion", "layer5")


def write_shard(path, pairs=6):
    """Rectangles of one colour on noise, two objects a photo."""
    random = np.random.default_rng(1)

    def add(tar, name, array, kind):
        content = io.BytesIO()
        Image.fromarray(array).save(content, kind)
        member = tarfile.TarInfo(name)
        member.size = content.tell()
        content.seek(0)
        tar.addfile(member, content)

    with tarfile.open(path, "w") as tar:
        for i in range(pairs):
            image = random.integers(0, 256, (60, 80, 3), np.uint8)
            labels = np.zeros((60, 80), np.uint8)
            for label, left in ((1, 5), (2, 45)):
                rows, columns = slice(int(random.integers(5, 20)), 50), slice(left, left + 25)
                labels[rows, columns] = label
                image[rows, columns] = random.integers(0, 256, 3)
            add(tar, f"photo{i}.webp", image, "WEBP")
            add(tar, f"photo{i}.png", labels, "PNG")


def network_of_seed(seed):
    return make_network(CONFIG["network"], Widths(**CONFIG["widths"]), seed)


class TrainingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        (cls.folder / "data").mkdir()
        write_shard(cls.folder / "data" / "shard.tar")
        (cls.folder / "config.json").write_text(json.dumps(CONFIG))
        save(cls.folder / "start.safetensors", network_of_seed(1), CONFIG["preprocess"])

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def command(self, out, *more):
        program = [sys.executable, ROOT / "weights/training/train.py", "--config", "config.json", "--data", "data"]
        program += ["--init", "start.safetensors", "--out", out, "--steps", STEPS, "--threads", 1, "--no-amp", "--log-every", 1]
        return [str(part) for part in [*program, *more]]

    def train(self, out, *more):
        done = subprocess.run(self.command(out, *more), cwd=self.folder, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def killed_after(self, line, out, *more):
        """Starts a run and kills it as soon as it has printed `line`."""
        with subprocess.Popen(self.command(out, *more), cwd=self.folder, stdout=subprocess.PIPE, text=True) as process:
            for text in process.stdout:
                if text.startswith(line):
                    process.kill()
                    return
        self.fail(f"the run ended before it printed {line}")

    def test_a_killed_run_goes_on_bit_for_bit(self):
        options = ["--batch", 2, "--size", 64, 72, "--save-every", 3, "--ema", 0.9]
        self.train("whole", *options)
        self.killed_after("step 5 ", "parts", *options)
        self.assertTrue((self.folder / "parts/last.pt").exists())
        self.assertIn("resumed after step 3", self.train("parts", *options))
        whole, parts = (torch.load(self.folder / out / "last.pt") for out in ("whole", "parts"))
        self.assertEqual(whole["step"], STEPS)
        for name, value in whole["network"].items():
            self.assertTrue(torch.equal(value, parts["network"][name]), name)
        whole, parts = ((self.folder / out / "ema.safetensors").read_bytes() for out in ("whole", "parts"))
        self.assertEqual(whole, parts)

        # The exported file in the engine, and its card.
        image = np.random.default_rng(2).integers(0, 256, (50, 70, 3), np.uint8)
        Image.fromarray(image).save(self.folder / "photo.png")
        command = [INFER, "photo.png", "--click", "30,20", "--weights", "whole/ema.safetensors", "--precision", "f32"]
        command += ["--device", "cpu", "-q", "-o", "mask.png", "--prob", "prob.npy", "--overwrite"]
        network, meta = network_from_safetensors(self.folder / "whole/ema.safetensors")
        plain = predict(network, image, [(30, 20)], meta)
        threshold = round(float(np.quantile(plain, 0.99)), 3)  # few pixels are above: the second look is at a part
        closer = predict(network, image, [(30, 20)], meta, zoom_in=True, threshold=threshold)
        self.assertGreater(np.abs(closer - plain).max(), 0.01)
        finer = predict(network, image, [(30, 20)], meta, zoom_in=True, refine=True, threshold=threshold)
        twice = ["--zoom-in", "--threshold", threshold]
        for options, expected in (([], plain), (twice, closer), ([*twice, "--refine"], finer)):
            subprocess.run([*command, *map(str, options)], cwd=self.folder, check=True, timeout=60)
            self.assertLessEqual(np.abs(np.load(self.folder / "prob.npy").reshape(expected.shape) - expected).max(), 1e-4)
        card = (self.folder / "whole/ema.md").read_text()
        for words in ("6 photos of data", f"{STEPS} of {STEPS} steps", "start.safetensors", "| seed | 1 |"):
            self.assertIn(words, card)

    def test_scenes_of_the_device_and_less_time(self):
        """Resumed bit for bit, too; with a limit of time the schedule ends early, and what was trained is there."""
        options = ["--batch", 2, "--size", 64, "--save-every", 3, "--compose-on-device", "--keep-statistics"]
        self.train("device", *options)
        self.killed_after("step 5 ", "device_parts", *options)
        self.assertIn("resumed after step", self.train("device_parts", *options))
        whole, parts = ((self.folder / out / "ema.safetensors").read_bytes() for out in ("device", "device_parts"))
        self.assertEqual(whole, parts)
        self.train("short", *options, "--minutes", 1e-4)
        self.assertIn(f"1 of {STEPS} steps, 0.0001 minutes", (self.folder / "short/ema.md").read_text())
        again = subprocess.run(self.command("short", *options, "--minutes", 1), cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(again.returncode, 1)
        self.assertIn("short has a run already", again.stderr)

    def test_the_rate_falls_with_the_steps_or_with_the_clock(self):
        args = argparse.Namespace(recipe="mfs", steps=1000, minutes=None)
        self.assertAlmostEqual(rate_factor(49, args, 0), 0.5)
        self.assertAlmostEqual(rate_factor(550, args, 1e9), 0.01 + 0.99 / 2)
        args.minutes = 2
        rates = [rate_factor(step, args, step * 0.5) for step in range(241)]
        self.assertEqual(sorted(rates[99:], reverse=True), rates[99:])
        self.assertLess(rates[10], 0.2)
        self.assertAlmostEqual(rates[240], 0.01)

    def test_the_papers_phases(self):
        """Skeleton: all but the fusion branch; late: fusion branch and head; jointly: everything. Rate 1e-8 on the sum."""
        changed = {"skeleton": {"conv1", "layer1", "layer3", "layer5"}, "late": {"init", "fusion", "layer5"}}
        changed["joint"] = changed["skeleton"] | changed["late"]
        start = network_of_seed(1).state_dict()
        for phase, parts in changed.items():
            with self.subTest(phase):
                self.train(phase, "--recipe", "paper", "--phase", phase, "--steps", 1)
                trained = torch.load(self.folder / phase / "last.pt")["network"]
                weights = [n for n in start if n.endswith("conv1.weight") or n.endswith("0.weight") and start[n].ndim == 4]
                moved = {name.split(".")[0] for name in weights if not torch.equal(start[name], trained[name])}
                self.assertEqual(moved & changed["joint"], parts)
                rate = f"{1e-8 * 5 * SIZE**2:.3g}"
                self.assertIn(f"batch 5, rates {rate} and {rate}", (self.folder / phase / "ema.md").read_text())

    def test_class_balanced_loss(self):
        random = np.random.default_rng(3)
        target = np.zeros((3, 1, 32, 32), np.float32)
        for n, (height, width) in enumerate(((8, 8), (32, 32), (4, 20))):
            target[n, 0, :height, :width] = 1
        logit = random.normal(size=(3, 1, 4, 4)).astype(np.float32)
        side = [(16, 16)] * 2
        z, y = (
            torch.nn.functional.interpolate(torch.from_numpy(v), s, mode="bilinear", align_corners=False).double().numpy()
            for v, s in zip((logit, target), side)
        )
        total = y.size
        weight = [total / (2 * (total - y.sum())), total / (2 * y.sum())]  # w_y = N / (2 N_y), over the mini-batch
        expected = np.mean(weight[1] * y * np.log1p(np.exp(-z)) + weight[0] * (1 - y) * np.log1p(np.exp(z)))
        found = loss_of(torch.from_numpy(logit), torch.from_numpy(target) > 0, "paper", False).item()
        self.assertAlmostEqual(found, expected, delta=1e-6 * expected)
        self.assertAlmostEqual(loss_of(torch.zeros(3, 1, 4, 4), torch.from_numpy(target), "paper", False).item(), math.log(2), 6)

    def test_merged_batch_norm_changes_nothing(self):
        network = network_of_seed(4)
        x = torch.randn(2, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(5))
        expected = network(x)
        for freeze in ("none", "layer2.0", "backbone"):
            split = SplitNetwork(network, freeze, torch.float32, ALL_PARTS)
            found = split(split.frozen_features(x), x)
            self.assertLess((found - expected).abs().max().item(), 1e-4 * expected.abs().max().item(), freeze)
            # Merged layers train the network's own parameters.
            found.mean().backward()
            for name in ("fusion.0.conv1.weight", "fusion.0.bn1.weight", "layer5.bottleneck.1.bias"):
                self.assertGreater(network.get_parameter(name).grad.abs().max().item(), 0, name)

    def test_pieces_join_to_the_same_file(self):
        start, joined, limit = self.folder / "start.safetensors", self.folder / "joined.safetensors", 3_000_000
        count = cut(start, self.folder / "pieces", "f32", limit)
        self.assertGreater(count, 2)
        self.assertTrue(all(path.stat().st_size <= limit + 2000 for path in (self.folder / "pieces").iterdir()))
        self.assertEqual(join(self.folder / "pieces", joined), count)
        self.assertEqual(joined.read_bytes(), start.read_bytes())
        (self.folder / "pieces" / f"piece{count - 1}.safetensors").unlink()
        with self.assertRaises(ValueError):
            join(self.folder / "pieces", joined)

    def test_the_average_is_of_every_number(self):
        start, other, mean = (self.folder / f"{name}.safetensors" for name in ("start", "other", "mean"))
        tensors, metadata = load_safetensors(start)
        save_safetensors(other, {name: (3 * t).astype(np.float32) for name, t in tensors.items()}, metadata)
        average([start, other], mean)
        averaged, _ = load_safetensors(mean)
        self.assertEqual(averaged.keys(), tensors.keys())
        for name, t in tensors.items():
            np.testing.assert_allclose(averaged[name], 2 * t, rtol=2**-10, atol=2**-24, err_msg=name)
        save_safetensors(other, tensors, dict(metadata, **{"mfs.preprocess": "{}"}))
        with self.assertRaises(ValueError):
            average([start, other], mean)

    def test_scenes_are_functions_of_seed_and_number(self):
        photos = Photos([self.folder / "data"])
        for number in range(12):
            first, second = (make_scene(photos, 7, number, 64, 1.0) for _ in range(2))
            self.assertTrue(np.array_equal(first.image, second.image) and np.array_equal(first.labels, second.labels))
            self.assertEqual((first.image.shape, first.labels.shape), ((64, 64, 3), (64, 64)))
            self.assertGreater(first.labels.max(), 0)
        batches = Batches(photos, 7, 2, [64, 72], 0, 0.5, lambda taps, size: np.zeros((1, size, size), np.float32))
        sizes = {batches[step]["image"].shape for step in range(12)}
        self.assertEqual(sizes, {(2, 64, 64, 3), (2, 72, 72, 3)})

    def device_batches(self, photos, seed, sizes=(64,), share=1.0, batch=4):
        return DeviceBatches(photos, seed, batch, list(sizes), share, CONFIG["preprocess"], "cpu", side=96, processes=2)

    def test_scenes_of_the_device_are_functions_of_seed_and_step(self):
        photos = Photos([self.folder / "data"])
        first, second, other = (self.device_batches(photos, seed) for seed in (3, 3, 4))
        self.assertEqual((first.count, len(first.objects)), (6, 12))
        for step in (5, 2):
            x, target = first[step]
            self.assertEqual((x.shape, target.shape, target.dtype), ((4, 4, 64, 64), (4, 1, 64, 64), torch.bool))
            for a, b, c in zip((x, target), second[step], other[step]):
                self.assertTrue(torch.equal(a, b))
                self.assertFalse(torch.equal(a, c))
        both = self.device_batches(photos, 3, (64, 72))
        self.assertEqual({both[step][0].shape[-1] for step in range(12)}, {64, 72})
        numbers = torch.cat([first.photo_numbers(step) for step in range(3)])
        self.assertEqual([sorted(numbers[i : i + 6].tolist()) for i in (0, 6)], [list(range(6))] * 2)

    def test_scenes_of_the_device_have_image_target_and_tap_in_one_place(self):
        """Objects of the data have one colour on noise, so a target that lies elsewhere is not of one colour."""
        photos = Photos([self.folder / "data"])
        checked = 0
        for share in (0.0, 1.0):
            batches = self.device_batches(photos, 5, (96,), share, batch=8)
            for step in range(6):
                x, target = batches[step]
                # What is left of targets three pixels inside of their outlines.
                inside = 1 - torch.nn.functional.max_pool2d(1 - target.float(), 7, 1, 3)
                for n in range(8):
                    self.assertTrue(target[n].any())
                    self.assertEqual(x[n, 3:][target[n]].max().item(), 1.0)  # a tap lies on a pixel of the target
                    colours = x[n, :3][:, inside[n, 0] > 0]
                    if colours.shape[1] > 1:
                        self.assertLess(colours.std(dim=1).max().item(), 0.3)
                        checked += 1
        self.assertGreater(checked, 80)  # of 96

    def test_objects_that_fall_between_the_pixels(self):
        photos = Photos([self.folder / "data"])
        labels = np.zeros((96, 96), np.uint8)
        labels[50, 50] = 1
        photos.load_pair = lambda number: (np.zeros((96, 96, 3), np.uint8), labels)
        batches = self.device_batches(photos, 3, (16,), batch=16)
        for step in range(8):
            self.assertTrue(all(torch.isfinite(t).all() for t in batches[step]))

    def test_photos_that_cannot_be_decoded_are_reported(self):
        photos = Photos([self.folder / "data"])
        photos.pairs[1] = (b"no image", photos.pairs[1][1])
        with self.assertRaisesRegex(ValueError, "photo 1: cannot identify"):
            self.device_batches(photos, 3)
        photos.load_pair = lambda number: os._exit(1)
        with self.assertRaisesRegex(ValueError, "was killed"):
            self.device_batches(photos, 3)


if __name__ == "__main__":
    if not features.check("webp"):
        print("skipped: this Pillow cannot write WebP")
        sys.exit(77)
    INFER = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
