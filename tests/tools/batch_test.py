#!/usr/bin/env python3
"""mfs_infer left alone with many photos: order, memory, kill -9 and going on, a full disk, files that cannot be read.

    batch_test.py path/to/mfs_infer [--long] [TEST...]     --long: 10,000 photos instead of 200
"""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import tap_network
from png_reader import read_png

PROGRAM = ""
COUNT = 200
DATA = Path(__file__).resolve().parent / "data"
NOBODY = 65534


def write_photo(path, width=16, height=12, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"P6 %d %d 255\n" % (width, height) + random.Random(seed).randbytes(3 * width * height))


class BatchTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fixtures = tempfile.TemporaryDirectory()
        cls.weights = Path(cls.fixtures.name) / "tap.safetensors"
        tap_network.write(cls.weights)
        cls.weights.chmod(0o644)
        Path(cls.fixtures.name).chmod(0o755)

    @classmethod
    def tearDownClass(cls):
        cls.fixtures.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def command(self, *arguments):
        threads = [] if "--threads" in arguments else ["--threads", "1"]  # more only wait for each other on a busy machine
        return [PROGRAM, *map(str, arguments), "--weights", str(self.weights), "--size", "64", *threads]

    def run_tool(self, *arguments, status=0, **options):
        """Runs in the test's folder, expects the exit status, returns (JSON lines, standard error)."""
        command = self.command(*arguments)
        done = subprocess.run(command, cwd=self.folder, capture_output=True, timeout=7200, check=False, **options)
        self.assertEqual(done.returncode, status, (command, done.stdout[-500:], done.stderr[-2000:]))
        lines = [json.loads(line) for line in done.stdout.splitlines()] if "--json" in arguments else []
        return lines, done.stderr.decode(errors="replace")

    def files(self, folder):
        return sorted(str(p.relative_to(self.folder / folder)) for p in (self.folder / folder).rglob("*") if not p.is_dir())

    def make_photos(self, count, **size):
        for i in range(count):
            write_photo(self.folder / f"photos/{i // 1000}/{i:05}.ppm", seed=i, **size)

    # Order and memory.

    def test_lines_come_in_the_order_of_the_photos_and_files_are_those_of_one_run_each(self):
        for i in range(24):  # very different sizes overtake each other
            write_photo(self.folder / f"photos/{i:02}.ppm", 3 + 400 * (i % 3 == 0), 5 + 300 * (i % 4 == 0), seed=i)
        lines, _ = self.run_tool("photos", "--click", "1,1", "-o", "out", "--cutout", "out", "--json", "--threads", "3")
        self.assertEqual([line["input"] for line in lines], [f"photos/{i:02}.ppm" for i in range(24)])
        for i in range(0, 24, 5):
            self.run_tool(f"photos/{i:02}.ppm", "--click", "1,1", "-o", "one.png", "--cutout", "two.png", "--overwrite")
            for kind, name in (("mask", "one.png"), ("cutout", "two.png")):
                self.assertEqual((self.folder / name).read_bytes(), (self.folder / f"out/{i:02}.{kind}.png").read_bytes())

    def peak_memory(self, *arguments):
        """Bytes."""
        environment = {**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=4"}  # of freed memory, where it is built in
        command = self.command(*arguments)
        with subprocess.Popen(command, cwd=self.folder, stderr=subprocess.DEVNULL, env=environment) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        return usage.ru_maxrss * 1024

    def test_memory_does_not_grow_with_the_number_of_photos(self):
        write_photo(self.folder / "photo.ppm", 600, 400)  # 960 kB each as photo and mask
        names = [f"{i:03}.ppm" for i in range(120)]
        for name in names:
            os.link(self.folder / "photo.ppm", self.folder / name)
        (self.folder / "few.txt").write_text("\n".join(names[:12]))
        (self.folder / "many.txt").write_text("\n".join(names))
        few = self.peak_memory("--list", "few.txt", "--click", "1,1", "-o", "few")
        many = self.peak_memory("--list", "many.txt", "--click", "1,1", "-o", "many")
        self.assertLess(many, few + 40e6)  # all of them: more than 100 MB

    # Ends that nobody wished for.

    def test_killed_and_resumed(self):
        """Nothing is done twice, nothing stays behind, everything is complete."""
        self.make_photos(COUNT)
        names = [p[:-4] for p in self.files("photos")]
        (self.folder / "list.txt").write_text("".join(f"photos/{name}.ppm\n" for name in names))
        expected = sorted(f"photos/{name}.{kind}.png" for name in names for kind in ("mask", "cutout"))
        command = ["--list", "list.txt", "--click", "1,1", "-o", "out", "--cutout", "out", "--json", "--skip-existing"]
        complete = {}
        kills = 0
        started = time.monotonic()
        for share in (0.1, 0.4, 0.75):
            with subprocess.Popen(self.command(*command), cwd=self.folder, stdout=subprocess.DEVNULL) as process:
                while len(list(self.folder.glob("out/photos/*/[!.]*.png"))) < share * 2 * COUNT and process.poll() is None:
                    time.sleep(0.002 if COUNT < 1000 else 0.5)
                process.kill()
                kills += process.wait() == -signal.SIGKILL
            for path, before in complete.items():
                self.assertEqual(before, path.stat().st_mtime_ns, path)  # not written again
            for path in self.folder.glob("out/photos/*/[!.]*.png"):
                if path not in complete:
                    read_png(path.read_bytes())  # complete, or ValueError
                    complete[path] = path.stat().st_mtime_ns
        self.assertEqual(kills, 3)
        done = {p.relative_to(self.folder / "out").as_posix() for p in complete}
        lines, err = self.run_tool(*command)
        self.assertEqual(self.files("out"), expected)  # no temporary files, either
        self.assertEqual(len(lines), COUNT)
        for name, line in zip(names, lines):
            missing = [f"out/photos/{name}.{kind}.png" for kind in ("mask", "cutout")
                       if f"photos/{name}.{kind}.png" not in done]  # fmt: skip
            self.assertEqual((line["input"], sorted(line["outputs"])), (f"photos/{name}.ppm", sorted(missing)))
            self.assertEqual(line["status"], "ok" if missing else "skipped")
        for path, before in complete.items():
            self.assertEqual(before, path.stat().st_mtime_ns, path)
        print(f"{COUNT} photos, killed 3 times: {time.monotonic() - started:.1f} s;", err.strip().splitlines()[-1])

    def test_many_photos_at_once(self):
        self.make_photos(COUNT)
        started = time.monotonic()
        peak = self.peak_memory("photos", "--click", "1,1", "-o", "out")
        seconds = time.monotonic() - started
        self.assertEqual(len(self.files("out")), COUNT)
        print(f"{COUNT} photos: {seconds:.1f} s, peak memory {peak / 1e6:.1f} MB")

    def test_what_a_killed_run_left_is_used_up(self):
        write_photo(self.folder / "dog.ppm")
        (self.folder / ".dog.mask.png.tmp").write_bytes(b"half a mask, and longer than the whole one" * 100)
        self.run_tool("dog.ppm", "--click", "1,1", "--skip-existing")
        self.assertEqual(self.files("."), ["dog.mask.png", "dog.ppm"])
        read_png((self.folder / "dog.mask.png").read_bytes())

    def test_two_runs_do_not_write_one_file(self):
        write_photo(self.folder / "dog.ppm")
        with open(self.folder / ".dog.mask.png.tmp", "wb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            other.write(b"of the other run")
            other.flush()
            _, err = self.run_tool("dog.ppm", "--click", "1,1", status=1)
            self.assertIn("another process", err)
        self.assertEqual((self.folder / ".dog.mask.png.tmp").read_bytes(), b"of the other run")

    def test_an_empty_output_is_no_output(self):  # what a machine without power leaves
        write_photo(self.folder / "dog.ppm")
        (self.folder / "dog.mask.png").write_bytes(b"")
        self.run_tool("dog.ppm", "--click", "1,1", status=2)
        lines, _ = self.run_tool("dog.ppm", "--click", "1,1", "--skip-existing", "--json")
        self.assertEqual(lines[0]["status"], "ok")
        read_png((self.folder / "dog.mask.png").read_bytes())

    def test_interrupted_and_resumed(self):
        self.make_photos(COUNT if COUNT < 1000 else 1000)
        total = len(self.files("photos"))
        for sent in (signal.SIGINT, signal.SIGTERM):
            command = self.command("photos", "--click", "1,1", "-o", sent.name, "--json")
            with subprocess.Popen(command, cwd=self.folder, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                lines = [process.stdout.readline() for _ in range(5)]
                process.send_signal(sent)
                out, err = process.communicate(timeout=300)
            self.assertEqual(process.returncode, 130, err)
            self.assertIn(b"--skip-existing", err)
            lines = [json.loads(line) for line in lines + out.splitlines()]
            self.assertTrue(all(line["status"] == "ok" for line in lines))
            written = self.files(sent.name)
            self.assertEqual(sorted(line["outputs"][0] for line in lines), [f"{sent.name}/{name}" for name in written])
            self.assertLess(len(written), total)
        self.run_tool("photos", "--click", "1,1", "-o", "SIGINT", "--skip-existing")
        self.assertEqual(len(self.files("SIGINT")), total)

    def test_weights_that_change_while_they_are_used(self):
        self.make_photos(60)
        names = self.files("photos")
        whole = self.weights.read_bytes()
        for how in ("replaced", "cut"):
            weights = self.folder / f"{how}.safetensors"
            weights.write_bytes(whole)
            command = [PROGRAM, "photos", "--click", "1,1", "-o", how, "--json", "--threads", "1", "--weights", weights]
            with subprocess.Popen(command, cwd=self.folder, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                first = process.stdout.readline()
                if how == "cut":
                    os.truncate(weights, 100)
                else:
                    (self.folder / "new").write_bytes(b"not weights")
                    os.replace(self.folder / "new", weights)
                out, err = process.communicate(timeout=300)
            self.assertEqual(process.returncode, 0, (how, err))
            lines = [json.loads(line) for line in [first, *out.splitlines()]]
            self.assertEqual([line["status"] for line in lines], ["ok"] * 60)
            self.assertEqual(len(self.files(how)), len(names))
        for name in names:
            name = name.replace(".ppm", ".mask.png")
            self.assertEqual((self.folder / "replaced" / name).read_bytes(), (self.folder / "cut" / name).read_bytes())

    def test_a_second_ctrl_c_ends_at_once(self):
        (self.folder / "list.txt").write_text("".join(f"absent{i}.jpg\n" for i in range(2000)))
        command = self.command("--list", "list.txt", "--click", "1,1", "--json")
        with subprocess.Popen(command, cwd=self.folder, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            process.stdout.readline()
            time.sleep(0.5)  # the pipe is full now, and nobody reads
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
            self.assertIsNone(process.poll())
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(timeout=20), -signal.SIGINT)

    def test_a_reader_that_leaves_is_an_error(self):
        (self.folder / "list.txt").write_text("".join(f"absent{i}.jpg\n" for i in range(2000)))
        command = self.command("--list", "list.txt", "--click", "1,1", "--json", "-q")
        with subprocess.Popen(command, cwd=self.folder, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.close()
            err = process.stderr.read()
            self.assertEqual(process.wait(timeout=60), 1)
        self.assertIn(b"standard output: cannot be written (Broken pipe)", err)

    def test_full_disk(self):
        self.make_photos(30, width=80, height=60)
        # No file may be longer than 1,000 bytes: masks are shorter, cut-outs are not.
        command = " ".join(["ulimit -f 1; exec", *self.command("photos", "--click", "1,1", "-o", "out", "--cutout", "out", "--json")])
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, capture_output=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line["status"] for line in lines], ["failed"] * 30)
        self.assertIn("cutout.png: cannot be written (File too large)", lines[0]["error"])
        self.assertEqual(self.files("out"), [])

        disk = self.folder / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]
        if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            self.skipTest("no file system can be mounted here to be filled")
        try:
            lines, err = self.run_tool("photos", "--click", "1,1", "-o", "disk", "--cutout", "disk", "--json", status=1)
            failed = [line for line in lines if line["status"] == "failed"]
            self.assertTrue(0 < len(failed) < 30, len(failed))
            self.assertTrue(all("No space left on device" in line["error"] for line in failed))
            self.assertIn(f"{30 - len(failed)} of 30 photos done, {len(failed)} failed", err)
            self.assertTrue(all(not Path(name).name.startswith(".") for name in self.files("disk")))
            for path in disk.rglob("*.png"):
                read_png(path.read_bytes())
        finally:
            subprocess.run(["umount", disk], check=True)

    # Photos that are none.

    def test_files_that_cannot_be_read(self):
        for name in ("a", "locked", "z"):
            write_photo(self.folder / f"photos/{name}.ppm")
        (self.folder / "photos/locked.ppm").chmod(0)
        (self.folder / "photos/folder.jpg").mkdir()
        write_photo(self.folder / "photos/folder.jpg/inside.ppm")
        os.mkfifo(self.folder / "photos/pipe.jpg")
        os.symlink("nowhere", self.folder / "photos/link.jpg")
        os.symlink("loop.jpg", self.folder / "photos/loop.jpg")
        (self.folder / "photos/empty.jpg").touch()
        (self.folder / "photos/unicode\udcff.jpg").write_bytes(b"GIF89a")
        self.folder.chmod(0o777)
        as_user = {}
        if os.geteuid() == 0:  # who may read everything
            as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            try:
                subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, **as_user)
            except (PermissionError, subprocess.CalledProcessError):
                self.skipTest("nobody else may run the program")
        (self.folder / "out").mkdir()
        (self.folder / "out").chmod(0o777)
        lines, _ = self.run_tool("photos", "--click", "1,1", "-o", "out", "--json", status=1, **as_user)
        errors = {line["input"][7:]: line.get("error") for line in lines}
        self.assertEqual([name for name, error in errors.items() if error is None], ["a.ppm", "folder.jpg/inside.ppm", "z.ppm"])
        for name, words in (("locked.ppm", "Permission denied"), ("pipe.jpg", "is a pipe, not a file"),
                            ("link.jpg", "No such file"), ("loop.jpg", "Too many levels"), ("empty.jpg", "is empty"),
                            ("unicode\ufffd.jpg", "GIF")):  # fmt: skip
            self.assertIn(words, errors[name], name)
        self.assertEqual(self.files("out"), ["a.mask.png", "folder.jpg/inside.mask.png", "z.mask.png"])

        names = ["photos/a.ppm", "photos/folder.jpg", "photos/vanished.jpg", "/dev/null", "photos/z.ppm/", "photos/z.ppm"]
        (self.folder / "list.txt").write_text("\n".join(names) + "\n")
        lines, err = self.run_tool("--list", "list.txt", "--click", "1,1", "-o", "out2", "--json", status=1)
        self.assertEqual([line["status"] for line in lines], ["ok", "failed", "failed", "failed", "failed", "ok"])
        for words in ("is a folder", "No such file", "is a device", "Not a directory"):
            self.assertIn(words, err)

    def test_extreme_shapes(self):
        write_photo(self.folder / "photos/dot.ppm", 1, 1)
        write_photo(self.folder / "photos/tall.ppm", 2, 30000)
        write_photo(self.folder / "photos/wide.ppm", 30000, 2)
        write_photo(self.folder / "photos/wider.ppm", 30001, 1)
        outputs = [part for name in ("-o", "--prob", "--cutout", "--blur", "--overlay") for part in (name, "out")]
        lines, _ = self.run_tool("photos", "--click", "1,0.5", *outputs, "--json", status=1)
        self.assertEqual([line["status"] for line in lines], ["failed", "ok", "ok", "failed"])
        self.assertIn("lies outside", lines[0]["error"] if lines[0].get("error") else "")
        self.assertIn("too large", lines[3]["error"])
        lines, _ = self.run_tool("photos/dot.ppm", "--click", "0,0", *outputs, "--json")
        (self.folder / "out").mkdir(exist_ok=True)
        for name, size in (("dot", (1, 1)), ("tall", (2, 30000)), ("wide", (30000, 2))):
            for kind, shape in (("mask", (1, 8)), ("prob", (1, 16)), ("cutout", (4, 8))):
                self.assertEqual(read_png((self.folder / f"out/{name}.{kind}.png").read_bytes())[:4], size + shape)

    # Lists.

    def test_lists(self):
        for name in ("photos/a/1.ppm", "photos/b/1.ppm"):
            write_photo(self.folder / name)
        absolute = str(self.folder / "photos/b/1.ppm")
        taps = {"photos/a/1.ppm": [[2, 3]], "1.ppm": [[4, 5]]}
        (self.folder / "clicks.json").write_text(json.dumps(taps))
        for kind, text in (("unix", "photos/a/1.ppm\n\nphotos/b/1.ppm"), ("dos", "photos/a/1.ppm\r\nphotos/b/1.ppm\r\n"),
                           ("zeros", "photos/a/1.ppm\0photos/b/1.ppm\0"), ("dots", "./photos//a/1.ppm\nphotos/a/../b/1.ppm\n")):  # fmt: skip
            with self.subTest(kind):
                options = ["--list", "-", "--clicks", "clicks.json", "-o", kind, "--json"]
                lines, _ = self.run_tool(*options, input=text.encode())
                self.assertEqual(self.files(kind), ["photos/a/1.mask.png", "photos/b/1.mask.png"])
                if kind != "dots":
                    self.assertEqual([line["clicks"] for line in lines], [[[2, 3]], [[4, 5]]])
        self.run_tool("--list", "-", "--click", "1,1", "-o", "abs", input=absolute.encode())
        self.assertEqual(self.files("abs"), [absolute[1:].replace(".ppm", ".mask.png")])
        self.run_tool("--list", "-", "--click", "1,1", input=b"photos/a/1.ppm")  # the default output
        self.assertTrue((self.folder / "photos/a/1.mask.png").exists())
        for text, words in ((b"", "names no photo"), (b"\n\n", "names no photo"),
                            (b"photos/b/1.ppm\nphotos/b/1.ppm\n", "given twice"),
                            (b"photos/b/1.ppm\n./photos/b/1.ppm\n", "twice")):  # fmt: skip
            _, err = self.run_tool("--list", "-", "--click", "1,1", "-o", "out", status=2, input=text)
            self.assertIn(words, err)
        _, err = self.run_tool("--list", "absent.txt", "--click", "1,1", status=2)
        self.assertIn("absent.txt: cannot be read", err)
        self.run_tool("--list", "absent.txt", "photos", "--click", "1,1", status=2)
        (self.folder / "list.png").write_text("photos/b/1.ppm\n")
        _, err = self.run_tool("--list", "list.png", "--click", "1,1", "-o", "x", "--trace", "list.png", "--overwrite", status=2)
        self.assertIn("never overwritten", err)

    def test_photos_of_one_name_in_several_folders(self):
        for name in ("a/dog.ppm", "b/dog.ppm"):
            write_photo(self.folder / name)
        _, err = self.run_tool("a/dog.ppm", "b/dog.ppm", "--click", "1,1", "-o", "out", status=2)
        self.assertIn("would be written twice: for a/dog.ppm (--mask) and for b/dog.ppm (--mask)", err)
        _, err = self.run_tool("a", "b", "--click", "1,1", "-o", "out", status=2)
        self.assertFalse((self.folder / "out").exists())
        self.run_tool("a", "b", "--click", "1,1")  # beside the photos there is no collision


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    if "--long" in sys.argv:
        sys.argv.remove("--long")
        COUNT = 10_000
    unittest.main()
