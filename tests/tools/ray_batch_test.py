"""tools/ray_batch.py on one machine with two workers: masks, bad photos, resuming. Needs ray[data], pillow and the mfs package."""
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
MISSING = [name for name in ("mfs", "ray", "PIL", "pyarrow") if importlib.util.find_spec(name) is None]


def batch(*arguments):
    return subprocess.run([sys.executable, SOURCE / "tools/ray_batch.py", *map(str, arguments)], capture_output=True, text=True,
                          check=False, env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"})


class RayBatch(unittest.TestCase):
    def setUp(self):
        from PIL import Image
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.photos, self.masks = self.root / "photos", self.root / "masks"
        (self.photos / "sub").mkdir(parents=True)
        clicks = json.loads((SOURCE / "tools/demo/clicks.json").read_text())
        with Image.open(SOURCE / "tools/demo/cat.jpg") as cat:
            self.tap = clicks["cat.jpg"][0]
            self.size = cat.size
            for name in ("a.jpg", "b.png", "sub/c.jpg", "untapped.png"):
                cat.save(self.photos / name)
            self.names = ["a.jpg", "b.png", "sub/c.jpg"]
            # Lying on its side, with the tap of the upright photo.
            cat.rotate(90, expand=True).save(self.photos / "turned.jpg", exif=self.orientation(6))
            self.jpeg = (self.photos / "a.jpg").read_bytes()
        (self.photos / "broken.jpg").write_bytes(self.jpeg[:300])
        self.clicks = self.root / "clicks.json"
        self.clicks.write_text(json.dumps({name: [self.tap] for name in [*self.names, "broken.jpg", "turned.jpg"]}))

    def tearDown(self):
        self.folder.cleanup()

    @staticmethod
    def orientation(value):
        from PIL import Image
        exif = Image.Exif()
        exif[0x0112] = value
        return exif

    def check_mask(self, path):
        from PIL import Image
        with Image.open(path) as mask:
            self.assertEqual((mask.mode, mask.size), ("L", self.size))
            self.assertEqual(mask.getpixel(tuple(self.tap)), 255)

    def test_folder(self):
        result = batch(self.photos, self.masks, "--clicks", self.clicks, "--workers", 2, "--device", "cpu")
        self.assertEqual(result.returncode, 1, result.stderr)  # two photos cannot succeed
        rows = {row["input"]: row for row in map(json.loads, result.stdout.splitlines())}
        self.assertEqual(set(rows), {*self.names, "turned.jpg", "broken.jpg", "untapped.png"})
        self.assertEqual({name for name, row in rows.items() if row["status"] == "failed"}, {"broken.jpg", "untapped.png"})
        self.assertEqual(rows["untapped.png"]["error"], "no tap")
        self.assertIn("broken.jpg: ", result.stderr)
        for name in [*self.names, "turned.jpg"]:
            self.check_mask(self.masks / Path(name).with_suffix(".mask.png"))
        self.assertEqual(len(list(self.masks.rglob("*.*"))), 4)  # nothing half-written

        # The same command goes on with what is missing, and touches nothing else.
        (self.masks / "b.mask.png").unlink()
        before = (self.masks / "a.mask.png").stat().st_mtime_ns
        result = batch(self.photos, self.masks, "--clicks", self.clicks, "--workers", 2, "--device", "cpu")
        done = [row["input"] for row in map(json.loads, result.stdout.splitlines()) if row["status"] == "ok"]
        self.assertEqual(done, ["b.png"], result.stderr)
        self.assertIn("3 had their masks", result.stderr)
        self.assertEqual((self.masks / "a.mask.png").stat().st_mtime_ns, before)

    def test_parquet(self):
        import pyarrow as pa
        import pyarrow.parquet as pq
        x, y = self.tap
        rows = [{"name": "p1", "image": self.jpeg, "taps": [[x, y], [x + 1, y]]}, {"name": "p2", "image": b"no photo", "taps": [[x, y]]},
                {"name": "../out", "image": self.jpeg, "taps": [[x, y]]}, {"name": "far", "image": self.jpeg, "taps": [[1e6, y]]}]
        pq.write_table(pa.Table.from_pylist(rows), self.root / "photos.parquet")
        result = batch(self.root / "photos.parquet", self.masks, "--workers", 2, "--device", "cpu")
        self.assertEqual(result.returncode, 1, result.stderr)
        states = {row["input"]: row["status"] for row in map(json.loads, result.stdout.splitlines())}
        self.assertEqual(states, {"p1": "ok", "p2": "failed", "../out": "failed", "far": "failed"}, result.stderr)
        self.check_mask(self.masks / "p1.mask.png")
        self.assertEqual(os.listdir(self.masks), ["p1.mask.png"])
        self.assertFalse((self.root / "out.mask.png").exists())

    def test_usage_and_weights(self):
        for arguments, status, words in ((("nowhere", self.masks), 2, "there is no"), ((self.photos, self.masks), 2, "--clicks"),
                                         ((self.photos, self.masks, "--clicks", self.clicks, "--weights", "nowhere"), 3, "nowhere")):
            result = batch(*arguments)
            self.assertEqual(result.returncode, status, result.stderr)
            self.assertIn(words, result.stderr)


if __name__ == "__main__":
    if MISSING:
        print("skipped: needs the Python packages", ", ".join(MISSING))
        sys.exit(77)
    unittest.main()
