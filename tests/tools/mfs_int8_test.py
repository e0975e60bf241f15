#!/usr/bin/env python3
"""mfs_calibrate and --precision int8 from the outside, with the weights and photos of the demo.

    mfs_int8_test.py path/to/mfs_calibrate path/to/mfs_infer [TEST...]
"""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np
from PIL import Image

CALIBRATE, INFER = sys.argv[1:3]
SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
DEMO = os.path.join(SOURCE, "tools/demo")
WEIGHTS = os.path.join(SOURCE, "weights/mfs-small.safetensors")
NAMES = ("cat", "coffee", "rocket", "astronaut")
PHOTOS = [f"{DEMO}/{name}.jpg" for name in NAMES]
CLICKS = f"{DEMO}/clicks.json"


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)


def split(path):
    """(header, tensors' bytes)"""
    with open(path, "rb") as file:
        content = file.read()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8:8 + length]), content[8 + length:]


def write_header(path, header, data):
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


class Int8(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="mfs_int8_")
        cls.folder = cls.holder.name
        cls.calibrated = os.path.join(cls.folder, "calibrated.safetensors")
        cls.done = run(CALIBRATE, *PHOTOS, "--clicks", CLICKS, "--weights", WEIGHTS, "-o", cls.calibrated, "--threads", 2)

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def masks(self, weights, precision):
        out = os.path.join(self.folder, precision)
        done = run(INFER, *PHOTOS, "--clicks", CLICKS, "-o", out, "--weights", weights, "--device", "cpu", "--precision", precision,
                   "--overwrite", "--threads", 2)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [np.asarray(Image.open(os.path.join(out, f"{name}.mask.png"))) > 127 for name in NAMES]

    def refused(self, status, words, *command):
        done = run(*command)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(len([line for line in done.stderr.splitlines() if line.startswith("mfs_")]), 1, done.stderr)

    def test_the_copy_differs_in_its_calibration_only(self):
        self.assertEqual(self.done.returncode, 0, self.done.stderr)
        self.assertIn("calibrated on 4 photos", self.done.stderr)
        before, after = split(WEIGHTS), split(self.calibrated)
        self.assertEqual(before[1], after[1])
        calibration = json.loads(after[0]["__metadata__"].pop("mfs.calibration"))
        before[0]["__metadata__"].pop("mfs.calibration", None)
        self.assertEqual(before[0], after[0])
        self.assertEqual(calibration["photos"], 4)
        self.assertGreater(len(calibration["ranges"]), 30)

    def test_calibrating_again_gives_the_same_file(self):
        again = os.path.join(self.folder, "again.safetensors")
        # The calibration that is there does not count, nor does the order of the photos.
        done = run(CALIBRATE, *reversed(PHOTOS), "--clicks", CLICKS, "--weights", self.calibrated, "-o", again, "-q", "--threads", 2)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with open(self.calibrated, "rb") as a, open(again, "rb") as b:
            self.assertTrue(a.read() == b.read())

    def test_int8_masks_are_nearly_those_of_f32(self):
        for name, a, b in zip(NAMES, self.masks(self.calibrated, "f32"), self.masks(self.calibrated, "int8")):
            overlap = np.count_nonzero(a & b) / np.count_nonzero(a | b)
            print(f"{name}: IoU of int8 with f32 {overlap:.4f}")
            self.assertGreaterEqual(overlap, 0.95, name)  # measured: 0.98 and more

    def test_a_data_set_with_masks(self):
        data = os.path.join(self.folder, "data")
        for part in ("img", "gt"):
            os.makedirs(os.path.join(data, part), exist_ok=True)
        truth = np.zeros((60, 80), np.uint8)
        truth[10:40, 20:50] = 255
        for name in "ab":
            Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(f"{data}/img/{name}.png")
            Image.fromarray(truth).save(f"{data}/gt/{name}.png")
        out = os.path.join(self.folder, "data.safetensors")
        done = run(CALIBRATE, "--dataset", data, "--limit", 1, "--weights", WEIGHTS, "-o", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("calibrated on 1 photos", done.stderr)
        os.remove(f"{data}/gt/b.png")
        os.remove(out)
        self.refused(1, "b.png", CALIBRATE, "--dataset", data, "--weights", WEIGHTS, "-o", out)
        self.assertFalse(os.path.exists(out))

    def test_mistakes_are_sentences(self):
        out = os.path.join(self.folder, "no.safetensors")
        self.refused(2, "no photo", CALIBRATE, "-o", out)
        self.refused(2, "--output", CALIBRATE, *PHOTOS, "--clicks", CLICKS)
        self.refused(2, "no tap", CALIBRATE, *PHOTOS, "--weights", WEIGHTS, "-o", out)
        self.refused(1, "/nonexistent/cat.jpg", CALIBRATE, "/nonexistent/cat.jpg", "--clicks", CLICKS, "--weights", WEIGHTS, "-o", out)
        self.refused(3, "/nonexistent", CALIBRATE, *PHOTOS, "--clicks", CLICKS, "--weights", "/nonexistent", "-o", out)
        infer = (INFER, PHOTOS[0], "--click", "300,200", "-o", os.path.join(self.folder, "x.png"), "--device", "cpu")
        header, data = split(self.calibrated)
        metadata = header["__metadata__"]
        calibration = json.loads(metadata.pop("mfs.calibration"))
        damaged = os.path.join(self.folder, "damaged.safetensors")
        write_header(damaged, header, data)
        self.refused(4, "needs calibrated weights", *infer, "--precision", "int8", "--weights", damaged)
        del calibration["ranges"]["layer1.0.conv1"]
        metadata["mfs.calibration"] = json.dumps(calibration)
        write_header(damaged, header, data)
        self.refused(3, "no range for layer1.0.conv1", *infer, "--precision", "int8", "--weights", damaged)
        self.assertFalse(os.path.exists(out))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
