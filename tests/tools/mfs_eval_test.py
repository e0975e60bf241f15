#!/usr/bin/env python3
"""mfs_eval from the outside: its numbers against masks of mfs_infer, its files, its failures, its interruptions.

    mfs_eval_test.py path/to/mfs_eval path/to/mfs_infer [TEST...]
"""

import csv
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib
from pathlib import Path

import tap_network
from png_reader import read_png

PROGRAM = INFER = ""
WIDTH, HEIGHT = 160, 100
OBJECT, BACKGROUND, IGNORED = 255, 0, 128
# Rectangles (left, top, right, bottom): something big, small, two parts, something with an ignored border.
SHAPES = {
    "big": [(20, 10, 120, 90)],
    "small": [(100, 60, 115, 80)],
    "two": [(5, 5, 45, 45), (100, 50, 150, 90)],
    "rim": [(60, 20, 110, 70)],
}


def png(rows):
    """8-bit grey PNG of equally long rows of bytes."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def truth_of(name):
    rows = [bytearray(WIDTH) for _ in range(HEIGHT)]
    for left, top, right, bottom in SHAPES[name]:
        for y in range(top, bottom):
            rows[y][left:right] = bytes([OBJECT]) * (right - left)
    if name == "rim":
        for y in range(20, 70):
            rows[y][60:66] = bytes([IGNORED]) * 6
    return rows


def write_dataset(folder, names=tuple(SHAPES)):
    for part in ("img", "gt"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        pixels = bytes((x * 3 + y * 5 + 40 * c + seed) & 255 for y in range(HEIGHT) for x in range(WIDTH) for c in range(3))
        (folder / "img" / f"{name}.ppm").write_bytes(b"P6 %d %d 255\n" % (WIDTH, HEIGHT) + pixels)
        (folder / "gt" / f"{name}.png").write_bytes(png(truth_of(name)))


def iou(truth, mask):
    both = either = 0
    for wanted, found in zip(truth, mask):
        for w, f in zip(wanted, found):
            if w != IGNORED:
                both += w == OBJECT and f == 255
                either += w == OBJECT or f == 255
    return both / either if either else 1.0


class MfsEvalTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fixtures = tempfile.TemporaryDirectory()
        cls.weights = Path(cls.fixtures.name) / "tap.safetensors"
        cls.no_taps = Path(cls.fixtures.name) / "no-taps.safetensors"
        tap_network.write(cls.weights)
        tap_network.write(cls.no_taps, uses_taps=False)

    @classmethod
    def tearDownClass(cls):
        cls.fixtures.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        write_dataset(self.folder / "set")

    def command(self, *arguments, dataset=True, click="centre", weights=None):
        given = ["--dataset", "Set", "set"] if dataset else []
        given += ["--click", click] if click else []
        return [PROGRAM, *map(str, arguments), *given, "--weights", str(weights or self.weights)]

    def run_tool(self, *arguments, status=0, **options):
        """Runs in the test's folder, expects the exit status, returns (standard output, standard error) as text."""
        command = self.command(*arguments, **options)
        done = subprocess.run(command, cwd=self.folder, capture_output=True, timeout=300, check=False, text=True)
        self.assertEqual(done.returncode, status, (command, done.stdout[-500:], done.stderr[-2000:]))
        return done.stdout, done.stderr

    def json_lines(self, *arguments, **options):
        return [json.loads(line) for line in self.run_tool("--json", *arguments, **options)[0].splitlines()]

    def rows(self, name="iou.csv"):
        with open(self.folder / name, newline="") as file:
            return list(csv.DictReader(file))

    def infer(self, name, taps):
        clicks = [part for x, y in taps for part in ("--click", f"{x},{y}")]
        command = [INFER, f"set/img/{name}.ppm", *clicks, "-o", "-", "-q", "--weights", str(self.weights)]
        return read_png(subprocess.run(command, cwd=self.folder, capture_output=True, timeout=300, check=True).stdout)[4]

    # Numbers.

    def test_iou_is_that_of_the_masks_of_mfs_infer(self):
        self.run_tool("--csv", "iou.csv", "--taps", 3)
        rows = self.rows()
        self.assertEqual([row["name"] for row in rows], sorted(SHAPES))
        for row in rows:
            taps = [tuple(map(int, tap.split())) for tap in row["taps"].split(";")]
            for k in range(1, 4):
                with self.subTest(row["name"], taps=k):
                    expected = iou(truth_of(row["name"]), self.infer(row["name"], taps[:k]))
                    self.assertAlmostEqual(float(row[f"iou_{k}"]), expected, delta=1e-6)
            self.assertEqual(int(row["object_pixels"]), sum(r.count(OBJECT) for r in truth_of(row["name"])))
        big = next(row for row in rows if row["name"] == "big")
        self.assertTrue(big["taps"].startswith("70 50;"))  # (69.5, 49.5), halves go up
        two = next(row for row in rows if row["name"] == "two")
        self.assertEqual(len(two["taps"].split(";")), 3)
        self.assertLess(float(two["iou_1"]), float(two["iou_2"]))

    def test_json_lines_and_means(self):
        lines = self.json_lines("--taps", 2, "--csv", "iou.csv")
        self.assertEqual(len(lines), 2)
        for k, line in enumerate(lines, 1):
            self.assertEqual(list(line), ["dataset", "weights", "click", "taps", "images", "instances", "mean_iou", "ci95"])
            self.assertEqual([line["dataset"], line["weights"], line["click"]], ["Set", str(self.weights), "centre"])
            self.assertEqual([line["taps"], line["images"], line["instances"]], [k, 4, 4])
            values = [float(row[f"iou_{k}"]) for row in self.rows()]
            self.assertAlmostEqual(line["mean_iou"], sum(values) / 4, delta=2e-6)
            low, high = line["ci95"]
            self.assertTrue(min(values) - 1e-6 <= low <= line["mean_iou"] <= high <= max(values) + 1e-6)

    def test_instances_of_one_photo_count_as_one_image(self):
        for part, suffix in (("img", "ppm"), ("gt", "png")):
            source = "big" if part == "img" else "small"
            content = (self.folder / "set" / part / f"{source}.{suffix}").read_bytes()
            (self.folder / "set" / part / f"big-2.{suffix}").write_bytes(content)
        (line,) = self.json_lines()
        self.assertEqual((line["images"], line["instances"]), (4, 5))

    def test_several_data_sets_and_weights(self):
        write_dataset(self.folder / "grabcut", ["big", "rim"])
        other = self.folder / "other.safetensors"
        tap_network.write(other)
        lines = self.json_lines("--dataset", "GrabCut", "grabcut", "--weights", other)
        found = [(line["weights"], line["dataset"], line["instances"]) for line in lines]
        a, b = str(other), str(self.weights)
        self.assertEqual(found, [(a, "GrabCut", 2), (a, "Set", 4), (b, "GrabCut", 2), (b, "Set", 4)])
        self.assertEqual(lines[0]["mean_iou"], lines[2]["mean_iou"])
        out, _ = self.run_tool("--dataset", "GrabCut", "grabcut", "--weights", other)
        self.assertRegex(out, r"resnet-multi, 512 +86\.2 +-\n")
        self.assertEqual(sum("tap.safetensors, 1 tap" in line for line in out.splitlines()), 1)

    def test_the_papers_networks_in_one_table(self):
        """Its ablations: networks without taps, early and multi-stage fusion, VGG and ResNet, every guidance map."""
        networks = {
            "vgg-baseline": {}, "vgg-early": {}, "resnet-baseline": {}, "resnet-early": {}, "resnet-multi": {},
            "euclidean": {"variant": "resnet-early", "guidance": {"kind": "euclidean", "clip": 40}},
            "disk": {"variant": "resnet-early", "guidance": {"kind": "disk", "radius": 20}},
            "vgg-euclidean": {"variant": "vgg-early", "guidance": {"kind": "euclidean", "clip": 40}},
        }  # fmt: skip
        for name, options in networks.items():
            tap_network.write(self.folder / f"{name}.safetensors", **{"variant": name, **options})
        more = [part for name in networks for part in ("--weights", f"{name}.safetensors")]
        write_dataset(self.folder / "grabcut", ["big", "rim"])
        out, _ = self.run_tool("--dataset", "GrabCut", "grabcut", *more, dataset=False)
        rows = {line.split("  ")[0]: line for line in out.splitlines()}
        self.assertRegex(rows["paper, Table 1: vgg-baseline, 256 (no tap)"], r" 77\.4$")
        self.assertRegex(rows["paper, Table 1: vgg-early, 256"], r" 80\.1$")
        for name in networks:
            percent = float(rows[f"{name}.safetensors, 1 tap"].split("  ")[-1].split()[0])
            if name.endswith("-baseline"):
                self.assertEqual(percent, 0, name)
            else:
                self.assertTrue(10 < percent < 90, (name, percent))

    def test_limit_takes_evenly_spaced_instances(self):
        self.run_tool("--limit", 2, "--csv", "iou.csv")
        self.assertEqual([row["name"] for row in self.rows()], ["big", "small"])

    def test_jitter_depends_on_the_seed_and_the_name_only(self):
        taps = []
        for name, seed, more in (("a", 1, []), ("b", 1, ["--limit", 2]), ("c", 2, [])):
            self.run_tool("--export-clicks", f"{name}.json", *more, click=f"jitter:{seed}")
            taps.append(json.loads((self.folder / f"{name}.json").read_text()))
        self.assertEqual({name: taps[0][name] for name in taps[1]}, taps[1])
        self.assertEqual(len(taps[1]), 2)
        self.assertNotEqual(taps[0], taps[2])
        for name, ((x, y),) in taps[0].items():
            self.assertEqual(truth_of(name.removesuffix(".ppm"))[y][x], OBJECT)

    def test_a_network_without_taps(self):
        (one, two) = self.json_lines("--taps", 2, weights=self.no_taps)
        self.assertEqual(one["mean_iou"], two["mean_iou"])
        self.assertIn("uses no taps", self.run_tool(weights=self.no_taps)[1])

    # Files.

    def test_exported_clicks_fit_mfs_infer(self):
        self.run_tool("--export-clicks", "clicks.json", "--csv", "iou.csv", click="distance")
        command = [INFER, "set/img", "--clicks", "clicks.json", "-o", "masks", "-q", "--weights", str(self.weights)]
        subprocess.run(command, cwd=self.folder, timeout=300, check=True)
        for row in self.rows():
            mask = read_png((self.folder / "masks" / f"{row['name']}.mask.png").read_bytes())[4]
            self.assertAlmostEqual(float(row["iou_1"]), iou(truth_of(row["name"]), mask), delta=1e-6)

    def test_report_and_contact_sheet(self):
        _, err = self.run_tool("--report", "r.json", "--worst", "w.png", "--csv", "iou.csv", "-v")
        report = json.loads((self.folder / "r.json").read_text())
        self.assertEqual(len(report["instances"]), 4)
        self.assertEqual(report["results"][0]["failed"], 0)
        self.assertEqual([i["iou"][0] for i in report["instances"]], [float(row["iou_1"]) for row in self.rows()])
        width, height, channels, bits, _ = read_png((self.folder / "w.png").read_bytes())
        self.assertEqual((channels, bits), (3, 8))
        self.assertTrue(width > 900 and height > 200)
        ranks = [line.split()[3] for line in err.splitlines() if line.startswith("#")]
        self.assertEqual(ranks, [r["name"] for r in sorted(self.rows(), key=lambda r: float(r["iou_1"]))])

    def test_zoom_in_and_refine_matter_and_are_reported(self):
        reports = []
        for more in ([], ["--zoom-in"], ["--refine"]):
            self.run_tool("--report", "r.json", *more)
            reports.append(json.loads((self.folder / "r.json").read_text()))
        self.assertEqual([report["zoom_in"] for report in reports], [False, True, False])
        self.assertEqual([report["refine"] for report in reports], [False, False, True])
        once, twice, refined = ([i["iou"] for i in report["instances"]] for report in reports)
        self.assertNotEqual(once, twice)
        self.assertNotEqual(once, refined)

    def test_outputs_never_replace_inputs(self):
        before = self.weights.read_bytes()
        for arguments in (["--csv", self.weights], ["--resume", self.weights], ["--worst", "set/img/big.ppm"],
                          ["--report", "set/gt/new.json"], ["--csv", "x", "--report", "./x"]):  # fmt: skip
            with self.subTest(arguments):
                self.run_tool(*arguments, status=2)
        self.assertEqual(self.weights.read_bytes(), before)
        _, err = self.run_tool("--csv", "set/img/big.ppm/x.csv", "--resume", "run.log", status=1)
        self.assertIn("cannot be written", err)  # known before any work
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["set"])

    # Failures.

    def test_a_bad_instance_is_a_sentence_and_the_rest_goes_on(self):
        data = self.folder / "set"
        (data / "img" / "lonely.ppm").write_bytes((data / "img" / "big.ppm").read_bytes())
        (data / "gt" / "orphan.png").write_bytes((data / "gt" / "big.png").read_bytes())
        bad = {"empty": [bytes(WIDTH)] * HEIGHT, "size": [b"\xff" * 50] * 40, "values": [b"\xfe" * WIDTH] * HEIGHT}
        for name, rows in bad.items():
            (data / "img" / f"{name}.ppm").write_bytes((data / "img" / "big.ppm").read_bytes())
            (data / "gt" / f"{name}.png").write_bytes(png(rows))
        (data / "img" / "small.ppm").write_bytes(b"P6 10 10 255\n...")
        out, err = self.run_tool("--csv", "iou.csv", "--json", status=1)
        self.assertEqual(json.loads(out)["instances"], 3)
        sentences = [line for line in err.splitlines() if line.startswith("mfs_eval: ")]
        self.assertEqual(len(sentences), 6, err)
        expected = {
            "lonely": "no mask",
            "orphan": "no photo",
            "empty": "the mask is empty",
            "size": "50x40, the photo 160x100",
            "values": "254",
            "small": "small.ppm: ",
        }
        for name, words in expected.items():
            self.assertTrue(any(name in s and words in s for s in sentences), (name, sentences))
        self.assertEqual({row["name"] for row in self.rows() if row["error"]}, set(expected))
        self.assertIn("failed", err)

    def test_nothing_but_failures(self):
        for path in (self.folder / "set" / "gt").iterdir():
            path.unlink()
        (line,) = self.json_lines(status=1)
        self.assertEqual((line["instances"], line["mean_iou"], line["ci95"]), (0, None, None))

    def test_usage_errors(self):
        for arguments, options in (
            ([], {"dataset": False}),
            ([], {"click": None}),
            ([], {"click": "center"}),
            ([], {"click": "jitter:x"}),
            (["--dataset", "Two"], {}),
            (["--dataset", "Set", "set"], {}),
            (["--dataset", "New", "missing"], {}),
            (["--taps", "0"], {}),
            (["--size", "wide"], {}),
            (["--size", "100"], {}),
            (["--limit", "-1"], {}),
            (["--device", "gpu"], {}),
            (["--nonsense"], {}),
        ):
            with self.subTest(arguments, **options):
                out, err = self.run_tool(*arguments, status=2, **options)
                self.assertEqual(out, "")
                self.assertTrue(err.startswith("mfs_eval: "), err)

    def test_weights_and_devices(self):
        self.run_tool(weights=self.folder / "missing.safetensors", status=3)
        self.run_tool("--device", "cuda:99", status=4)
        self.run_tool("--precision", "fp8", status=4)

    def test_help_and_version(self):
        for option in ("--help", "--version"):
            done = subprocess.run([PROGRAM, option], capture_output=True, timeout=60, check=True, text=True)
            self.assertIn("mfs_eval", done.stdout)

    # Resuming.

    def test_resume_takes_finished_instances_from_the_journal(self):
        expected = self.run_tool("--taps", 2, "--json", "--resume", "run.log", "--csv", "a.csv")[0]
        journal = self.folder / "run.log"
        lines = journal.read_text().splitlines(keepends=True)
        self.assertEqual(len(lines), 4)
        # A changed number shows that the journal is read, a torn last line that it is not trusted.
        entry = json.loads(lines[0])
        entry["iou"] = [0.125, 0.25]
        journal.write_text(json.dumps(entry) + "\n" + lines[1] + lines[2][:40])
        _, err = self.run_tool("--taps", 2, "--resume", "run.log", "--csv", "b.csv")
        self.assertIn("1 lines that cannot be read", err)
        a, b = self.rows("a.csv"), self.rows("b.csv")
        self.assertEqual((b[0]["iou_1"], b[0]["iou_2"]), ("0.125000", "0.250000"))
        self.assertEqual(a[1:], b[1:])
        journal.write_text("".join(lines))
        self.assertEqual(self.run_tool("--taps", 2, "--json", "--resume", "run.log")[0], expected)
        self.assertEqual(journal.read_text(), "".join(lines))  # nothing was left to do
        # Fewer taps are known, more are not; other settings are not.
        self.run_tool("--taps", 1, "--resume", "run.log")
        self.assertEqual(journal.read_text(), "".join(lines))
        others = (["--taps", 3], {}), ([], {"click": "distance"}), (["--size", 64], {}), (["--zoom-in"], {}), (["--refine"], {})
        for more, options in (*others, ([], {"weights": self.no_taps})):
            before = len(journal.read_text().splitlines())
            self.run_tool("--resume", "run.log", *more, **options)
            self.assertEqual(len(journal.read_text().splitlines()), before + 4, (more, options))

    def test_a_changed_mask_is_evaluated_again(self):
        self.run_tool("--resume", "run.log")
        (self.folder / "set" / "gt" / "big.png").write_bytes(png(truth_of("small")))
        self.run_tool("--resume", "run.log", "--csv", "iou.csv")
        self.assertEqual(len((self.folder / "run.log").read_text().splitlines()), 5)
        self.assertEqual(self.rows()[0]["iou_1"], self.rows()[2]["iou_1"])

    def test_interrupted_and_resumed(self):
        for part, suffix in (("img", "ppm"), ("gt", "png")):
            content = (self.folder / "set" / part / f"big.{suffix}").read_bytes()
            for i in range(400):
                (self.folder / "set" / part / f"more{i}.{suffix}").write_bytes(content)
        journal = self.folder / "run.log"
        command = self.command("--resume", "run.log", "--csv", "iou.csv", "--taps", 8)
        with subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            deadline = time.monotonic() + 60
            while (not journal.exists() or journal.stat().st_size < 1000) and time.monotonic() < deadline:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(out, b"")
        self.assertIn(b"interrupted", err)
        self.assertFalse((self.folder / "iou.csv").exists())
        done = journal.read_text().splitlines()
        self.assertTrue(0 < len(done) < 404)
        self.assertTrue(all(json.loads(line)["iou"] for line in done))
        self.run_tool("--resume", "run.log", "--taps", 1, "--limit", 3)
        self.assertTrue(journal.read_text().startswith("\n".join(done)))

    def test_progress_only_on_a_terminal(self):
        self.assertNotIn("\r", self.run_tool()[1])
        try:
            master, slave = pty.openpty()
        except OSError as error:  # a bare chroot has none
            self.skipTest(f"no pseudo-terminal: {error}")
        subprocess.run(self.command(), cwd=self.folder, stderr=slave, stdout=subprocess.DEVNULL, timeout=300, check=True)
        os.close(slave)
        shown = os.read(master, 100000)
        os.close(master)
        self.assertIn(b"3/4 Set: two", shown)


if __name__ == "__main__":
    PROGRAM, INFER = (str(Path(sys.argv.pop(1)).resolve()) for _ in range(2))
    unittest.main()
