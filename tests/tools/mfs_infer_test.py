#!/usr/bin/env python3
"""mfs_infer from the outside: what it writes, prints and returns.

    mfs_infer_test.py path/to/mfs_infer [TEST...]
"""

import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import tap_network
from png_reader import read_png

PROGRAM = ""
DATA = Path(__file__).resolve().parent / "data"
WIDTH, HEIGHT = 160, 100
JSON_KEYS = ["input", "outputs", "width", "height", "clicks", "mask_area", "device", "precision", "ms", "status"]
MS_KEYS = ["decode", "prepare", "infer", "finish", "encode"]


def write_photo(path, width=WIDTH, height=HEIGHT):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = bytes((x * 3 + y * 5 + 40 * c) & 255 for y in range(height) for x in range(width) for c in range(3))
    path.write_bytes(b"P6 %d %d 255\n" % (width, height) + pixels)


def centre_of_mask(content):
    """(width, height, mean x, mean y) of the white pixels of an 8-bit grey PNG."""
    width, height, channels, bits, rows = read_png(content)
    assert (channels, bits) == (1, 8), (channels, bits)
    assert set(b"".join(rows)) <= {0, 255}
    points = [(x, y) for y, row in enumerate(rows) for x, v in enumerate(row) if v]
    assert points, "the mask is empty"
    return width, height, sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


class MfsInferTest(unittest.TestCase):
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
        write_photo(self.folder / "dog.ppm")

    def command(self, *arguments, weights=None):
        chosen = ["--weights", str(weights or self.weights)]
        return [PROGRAM, *map(str, arguments), *([] if weights is False else chosen)]

    def run_tool(self, *arguments, status=0, weights=None, **options):
        """Runs in the test's folder, expects the exit status, returns (standard output, standard error) as bytes."""
        command = self.command(*arguments, weights=weights)
        done = subprocess.run(command, cwd=self.folder, capture_output=True, timeout=300, check=False, **options)
        self.assertEqual(done.returncode, status, (command, done.stdout[-500:], done.stderr[-2000:]))
        return done.stdout, done.stderr

    def files(self, folder="."):
        return sorted(str(p.relative_to(self.folder)) for p in (self.folder / folder).rglob("*") if p.is_file())

    def assert_mask_at(self, content, size, tap, tolerance=8):  # corners aligned at stride 8 stretch the map a little
        width, height, x, y = centre_of_mask(content)
        self.assertEqual((width, height), size)
        self.assertLess(abs(x - tap[0]), tolerance)
        self.assertLess(abs(y - tap[1]), tolerance)

    # One photo.

    def test_default_output_is_the_mask_beside_the_photo(self):
        out, err = self.run_tool("dog.ppm", "--click", "100,40")
        self.assertEqual(out, b"")
        self.assertEqual(len(err.splitlines()), 1)
        self.assertEqual(self.files(), ["dog.mask.png", "dog.ppm"])
        self.assert_mask_at((self.folder / "dog.mask.png").read_bytes(), (WIDTH, HEIGHT), (100, 40))

    def test_other_outputs_do_not_bring_the_default_one(self):
        self.run_tool("dog.ppm", "--click", "100,40", "--cutout", "dog.png")
        self.assertEqual(self.files(), ["dog.png", "dog.ppm"])

    def test_all_outputs_of_one_run(self):
        self.run_tool("dog.ppm", "--click", "100,40", "-o", "m.png", "--prob", "p.png", "--cutout", "c.png", "--blur", "b.jpg",
                      "--overlay", "new/o.png")  # fmt: skip
        self.assertEqual(self.files(), ["b.jpg", "c.png", "dog.ppm", "m.png", "new/o.png", "p.png"])
        read = lambda name: (self.folder / name).read_bytes()  # noqa: E731
        self.assertEqual(read_png(read("m.png"))[:4], (WIDTH, HEIGHT, 1, 8))
        self.assertEqual(read_png(read("p.png"))[:4], (WIDTH, HEIGHT, 1, 16))
        self.assertEqual(read_png(read("c.png"))[:4], (WIDTH, HEIGHT, 4, 8))
        self.assertEqual(read_png(read("new/o.png"))[:4], (WIDTH, HEIGHT, 3, 8))
        self.assertEqual(read("b.jpg")[:3], b"\xff\xd8\xff")
        self.assertEqual(read("b.jpg")[-2:], b"\xff\xd9")
        # The mask is the probability above the threshold.
        mask, probability = read_png(read("m.png"))[4], read_png(read("p.png"))[4]
        for y in range(HEIGHT):
            values = struct.unpack(f">{WIDTH}H", probability[y])
            for x in range(WIDTH):
                if abs(values[x] - 32767.5) > 1:
                    self.assertEqual(mask[y][x] > 0, values[x] > 32767, (x, y))
        # The cut-out is transparent away from the tap, and the photo where it is opaque.
        cutout = read_png(read("c.png"))[4]
        self.assertEqual(cutout[90][4 * 10 + 3], 0)
        self.assertEqual(cutout[40][4 * 100 + 3], 255)
        self.assertEqual(cutout[40][400:403], bytes((100 * 3 + 40 * 5 + 40 * c) & 255 for c in range(3)))

    def test_probability_as_npy(self):
        self.run_tool("dog.ppm", "--click", "100,40", "--prob", "p.npy", "-o", "m.png", "--threshold", "0.8")
        content = (self.folder / "p.npy").read_bytes()
        self.assertEqual(content[:8], b"\x93NUMPY\x01\x00")
        (length,) = struct.unpack("<H", content[8:10])
        header = eval(content[10 : 10 + length])  # noqa: S307: the format's own notation
        self.assertEqual((header["descr"], header["shape"]), ("<f4", (HEIGHT, WIDTH)))
        values = struct.unpack(f"<{WIDTH * HEIGHT}f", content[10 + length :])
        self.assertTrue(all(0 <= v <= 1 for v in values))
        mask = b"".join(read_png((self.folder / "m.png").read_bytes())[4])
        self.assertEqual([v > 0.8 for v in values], [m > 0 for m in mask])

    def test_standard_input_and_output(self):
        photo = (self.folder / "dog.ppm").read_bytes()
        out, err = self.run_tool("-", "--click", "30,70", "-o", "-", "--json", input=photo)
        self.assert_mask_at(out, (WIDTH, HEIGHT), (30, 70))
        line = json.loads(err)
        self.assertEqual((line["input"], line["outputs"], line["status"]), ("-", ["-"], "ok"))
        self.assertEqual(self.files(), ["dog.ppm"])
        self.run_tool("-", "--click", "30,70", input=photo, status=2)  # where to?

    def test_several_taps(self):
        out, _ = self.run_tool("dog.ppm", "--click", "40,50", "--click", "120,50", "-o", "-", "-q")
        rows = read_png(out)[4]
        self.assertTrue(rows[50][40] and rows[50][120])
        self.assertFalse(rows[50][80])

    def test_a_rotated_photo_is_tapped_as_people_see_it(self):
        out, _ = self.run_tool(DATA / "rotated.jpg", "--click", "16,40", "-o", "-", "-q")  # stored as 48x32
        self.assert_mask_at(out, (32, 48), (16, 40))

    def test_every_readable_format(self):
        for name in ("alpha.png", "bits.bmp", "bits.pbm", "colour.tga", "deep.png", "grey.jpg", "palette.png"):
            with self.subTest(name):
                out, _ = self.run_tool(DATA / name, "--click", "2,1", "-o", "-", "-q")
                self.assertEqual(read_png(out)[:2], (48, 32) if name.endswith("jpg") else (5, 3))

    def test_the_photo_ends_half_a_pixel_beyond_its_outer_centres(self):
        for tap in ("-0.5,-0.5", f"{WIDTH - 0.5},{HEIGHT - 0.5}", "3.25,7.75"):
            self.run_tool("dog.ppm", "--click", tap, "-o", "-")
        for tap in ("-0.51,0", "0,-0.51", f"{WIDTH - 0.49},0", f"0,{HEIGHT - 0.49}"):
            out, err = self.run_tool("dog.ppm", "--click", tap, "-o", "-", status=2)
            self.assertEqual(out, b"")
            self.assertIn(b"outside", err)

    def test_sizes(self):
        for size in ("64", "128x96", "native"):
            out, _ = self.run_tool("dog.ppm", "--click", "100,40", "--size", size, "-o", "-", "-q")
            self.assertTrue(read_png(out)[4][40][100])
        self.run_tool("dog.ppm", "--click", "100,40", "--size", "100", status=2)

    def test_zoom_in_looks_closer(self):
        # The network answers with a disc of so many pixels of its own: the second time, of a part of the photo.
        areas = []
        for more in ([], ["--zoom-in"]):
            out, _ = self.run_tool("dog.ppm", "--click", "100,40", "-o", "-", "-q", *more)
            mask = read_png(out)[4]
            self.assertTrue(mask[40][100])
            areas.append(sum(value > 0 for row in mask for value in row))
        self.assertLess(areas[1], 0.7 * areas[0])
        self.assertGreater(areas[1], 0)

    # Files that exist.

    def test_existing_outputs_stop_the_run_before_any_work(self):
        (self.folder / "dog.mask.png").write_bytes(b"old")
        _, err = self.run_tool("dog.ppm", "--click", "1,2", status=2)
        self.assertIn(b"dog.mask.png", err)
        self.run_tool("dog.ppm", "--click", "1,2", "--cutout", "c.png", "-o", "dog.mask.png", status=2)
        self.assertEqual(self.files(), ["dog.mask.png", "dog.ppm"])
        out, _ = self.run_tool("dog.ppm", "--click", "1,2", "--skip-existing", "--json")
        self.assertEqual(json.loads(out)["status"], "skipped")
        self.assertEqual((self.folder / "dog.mask.png").read_bytes(), b"old")
        self.run_tool("dog.ppm", "--click", "100,40", "--overwrite")
        self.assert_mask_at((self.folder / "dog.mask.png").read_bytes(), (WIDTH, HEIGHT), (100, 40))

    def test_skip_existing_completes_what_is_missing(self):
        (self.folder / "m.png").write_bytes(b"old")
        out, _ = self.run_tool("dog.ppm", "--click", "1,2", "-o", "m.png", "--cutout", "c.png", "--skip-existing", "--json")
        self.assertEqual(json.loads(out)["outputs"], ["c.png"])
        self.assertEqual((self.folder / "m.png").read_bytes(), b"old")

    def test_an_input_is_never_overwritten(self):
        photo = self.folder / "in.png"
        shutil.copy(DATA / "colour.png", photo)
        before = photo.read_bytes()
        os.link(photo, self.folder / "hard.png")
        os.symlink("in.png", self.folder / "soft.png")
        for output in ("in.png", "./in.png", "hard.png", "soft.png", str(photo)):
            for options in (["--overwrite"], ["--skip-existing"], []):
                self.run_tool("in.png", "--click", "1,1", "--cutout", output, *options, status=2)
        self.run_tool("in.png", "--click", "1,1", "-o", "x.png", "--cutout", "./x.png", status=2)
        self.assertEqual(photo.read_bytes(), before)
        self.assertFalse((self.folder / "x.png").exists())

    def test_devices_and_symbolic_links_stay_what_they_are(self):
        self.run_tool("dog.ppm", "--click", "1,2", "-o", "/dev/null")
        self.assertTrue(Path("/dev/null").is_char_device())
        (self.folder / "target.png").write_bytes(b"old")
        os.symlink("target.png", self.folder / "link.png")
        self.run_tool("dog.ppm", "--click", "100,40", "-o", "link.png", "--overwrite")
        self.assertTrue((self.folder / "link.png").is_symlink())
        self.assert_mask_at((self.folder / "target.png").read_bytes(), (WIDTH, HEIGHT), (100, 40))

    def test_new_files_have_the_usual_permissions(self):
        old = os.umask(0o027)
        self.addCleanup(os.umask, old)
        self.run_tool("dog.ppm", "--click", "1,2")
        self.assertEqual((self.folder / "dog.mask.png").stat().st_mode & 0o777, 0o640)

    # Exit statuses.

    def test_usage_errors(self):
        for arguments in (
            [],
            ["dog.ppm"],
            ["dog.ppm", "--click"],
            ["dog.ppm", "--click", "5"],
            ["dog.ppm", "--click", "1,2", "--unknown"],
            ["dog.ppm", "--click", "1,2", "--clicks", "c.json"],
            ["dog.ppm", "--clicks", "absent.json"],
            ["dog.ppm", "--click", "1,2", "--threshold", "1"],
            ["dog.ppm", "--click", "1,2", "--threshold", "nan"],
            ["dog.ppm", "--click", "1,2", "--size", "big"],
            ["dog.ppm", "--click", "1,2", "--size", "native", "--zoom-in"],
            ["dog.ppm", "--click", "1,2", "--device", "gpu"],
            ["dog.ppm", "--click", "1,2", "--precision", "f64"],
            ["dog.ppm", "--click", "1,2", "--threads", "0"],
            ["dog.ppm", "--click", "1,2", "--repeat", "0"],
            ["dog.ppm", "--click", "1,2", "--blur", "b.jpg", "--blur-radius", "-1"],
            ["dog.ppm", "--click", "1,2", "-o", "mask.jpg"],
            ["dog.ppm", "--click", "1,2", "--prob", "p.tiff"],
            ["dog.ppm", "--click", "1,2", "-o", "-", "--cutout", "-"],
            ["dog.ppm", "--click", "1,2", "--skip-existing", "--overwrite"],
            ["dog.ppm", "-", "--click", "1,2", "-o", "out"],
            ["dog.ppm", "dog.ppm", "--click", "1,2", "-o", "-"],
            ["dog.ppm", "--click", "1,2", "-o", ""],
            ["", "--click", "1,2"],
            ["--list", "dog.ppm", "dog.ppm", "--click", "1,2"],
        ):
            with self.subTest(arguments):
                out, err = self.run_tool(*arguments, status=2)
                self.assertEqual(out, b"")
                self.assertTrue(err.startswith(b"mfs_infer: "), err)
        self.assertEqual(self.files(), ["dog.ppm"])

    def test_usage_errors_are_told_in_our_words(self):
        for arguments, words in (
            (["--size", "64", "--size", "128"], "--size is given 2 times"),
            (["-o", "a.png", "--mask", "b.png"], "--mask is given 2 times"),
            (["--weights"], "--weights: its value is missing (FILE.safetensors)"),
            (["--siez", "64"], "there is no option --siez"),
            (["--clicks", "c.json"], "--click cannot be combined with --clicks"),
            (["--threads", "many"], "--threads: Value many not in range 1 to 1024"),
            (["--cutout="], "--cutout: its value is "),
            (["-o=m.png"], "--mask: short options take their value without '='"),
        ):
            with self.subTest(arguments):
                _, err = self.run_tool("dog.ppm", "--click", "1,2", *arguments, status=2, weights=False)
                first, second = err.decode().splitlines()
                self.assertTrue(first.startswith("mfs_infer: " + words), first)
                self.assertEqual(second, "Run mfs_infer --help for the options.")
        self.run_tool("dog.ppm", "--click", "1,2", "--json", "--json", "-o", "/dev/null")  # a flag may be repeated

    def test_a_missing_or_unreadable_photo_is_status_1(self):
        (self.folder / "text.jpg").write_text("not a photo\n")
        for name, words in (("absent.jpg", b"absent.jpg"), ("text.jpg", b"text file"), (DATA / "cmyk.jpg", b"CMYK"),
                            (DATA / "colour.webp", b"WebP"), (DATA / "colour.gif", b"GIF")):  # fmt: skip
            with self.subTest(name):
                out, err = self.run_tool(name, "--click", "1,1", "-o", "m.png", "--json", status=1)
                self.assertIn(words, err)
                line = json.loads(out)
                self.assertEqual(line["status"], "failed")
                self.assertEqual(set(JSON_KEYS) - set(line), set())
        self.assertEqual(self.files(), ["dog.ppm", "text.jpg"])

    def test_weights_are_status_3(self):
        (self.folder / "damaged.safetensors").write_bytes(self.weights.read_bytes()[:-100])
        self.run_tool("dog.ppm", "--click", "1,2", weights="damaged.safetensors", status=3)
        self.run_tool("dog.ppm", "--click", "1,2", weights="absent.safetensors", status=3)
        self.run_tool("dog.ppm", "--click", "1,2", weights="dog.ppm", status=3)

    def test_an_absent_device_is_status_4(self):
        self.run_tool("dog.ppm", "--click", "1,2", "--device", "cuda:99", status=4)
        self.assertEqual(self.files(), ["dog.ppm"])

    def test_an_output_that_cannot_be_written_is_status_1(self):
        self.run_tool("dog.ppm", "--click", "1,2", "-o", "dog.ppm/m.png", status=1)
        with open("/dev/full", "wb") as full:
            command = self.command("dog.ppm", "--click", "1,2", "-o", "-")
            done = subprocess.run(command, cwd=self.folder, stdout=full, stderr=subprocess.PIPE, timeout=300, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            command = self.command("dog.ppm", "--click", "1,2", "-o", "m.png", "--json")
            done = subprocess.run(command, cwd=self.folder, stdout=full, stderr=subprocess.PIPE, timeout=300, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)

    def test_help_and_version(self):
        out, err = self.run_tool("--help")
        self.assertEqual(err, b"")
        for option in (b"--click", b"--clicks", b"--prob", b"--blur-radius", b"--size", b"--trace", b"--list", b"256 megapixels"):
            self.assertIn(option, out)
        out, _ = self.run_tool("--version", weights=False)
        self.assertTrue(out.startswith(b"mfs_infer "))

    # Folders.

    def make_folder(self):
        for name in ("a.ppm", "b.ppm", "sub/a.ppm", "sub/deep/c.ppm"):
            write_photo(self.folder / "photos" / name)
        (self.folder / "photos" / "notes.txt").write_text("no photo")
        (self.folder / "photos" / ".hidden.ppm").write_text("no photo")
        taps = {"a.ppm": [[20, 30]], "b.ppm": [[40, 50]], "sub/a.ppm": [[60, 70]], "sub/deep/c.ppm": [[80, 90]]}
        (self.folder / "clicks.json").write_text(json.dumps(taps))
        return taps

    def test_a_folder_is_mirrored(self):
        taps = self.make_folder()
        out, _ = self.run_tool("photos", "--clicks", "clicks.json", "-o", "masks", "--overlay", "pictures/", "--json")
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([line["input"] for line in lines], [f"photos/{name}" for name in taps])
        masks = ["masks/a.mask.png", "masks/b.mask.png", "masks/sub/a.mask.png", "masks/sub/deep/c.mask.png"]
        self.assertEqual(self.files("masks"), masks)
        self.assertEqual(self.files("pictures")[-1], "pictures/sub/deep/c.overlay.jpg")
        for (name, ((x, y),)), mask, line in zip(taps.items(), masks, lines):
            self.assert_mask_at((self.folder / mask).read_bytes(), (WIDTH, HEIGHT), (x, y))
            self.assertEqual(line["clicks"], [[x, y]], name)
            self.assertIn(mask, line["outputs"])

    def test_outputs_in_the_folder_are_not_photos_the_next_time(self):
        self.make_folder()
        self.run_tool("photos", "--click", "10,10", "--overlay", "photos", "-o", "photos")
        out, _ = self.run_tool("photos", "--click", "10,10", "--overlay", "photos", "-o", "photos", "--overwrite", "--json")
        self.assertEqual(len(out.splitlines()), 4)

    def test_one_bad_photo_does_not_stop_the_others(self):
        self.make_folder()
        content = (self.folder / "photos/b.ppm").read_bytes()
        (self.folder / "photos/b.ppm").write_bytes(content[:-1])
        (self.folder / "photos/d.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
        write_photo(self.folder / "photos/untapped.ppm")
        write_photo(self.folder / "photos/small.ppm", 8, 8)
        taps = json.loads((self.folder / "clicks.json").read_text())
        (self.folder / "clicks.json").write_text(json.dumps({**taps, "d.heic": [[1, 1]], "small.ppm": [[8, 8]], "typo.ppm": []}))
        out, err = self.run_tool("photos", "--clicks", "clicks.json", "-o", "masks", "--json", status=1)
        status = {line["input"]: line for line in map(json.loads, out.splitlines())}
        self.assertEqual(len(status), 7)
        failed = sorted(name for name, line in status.items() if line["status"] == "failed")
        self.assertEqual(failed, [f"photos/{n}" for n in ("b.ppm", "d.heic", "small.ppm", "untapped.ppm")])
        self.assertIn("truncated", status["photos/b.ppm"]["error"])
        self.assertIn("HEIC", status["photos/d.heic"]["error"])
        self.assertIn("outside", status["photos/small.ppm"]["error"])
        self.assertIn(b"typo.ppm", err)
        self.assertEqual(len(self.files("masks")), 3)

    def test_colliding_outputs_are_refused(self):
        write_photo(self.folder / "photos/a.ppm")
        shutil.copy(DATA / "colour.png", self.folder / "photos/a.png")
        _, err = self.run_tool("photos", "--click", "1,1", status=2)
        self.assertIn(b"twice", err)

    def test_several_photos_and_an_empty_folder(self):
        write_photo(self.folder / "cat.ppm")
        self.run_tool("dog.ppm", "cat.ppm", "--click", "1,1", "-o", "masks")
        self.assertEqual(self.files("masks"), ["masks/cat.mask.png", "masks/dog.mask.png"])
        self.run_tool("dog.ppm", "cat.ppm", "--click", "1,1", "-o", "cat.ppm", status=2)
        (self.folder / "empty").mkdir()
        self.run_tool("empty", "--click", "1,1", status=1)

    def test_names_that_are_no_utf8(self):
        name = b"d\xffg.ppm"
        os.rename(self.folder / "dog.ppm", os.path.join(os.fsencode(self.folder), name))
        out, _ = self.run_tool(os.fsdecode(name), "--click", "1,1", "--json")
        self.assertEqual(json.loads(out)["status"], "ok")
        self.assertIn(b"d\xffg.mask.png", os.listdir(os.fsencode(self.folder)))

    # Reports.

    def test_json_line(self):
        out, err = self.run_tool("dog.ppm", "--click", "100,40.5", "--json", "-o", "m.png", "-q")
        self.assertEqual(err, b"")
        (text,) = out.splitlines()
        line = json.loads(text)
        self.assertEqual(list(line), JSON_KEYS)
        self.assertEqual(list(line["ms"]), MS_KEYS)
        self.assertEqual((line["width"], line["height"], line["clicks"]), (WIDTH, HEIGHT, [[100, 40.5]]))
        rows = read_png((self.folder / "m.png").read_bytes())[4]
        self.assertEqual(line["mask_area"], sum(v > 0 for row in rows for v in row))
        self.assertEqual((line["outputs"], line["status"]), (["m.png"], "ok"))

    def test_repeat_gives_latencies(self):
        out, _ = self.run_tool("dog.ppm", "--click", "100,40", "--json", "--repeat", "5")
        line = json.loads(out)
        for kind in ("back_to_back", "click_to_mask"):
            q = line["latency_ms"][kind]
            self.assertTrue(0 < q["min"] <= q["median"] <= q["p90"] <= q["p99"], q)
        self.assertAlmostEqual(line["ms"]["infer"], line["latency_ms"]["back_to_back"]["median"], delta=0.002)
        _, err = self.run_tool("dog.ppm", "--click", "100,40", "--repeat", "5", "--overwrite")
        for word in (b"min", b"median", b"p90", b"p99", b"click to mask", b"back to back"):
            self.assertIn(word, err)

    def test_profile_and_trace(self):
        out, err = self.run_tool("dog.ppm", "--click", "9,9", "--profile", "--repeat", "2", "--trace", "t.json", "--json")
        self.assertEqual(len(out.splitlines()), 1)
        for word in (b"GB/s", b"TFLOP/s", b"of peak", b"conv1", b"totals"):
            self.assertIn(word, err)
        events = json.loads((self.folder / "t.json").read_text())["traceEvents"]
        stages = [e["name"] for e in events if e.get("cat") == "stage"]
        self.assertEqual(stages, MS_KEYS)
        operations = [e for e in events if e.get("cat") == "operation"]
        self.assertGreater(len(operations), 5)
        self.assertTrue(all(e["dur"] >= 0 and e["ts"] >= 0 for e in events if e["ph"] == "X"))

    def test_verbose_tells_what_was_chosen(self):
        _, err = self.run_tool(DATA / "rotated.jpg", "--click", "1,1", "-v", "-o", "m.png")
        self.assertIn(b"orientation 6", err)
        self.assertGreater(len(err.splitlines()), 2)

    def test_a_network_without_guidance_ignores_taps(self):
        self.run_tool("dog.ppm", "-o", "/dev/null", weights=self.no_taps)
        _, err = self.run_tool("dog.ppm", "--click", "1,1", "-o", "/dev/null", weights=self.no_taps)
        self.assertIn(b"ignored", err)

    def test_weights_are_found_beside_the_program_not_in_the_working_directory(self):
        (self.folder / "usr/bin").mkdir(parents=True)
        program = self.folder / "usr/bin/mfs_infer"
        shutil.copy(PROGRAM, program)
        (self.folder / "weights").mkdir()
        shutil.copy(self.weights, self.folder / "weights/mfs-small.safetensors")
        command = [program, "dog.ppm", "--click", "1,1"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, timeout=300, check=False)
        # usr/bin/../../weights is the source tree's layout; the working directory's own folder of that name is the same here.
        self.assertEqual(done.returncode, 0, done.stderr)
        shutil.move(self.folder / "weights", self.folder / "usr/weights")
        done = subprocess.run(command, cwd=self.folder / "usr", capture_output=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        shutil.move(self.folder / "usr/weights", self.folder / "usr/share/mfs")
        done = subprocess.run([program, "dog.ppm", "--click", "1,1", "--overwrite"], cwd=self.folder, capture_output=True,
                              timeout=300, check=False)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_progress_only_where_a_person_watches(self):
        self.make_folder()
        _, err = self.run_tool("photos", "--click", "1,1", "-o", "masks")
        self.assertNotIn(b"\r", err)
        try:
            master, slave = pty.openpty()
        except OSError as error:  # a bare chroot has none
            self.skipTest(f"no pseudo-terminal: {error}")
        command = self.command("photos", "--click", "1,1", "-o", "masks2")
        with subprocess.Popen(command, cwd=self.folder, stderr=slave) as process:
            os.close(slave)
            shown = b""
            try:
                while part := os.read(master, 4096):
                    shown += part
            except OSError:  # the other end is closed
                pass
        os.close(master)
        self.assertEqual(process.returncode, 0)
        self.assertIn(b"] 3/4 ", shown)

    def test_ctrl_c_leaves_complete_files(self):
        count = 400
        write_photo(self.folder / "photos/000.ppm")
        for i in range(1, count):
            shutil.copy(self.folder / "photos/000.ppm", self.folder / f"photos/{i:03}.ppm")
        for sent in (signal.SIGINT, signal.SIGTERM):
            masks = self.folder / sent.name
            with subprocess.Popen(self.command("photos", "--click", "80,50", "-o", masks, "-q"), cwd=self.folder,
                                  stderr=subprocess.DEVNULL) as process:  # fmt: skip
                deadline = time.monotonic() + 120
                while len(list(masks.glob("*.png"))) < 3 and time.monotonic() < deadline:
                    time.sleep(0.005)
                process.send_signal(sent)
                self.assertEqual(process.wait(timeout=60), 130)
            written = sorted(os.listdir(masks))
            self.assertTrue(3 <= len(written) < count, len(written))
            for name in written:
                self.assertTrue(name.endswith(".mask.png") and not name.startswith("."), name)
                read_png((masks / name).read_bytes())


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
