#!/usr/bin/env python3
"""tools/prepare_dataset.py on tiny copies of the distributions' layouts."""

import io
import json
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

try:
    import numpy as np
    from PIL import Image
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import prepare_dataset  # noqa: E402

WIDTH, HEIGHT = 12, 8
VOID = 255


def save(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    if mode == "P":
        image = image.convert("L")
        image.putpalette([c for i in range(256) for c in (i * 37 % 256, i * 91 % 256, 255 - i)])
    elif mode:
        image = image.convert(mode)
    image.save(path, **options)


def photo(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3))


def block(value=255, left=2, top=1, right=7, bottom=6):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top:bottom, left:right] = value
    return mask


def encode_counts(counts):
    """The inverse of decode_counts."""
    text = ""
    for i, count in enumerate(counts):
        value, more = count - counts[i - 2] if i > 2 else count, True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr((bits | (32 if more else 0)) + 48)
    return text


def runs_of(mask):
    flat, counts, last = mask.T.ravel(), [0], False
    for v in flat:
        if bool(v) != last:
            counts.append(0)
            last = bool(v)
        counts[-1] += 1
    return counts


class PrepareTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source, self.out = Path(folder.name) / "source", Path(folder.name) / "out"
        self.source.mkdir()

    def prepare(self, *arguments, status=0):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            found = prepare_dataset.main([arguments[0], str(self.source), str(self.out), *map(str, arguments[1:])])
        self.assertEqual(found, status, (out.getvalue(), err.getvalue()))
        return out.getvalue() + err.getvalue()

    def pairs(self, folder="."):
        """Stem -> (photo, mask); every photo has a mask and the other way round."""
        photos = {p.stem: p for p in (self.out / folder / "img").iterdir()}
        masks = {p.stem: p for p in (self.out / folder / "gt").iterdir()}
        self.assertEqual(sorted(photos), sorted(masks))
        result = {}
        for name, path in masks.items():
            with Image.open(path) as image, Image.open(photos[name]) as shown:
                self.assertEqual(image.mode, "L")
                self.assertEqual(shown.size, image.size)
                result[name] = (np.asarray(shown), np.asarray(image))
            self.assertLessEqual(set(np.unique(result[name][1])), {0, 128, 255})
        return result

    def test_grabcut(self):
        trimap = block()
        trimap[1, 2:7] = 128
        save(self.source / "data_GT" / "llama.bmp", photo(1))
        save(self.source / "boundary_GT" / "llama.bmp", trimap)
        save(self.source / "data_GT" / "flower.JPG", photo(2), format="JPEG")
        save(self.source / "boundary_GT" / "flower.bmp", np.dstack([block()] * 3))
        self.prepare("grabcut")
        pairs = self.pairs()
        self.assertEqual(sorted(pairs), ["flower", "llama"])
        np.testing.assert_array_equal(pairs["llama"][1], trimap)
        np.testing.assert_array_equal(pairs["llama"][0], photo(1))
        np.testing.assert_array_equal(pairs["flower"][1], block())
        self.assertTrue((self.out / "img" / "flower.jpg").exists())

    def test_berkeley_has_several_objects_a_photo(self):
        save(self.source / "images" / "101027.jpg", photo())
        save(self.source / "masks" / "101027#1.png", block(1))  # 0 and 1
        save(self.source / "masks" / "101027#2.png", block(255, 8, 2, 11, 5))
        save(self.source / "masks" / "7.png", block())
        self.assertIn("7: there is no photo", self.prepare("berkeley", status=1))
        pairs = self.pairs()
        self.assertEqual(sorted(pairs), ["101027#1", "101027#2"])
        np.testing.assert_array_equal(pairs["101027#1"][1], block())

    def test_binary_sets(self):
        for kind, photos, masks in (
            ("ecssd", "images", "ground_truth_mask"),
            ("msra10k", "Imgs", "Imgs"),
            ("duts", "DUTS-TE-Image", "DUTS-TE-Mask"),
        ):
            with self.subTest(kind):
                soft = block()
                soft[1, 2:7], soft[5, 2:7] = 100, 200
                self.source = self.source.parent / kind
                self.out = self.out.parent / f"{kind}-out"
                save(self.source / photos / "a.jpg", photo())
                save(self.source / masks / "a.png", soft)
                save(self.source / photos / "b.jpg", photo())
                save(self.source / masks / "b.png", block(0))
                self.assertIn("1 empty", self.prepare(kind))
                pairs = self.pairs()
                self.assertEqual(list(pairs), ["a"])
                np.testing.assert_array_equal(pairs["a"][1], np.where(soft > 127, 255, 0))

    def test_davis(self):
        for frame in ("00000", "00001"):
            save(self.source / "JPEGImages/480p/bear" / f"{frame}.jpg", photo())
            objects = block(1)
            objects[0, 10] = 2
            save(self.source / "Annotations/480p/bear" / f"{frame}.png", objects, "P")
        names = self.source / "names.txt"
        names.write_text("bear/00001\n")
        self.prepare("davis", "--names", names)
        pairs = self.pairs()
        self.assertEqual(list(pairs), ["bear-00001"])
        expected = block()
        expected[0, 10] = 255
        np.testing.assert_array_equal(pairs["bear-00001"][1], expected)

    def test_davis_in_one_folder_and_in_colour(self):
        save(self.source / "img" / "000.jpg", photo())
        save(self.source / "gt" / "000.png", np.dstack([block(0), block(128), block(0)]))
        self.prepare("davis")
        np.testing.assert_array_equal(self.pairs()["000"][1], block())

    def test_voc_objects(self):
        objects = block(1) + block(2, 8, 2, 11, 5)
        objects[0, :] = VOID
        for name in ("2007_000033", "2007_000042", "2007_000061"):
            save(self.source / "VOC2012/JPEGImages" / f"{name}.jpg", photo())
            save(self.source / "VOC2012/SegmentationObject" / f"{name}.png", objects, "P")
        listing = self.source / "VOC2012/ImageSets/Segmentation/val.txt"
        listing.parent.mkdir(parents=True)
        listing.write_text("2007_000033\n2007_000042\n2007_999999\n")
        self.assertIn("2007_999999", self.prepare("voc2012", status=1))
        pairs = self.pairs()
        self.assertEqual(sorted(pairs), ["2007_000033-1", "2007_000033-2", "2007_000042-1", "2007_000042-2"])
        np.testing.assert_array_equal(pairs["2007_000033-1"][1], np.where(objects == VOID, 128, block()))
        np.testing.assert_array_equal(pairs["2007_000042-2"][1], np.where(objects == VOID, 128, block(255, 8, 2, 11, 5)))

    def write_coco(self, per_category=3, more=()):
        """Two categories, one of VOC; every photo has a polygon, a run-length mask and a crowd of each."""
        images, annotations = [], []
        ring = block() - block(255, 4, 3, 5, 4)
        for image in range(1, per_category + 1):
            images.append({"id": image, "file_name": f"{image:012}.jpg", "width": WIDTH, "height": HEIGHT})
            save(self.source / "val2017" / f"{image:012}.jpg", photo(image))
            for category in (1, 2):
                base = {"image_id": image, "category_id": category, "iscrowd": 0}
                first, runs = 100 * image + 10 * category, {"size": [HEIGHT, WIDTH], "counts": runs_of(ring)}
                text = {**runs, "counts": encode_counts(runs["counts"])}
                annotations += [
                    {**base, "id": first, "segmentation": [[2, 1, 7, 1, 7, 6, 2, 6]]},
                    {**base, "id": first + 1, "segmentation": text},
                    {**base, "id": first + 2, "iscrowd": 1, "segmentation": runs},
                ]
        categories = [{"id": 1, "name": "potted plant"}, {"id": 2, "name": "teddy bear"}]
        path = self.source / "annotations" / "instances_val2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"images": images, "annotations": [*annotations, *more], "categories": categories}))
        return ring

    def test_coco_every_object(self):
        ring = self.write_coco()
        self.prepare("coco", "--per-category", 0)
        voc, other = self.pairs("coco-20"), self.pairs("coco-60")
        self.assertEqual((len(voc), len(other)), (6, 6))
        np.testing.assert_array_equal(voc["potted-plant-000000000001-110"][1], block())
        np.testing.assert_array_equal(other["teddy-bear-000000000002-221"][1], ring)

    def test_coco_draws_photos_per_category(self):
        self.write_coco(per_category=8)
        drawn = []
        for name, arguments in (("a", ["--seed", 1]), ("b", ["--seed", 1]), ("c", ["--seed", 2])):
            self.out = self.out.parent / name
            self.prepare("coco", "--per-category", 4, *arguments)
            names = [*self.pairs("coco-20"), *self.pairs("coco-60")]
            self.assertEqual(len(names), 8)
            self.assertEqual(len({name.rsplit("-", 1)[0] for name in names}), 8)  # one object of a category in a photo
            drawn.append(sorted(names))
        self.assertEqual(drawn[0], drawn[1])
        self.assertNotEqual(drawn[0], drawn[2])

    def test_coco_damage(self):
        base = {"image_id": 1, "category_id": 1, "iscrowd": 0}
        size = [HEIGHT, WIDTH]
        self.write_coco(1, [{**base, "id": 1, "segmentation": {"size": size, "counts": [5, 5]}},
                            {**base, "id": 2, "segmentation": {"size": [1, 1], "counts": [0, 1]}},
                            {**base, "id": 3, "segmentation": {"size": size, "counts": "o"}},
                            {**base, "id": 4, "segmentation": {"size": size, "counts": "\x7f\x10"}},
                            {**base, "id": 5, "segmentation": [[1, 1, 2]]},
                            {**base, "id": 6, "segmentation": [[-9, -9, -1, -9, -1, -1]]},
                            {"id": 7, "image_id": 99, "category_id": 2, "segmentation": [[0, 0, 3, 0, 3, 3]]}])  # fmt: skip
        text = self.prepare("coco", "--per-category", 0, status=1)
        for number in (1, 2, 3, 4, 5, 7):
            self.assertIn(f"annotation {number}:", text)
        self.assertIn("1 empty", text)
        self.assertEqual((len(self.pairs("coco-20")), len(self.pairs("coco-60"))), (2, 2))

    def test_polygons_fill_the_pixels_whose_centres_they_hold(self):
        rng = np.random.default_rng(5)
        for trial in range(200):
            points = rng.uniform(-3, 14, (rng.integers(3, 9), 2))
            if trial % 3 == 0:
                points = np.round(points * 2) / 2  # corners on pixel centres and borders
            found = np.zeros((HEIGHT, WIDTH), bool)
            prepare_dataset.fill_polygon(points, found)
            for y in range(HEIGHT):
                for x in range(WIDTH):
                    inside = False
                    for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0)):
                        if (ay <= y + 0.5) != (by <= y + 0.5):
                            inside ^= ax + (y + 0.5 - ay) * (bx - ax) / (by - ay) <= x + 0.5
                    self.assertEqual(found[y, x], inside, (trial, x, y))

    def test_run_lengths(self):
        rng = np.random.default_rng(6)
        for density in (0, 0.02, 0.5, 1):
            mask = rng.random((61, 83)) < density
            counts = runs_of(mask)
            for form in (counts, encode_counts(counts)):
                np.testing.assert_array_equal(prepare_dataset.decode_runs({"size": [61, 83], "counts": form}, 61, 83), mask)
        # By hand: 6; 32 = 0 and more, then 1; 2; 40 - 32 = 8; 0 - 2 = -2.
        self.assertEqual(prepare_dataset.decode_counts("6P128N"), [6, 32, 2, 40, 0])

    def test_photos_that_would_be_shown_differently_become_png(self):
        exif = Image.Exif()
        exif[prepare_dataset.EXIF_ORIENTATION] = 6
        save(self.source / "images" / "rotated.jpg", photo(), exif=exif)
        save(self.source / "images" / "print.jpg", photo(), "CMYK")
        save(self.source / "images" / "plain.jpg", photo())
        for name in ("rotated", "print", "plain"):
            save(self.source / "ground_truth_mask" / f"{name}.png", block())
        self.prepare("ecssd")
        self.assertEqual(sorted(p.name for p in (self.out / "img").iterdir()), ["plain.jpg", "print.png", "rotated.png"])
        self.pairs()

    def test_damage_is_a_sentence_and_the_rest_goes_on(self):
        for name in ("a", "b", "c"):
            save(self.source / "images" / f"{name}.jpg", photo())
            save(self.source / "ground_truth_mask" / f"{name}.png", block())
        (self.source / "ground_truth_mask" / "a.png").write_bytes(b"\x89PNG")
        save(self.source / "ground_truth_mask" / "b.png", block()[:4])
        text = self.prepare("ecssd", status=1)
        self.assertIn("b: the mask is 12x4, the photo 12x8", text)
        self.assertEqual(list(self.pairs()), ["c"])

    def test_usage(self):
        self.assertIn("ground_truth_mask", self.prepare("ecssd", status=2))
        self.assertIn("instances_val2017.json", self.prepare("coco", status=2))
        self.assertIn("val.txt", self.prepare("voc2012", status=2))
        save(self.source / "img" / "a.jpg", photo())
        save(self.source / "gt" / "a.png", block())
        self.prepare("davis")
        self.assertIn("not empty", self.prepare("davis", status=2))


if __name__ == "__main__":
    unittest.main()
