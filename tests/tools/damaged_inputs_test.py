#!/usr/bin/env python3
"""Damaged weights and photos through mfs_infer: a complete result, or a sentence and the right exit status.

    damaged_inputs_test.py path/to/mfs_infer [--long] [--slice I/N]

--long: 10,000 of each instead of a few; --slice does the I-th of N parts of them (I from 0).
"""

import json
import math
import random
import re
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

import tap_network
from png_reader import read_png

PROGRAM = ""
WEIGHTS, PHOTOS = 40, 300
SLICE, SLICES = 0, 1
DATA = Path(__file__).resolve().parent / "data"
NUMBERS = [b"-1", b"0", b"9", b"4294967296", b"9223372036854775807", b"18446744073709551616", b"1e9", b""]


def flip_bits(content, rng, start, end):
    for _ in range(rng.randint(1, 4)):
        content[rng.randrange(start, end)] ^= 1 << rng.randrange(8)


def damage_weights(whole, rng):
    """Mostly the header: damaged numbers of the data are valid weights."""
    content = bytearray(whole)
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    kind = rng.randrange(8)
    if kind == 0:
        del content[rng.randrange(len(content)) :]
    elif kind == 1:
        del content[rng.randrange(header) :]
    elif kind == 2:
        flip_bits(content, rng, header, len(content))
    elif kind == 3:
        content += rng.randbytes(rng.randint(1, 100))
    elif kind == 4:
        flip_bits(content, rng, 0, 8)
    elif kind == 5:
        flip_bits(content, rng, 8, header)
    elif kind == 6:  # another number, and the length of the header right
        numbers = [m.span() for m in re.finditer(rb"\d+", whole[8:header])]
        at, end = rng.choice(numbers)
        text = whole[8 : 8 + at] + rng.choice(NUMBERS) + whole[8 + end : header]
        content = struct.pack("<Q", len(text)) + text + whole[header:]
    else:  # a weight that is no number, or too large for one
        at = header + 4 * rng.randrange((len(whole) - header) // 4)
        struct.pack_into("<f", content, at, rng.choice([math.nan, math.inf, -math.inf, 3e38]))
    return bytes(content)


def repair_checksums(png):
    content, at = bytearray(png), 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        if at + 12 + length > len(content):
            break
        struct.pack_into(">I", content, at + 8 + length, zlib.crc32(content[at + 4 : at + 8 + length]))
        at += 12 + length
    return content


def damage_photo(whole, rng):
    content = bytearray(whole)
    kind = rng.randrange(5)
    at = rng.randrange(len(content))
    if kind == 0:
        del content[at:]
    elif kind == 1:
        flip_bits(content, rng, 0, len(content))
    elif kind == 2:
        content[at : at + 8] = rng.randbytes(8)
    elif kind == 3:
        del content[at : at + rng.randint(1, 16)]
    else:  # sizes lie near the start
        content[rng.randrange(min(64, len(content)))] = rng.choice([0, 1, 0x7F, 0x80, 0xFE, 0xFF])
    return repair_checksums(content) if whole[1:4] == b"PNG" and rng.random() < 0.7 else content


def share(count):
    return range(count * SLICE // SLICES, count * (SLICE + 1) // SLICES)


class DamagedInputsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.weights = self.folder / "tap.safetensors"
        tap_network.write(self.weights)

    def run_tool(self, *arguments):
        command = [PROGRAM, *map(str, arguments), "--size", "64", "--threads", "1"]
        return subprocess.run(command, cwd=self.folder, capture_output=True, timeout=7200, check=False)

    def test_weights(self):
        whole = self.weights.read_bytes()
        accepted = 0
        for i in share(WEIGHTS):
            (self.folder / "w.safetensors").write_bytes(damage_weights(whole, random.Random(i)))
            done = self.run_tool(DATA / "colour.png", "--click", "2,1", "-o", "m.png", "--weights", "w.safetensors", "-q")
            mask = self.folder / "m.png"
            if done.returncode == 0:
                self.assertEqual((read_png(mask.read_bytes())[:4], done.stderr), ((5, 3, 1, 8), b""), i)
                mask.unlink()
                accepted += 1
            else:
                self.assertEqual(done.returncode, 3, (i, done.stderr))
                self.assertRegex(done.stderr, rb"\Amfs_infer: w\.safetensors: [^\n]{10,400}\n\Z", i)
            self.assertEqual([p.name for p in self.folder.iterdir() if p.name.startswith((".", "m"))], [], i)
        print(f"{len(share(WEIGHTS))} damaged weights files, {accepted} of them accepted")
        self.assertTrue(0 < accepted < len(share(WEIGHTS)) / 2)

    def test_photos(self):
        originals = [p.read_bytes() for p in sorted(DATA.iterdir())]
        for i in share(PHOTOS):
            rng = random.Random(i)
            content = originals[i % len(originals)]
            for _ in range(rng.randint(1, 3)):
                content = damage_photo(content or b"\0", rng)
            (self.folder / f"photos/{i // 1000}").mkdir(parents=True, exist_ok=True)
            (self.folder / f"photos/{i // 1000}/{i:05}.jpg").write_bytes(content)
        outputs = [part for name in ("-o", "--prob", "--cutout", "--blur", "--overlay") for part in (name, "out")]
        done = self.run_tool("photos", "--click", "0,0", *outputs, "--weights", self.weights, "--json")
        self.assertEqual(done.returncode, 1, done.stderr[-2000:])
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line["input"] for line in lines], [f"photos/{i // 1000}/{i:05}.jpg" for i in share(PHOTOS)])
        expected = set()
        for line in lines:
            if line["status"] == "ok":
                self.assertEqual(len(line["outputs"]), 5)
                expected.update(line["outputs"])
                size = line["width"], line["height"]
                if size[0] * size[1] < 100_000:
                    mask, cutout = ((self.folder / line["outputs"][k]).read_bytes() for k in (0, 2))
                    self.assertEqual((read_png(mask)[:2], read_png(cutout)[:2]), (size, size))
            else:
                self.assertEqual((line["status"], line["outputs"]), ("failed", []))
                self.assertGreater(len(line["error"]), 10)
        found = {str(p.relative_to(self.folder)) for p in (self.folder / "out").rglob("*") if p.is_file()}
        self.assertEqual(found, expected)
        ok = sum(line["status"] == "ok" for line in lines)
        print(f"{len(lines)} damaged photos, {ok} of them decoded")
        self.assertTrue(len(lines) / 20 < ok < len(lines) * 19 / 20)


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    if "--long" in sys.argv:
        sys.argv.remove("--long")
        WEIGHTS = PHOTOS = 10_000
    if "--slice" in sys.argv:
        at = sys.argv.index("--slice")
        SLICE, SLICES = map(int, sys.argv[at + 1].split("/"))
        del sys.argv[at : at + 2]
    unittest.main()
