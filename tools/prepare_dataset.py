#!/usr/bin/env python3
"""Turns a data set as its authors distribute it into the folder that mfs_eval reads: img/ (photos) and gt/ (masks of the
same name: 255 object, 0 background, 128 ignored).

    prepare_dataset.py grabcut  GrabCut/              out/grabcut     # data_GT/, boundary_GT/
    prepare_dataset.py berkeley Berkeley/             out/berkeley    # images/, masks/
    prepare_dataset.py ecssd    ECSSD/                out/ecssd       # images/, ground_truth_mask/
    prepare_dataset.py msra10k  MSRA10K_Imgs_GT/      out/msra10k     # Imgs/ with .jpg and .png
    prepare_dataset.py duts     DUTS-TE/              out/duts-te     # DUTS-TE-Image/, DUTS-TE-Mask/
    prepare_dataset.py davis    DAVIS/                out/davis       # JPEGImages/480p/, Annotations/480p/, or img/, gt/
    prepare_dataset.py voc2012  VOCdevkit/VOC2012/    out/voc         # one mask per object of the val split
    prepare_dataset.py coco     coco/                 out/coco        # out/coco/coco-20 and out/coco/coco-60

Photos are linked or copied as they are, except those that mfs_eval would not show as their annotators saw them (CMYK, an EXIF
orientation, other formats): these are stored as PNG. Needs numpy and Pillow.

Exit status: 0 all done; 1 some items failed; 2 usage.
"""

import argparse
import json
import os
import random
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

OBJECT, IGNORED = 255, 128
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".bmp", ".png", ".ppm", ".tif", ".tiff", ".webp")
MASK_SUFFIXES = (".png", ".bmp")
EXIF_ORIENTATION = 0x0112
# COCO's names of the 20 categories of PASCAL VOC.
VOC_CATEGORIES = frozenset(
    ["person", "bird", "cat", "cow", "dog", "horse", "sheep", "airplane", "bicycle", "boat", "bus", "car", "motorcycle"]
    + ["train", "bottle", "chair", "dining table", "potted plant", "couch", "tv"]
)
# Folders of photos and masks, in the order in which they are looked for.
LAYOUTS = {
    "grabcut": [("data_GT", "boundary_GT"), ("images", "masks")],
    "berkeley": [("images", "masks"), ("images", "objects")],
    "ecssd": [("images", "ground_truth_mask"), ("images", "masks")],
    "msra10k": [("Imgs", "Imgs"), ("MSRA10K_Imgs_GT/Imgs", "MSRA10K_Imgs_GT/Imgs")],
    "duts": [("DUTS-TE-Image", "DUTS-TE-Mask"), ("DUTS-TR-Image", "DUTS-TR-Mask")],
    "davis": [("JPEGImages/480p", "Annotations/480p"), ("img", "gt")],
}


class UsageError(Exception):
    pass


class ItemError(Exception):
    """One item cannot be used; the message is one sentence."""


# Masks.


def binary_mask(image):
    """A picture of 0 and 255, possibly with grey edges, or of 0 and 1."""
    values = np.asarray(image.convert("L"))
    return np.where(values > (127 if values.max(initial=0) > 127 else 0), OBJECT, 0).astype(np.uint8)


def trimap_mask(image):
    """GrabCut: black background, white object, grey where the annotators did not decide."""
    values = np.asarray(image.convert("L")).astype(int)
    return np.where(values > 160, OBJECT, np.where(values >= 96, IGNORED, 0)).astype(np.uint8)


def merged_mask(image):
    """DAVIS: every annotated object, whatever its index or colour."""
    values = np.asarray(image)
    return np.where((values > 0 if values.ndim == 2 else values[..., :3].max(axis=2) > 0), OBJECT, 0).astype(np.uint8)


def object_masks(image):
    """PASCAL VOC: object index -> its mask; the void border (255) of all objects is ignored."""
    indices = np.asarray(image)
    if image.mode not in ("P", "L"):
        raise ItemError(f"the objects are not stored as indices (mode {image.mode})")
    void = np.where(indices == 255, IGNORED, 0).astype(np.uint8)
    return {int(n): np.where(indices == n, OBJECT, void).astype(np.uint8) for n in np.unique(indices) if 0 < n < 255}


def fill_polygon(points, mask):
    """Sets the pixels whose centres lie inside (even-odd rule). Points are x, y; pixel (0, 0) covers 0..1."""
    height, width = mask.shape
    x, y = points[:, 0], points[:, 1]
    x_next, y_next = np.roll(x, -1), np.roll(y, -1)
    for row in range(max(0, int(np.floor(y.min()))), min(height, int(np.ceil(y.max())) + 1)):
        centre = row + 0.5
        crosses = (y <= centre) != (y_next <= centre)
        at = x[crosses] + (centre - y[crosses]) * (x_next[crosses] - x[crosses]) / (y_next[crosses] - y[crosses])
        # A pixel is inside if an odd number of crossings lies left of its centre.
        first = np.clip(np.ceil(at - 0.5), 0, width).astype(int)
        toggles = np.bincount(first, minlength=width + 1)[:width]
        mask[row] |= np.cumsum(toggles) % 2 == 1


def decode_counts(text):
    """COCO's compressed run lengths: 5 bits a character from 48 on, bit 6 = more follow, signed; from the fourth on they are
    differences to the length before the last."""
    counts, at = [], 0
    while at < len(text):
        value = shift = 0
        more = True
        while more:
            if at == len(text):
                raise ItemError("the run lengths end in the middle of a number")
            code = ord(text[at]) - 48
            if not 0 <= code < 64:
                raise ItemError("the run lengths hold a character that is none of theirs")
            value |= (code & 31) << shift
            more, at, shift = code & 32, at + 1, shift + 5
        if code & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def decode_runs(segmentation, height, width):
    """{"size": [h, w], "counts": list or text} -> boolean mask; runs go down the columns and start with background."""
    counts = segmentation["counts"]
    counts = decode_counts(counts) if isinstance(counts, str) else counts
    if list(segmentation["size"]) != [height, width]:
        raise ItemError(f"the annotation is {segmentation['size'][::-1]}, the photo {[width, height]}")
    if any(n < 0 for n in counts) or sum(counts) != height * width:
        raise ItemError("the run lengths do not add up to the photo's size")
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return values.reshape(width, height).T


def coco_mask(annotation, height, width):
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, dict):
        found = decode_runs(segmentation, height, width)
    else:
        found = np.zeros((height, width), bool)
        for polygon in segmentation:
            part = np.zeros((height, width), bool)
            fill_polygon(np.asarray(polygon, float).reshape(-1, 2), part)
            found |= part
    return np.where(found, OBJECT, 0).astype(np.uint8)


# Files.


class Output:
    """A folder in the making. Counts what went in."""

    def __init__(self, folder):
        self.folder, self.done, self.failed, self.empty = Path(folder), 0, 0, 0
        for part in ("img", "gt"):
            target = self.folder / part
            if target.exists() and any(target.iterdir()):
                raise UsageError(f"{target} is not empty; choose a new folder")
            target.mkdir(parents=True, exist_ok=True)

    def fail(self, name, reason):
        print(f"prepare_dataset: {name}: {reason}", file=sys.stderr)
        self.failed += 1

    def add(self, name, photo, mask):
        """True when the pair was stored; an empty mask is counted, not stored."""
        if not (mask == OBJECT).any():
            self.empty += 1
            return False
        with Image.open(photo) as image:
            if image.size != mask.shape[::-1]:
                width, height = image.size
                raise ItemError(f"the mask is {mask.shape[1]}x{mask.shape[0]}, the photo {width}x{height}")
            plain = image.format in ("JPEG", "PNG", "BMP") and image.mode in ("RGB", "L", "P")
            if plain and image.getexif().get(EXIF_ORIENTATION, 1) == 1:
                target = self.folder / "img" / (name + photo.suffix.lower())
                try:
                    os.link(photo.resolve(), target)
                except OSError:
                    shutil.copyfile(photo, target)
            else:
                pixels = Image.fromarray(np.asarray(image.convert("RGB")))  # leaves the orientation behind
                pixels.save(self.folder / "img" / f"{name}.png")
        Image.fromarray(mask).save(self.folder / "gt" / f"{name}.png", optimize=True)
        self.done += 1
        return True

    def summary(self):
        text = f"{self.folder}: {self.done} masks"
        text += f", {self.empty} empty ones left out" if self.empty else ""
        return text + (f", {self.failed} failed" if self.failed else "")


def attempt(output, name, action):
    """Runs `action`, turns what it cannot read into a failed item; None then."""
    try:
        return action()
    except (ItemError, OSError, SyntaxError, ValueError, KeyError, TypeError, Image.DecompressionBombError) as error:
        output.fail(name, error if not isinstance(error, KeyError) else f"{error} is missing")
        return None


def files_below(folder, suffixes):
    """Path relative to `folder`, without suffix -> file."""
    return {
        str(path.relative_to(folder).with_suffix("")): path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith(".")
    }


def photo_of(name, photos):
    """The photo of a mask: of the same name, or of the name before a mark that counts objects ("101027#2")."""
    for candidate in (name, *(name.rsplit(mark, 1)[0] for mark in "#_-" if mark in name)):
        if candidate in photos:
            return photos[candidate]
    raise ItemError("there is no photo for this mask")


def read_names(path):
    return None if path is None else {line.split()[0] for line in path.read_text().splitlines() if line.strip()}


# Data sets.


def prepare_pairs(kind, source, out, options):
    for photo_folder, mask_folder in LAYOUTS[kind]:
        if (source / photo_folder).is_dir() and (source / mask_folder).is_dir():
            break
    else:
        wanted = " or ".join(f"{a}/ and {b}/" for a, b in LAYOUTS[kind])
        raise UsageError(f"{source} has not the folders of {kind}: {wanted}")
    shared = photo_folder == mask_folder
    photos = files_below(source / photo_folder, PHOTO_SUFFIXES[:2] if shared else PHOTO_SUFFIXES)
    masks = files_below(source / mask_folder, MASK_SUFFIXES)
    to_mask = {"grabcut": trimap_mask, "davis": merged_mask}.get(kind, binary_mask)
    names, output = read_names(options.names), Output(out)

    def add(name, path):
        with Image.open(path) as image:
            output.add(name.replace("/", "-"), photo_of(name, photos), to_mask(image))

    for name, path in masks.items():
        if names is None or name in names or Path(name).name in names:
            attempt(output, name, lambda name=name, path=path: add(name, path))
    return [output]


def prepare_voc(source, out, options):
    if not (source / "SegmentationObject").is_dir():
        source = next((p for p in (source / "VOC2012", source / "VOCdevkit" / "VOC2012") if p.is_dir()), source)
    listing = options.names or source / "ImageSets" / "Segmentation" / f"{options.split}.txt"
    if not listing.is_file() or not (source / "SegmentationObject").is_dir():
        raise UsageError(f"{source} lacks SegmentationObject/ or {listing}")
    output = Output(out)

    def add(name):
        with Image.open(source / "SegmentationObject" / f"{name}.png") as image:
            for index, mask in object_masks(image).items():
                output.add(f"{name}-{index}", source / "JPEGImages" / f"{name}.jpg", mask)

    for name in sorted(read_names(listing)):
        attempt(output, name, lambda name=name: add(name))
    return [output]


def sample_coco(annotations, per_category, seed):
    """Yields (category id, image id, annotations of both) per category in an order drawn with `seed`; every category has its
    own generator, so that one category does not change another's."""
    by_category = {}
    for annotation in annotations:
        if not annotation.get("iscrowd", 0):
            images = by_category.setdefault(annotation["category_id"], {})
            images.setdefault(annotation["image_id"], []).append(annotation)
    for category, images in sorted(by_category.items()):
        generator = random.Random(f"{seed}/{category}")
        order = sorted(images)
        if per_category:
            generator.shuffle(order)
        for image in order:
            choices = sorted(images[image], key=lambda annotation: annotation["id"])
            if per_category:
                generator.shuffle(choices)
            yield category, image, choices


def prepare_coco(source, out, options):
    listing = options.annotations or source / "annotations" / f"instances_{options.split}.json"
    if not listing.is_file():
        raise UsageError(f"{listing} does not exist; name the file with --annotations")
    content = json.loads(listing.read_text())
    photos = {image["id"]: image for image in content["images"]}
    names = {category["id"]: category["name"] for category in content["categories"]}
    outputs = {20: Output(out / "coco-20"), 60: Output(out / "coco-60")}
    wanted, stored = options.per_category, {}

    def add(output, category, image_id, annotation):
        image = photos[image_id]
        mask = coco_mask(annotation, image["height"], image["width"])
        name = f"{names[category].replace(' ', '-')}-{image_id:012}-{annotation['id']}"
        return output.add(name, source / options.split / image["file_name"], mask)

    for category, image_id, choices in sample_coco(content["annotations"], wanted, options.seed):
        output = outputs[20 if names[category] in VOC_CATEGORIES else 60]
        for annotation in choices:
            if wanted and stored.get(category, 0) == wanted:
                break
            item = f"annotation {annotation['id']}"
            if attempt(output, item, lambda c=category, i=image_id, a=annotation, o=output: add(o, c, i, a)) and wanted:
                stored[category] = stored.get(category, 0) + 1
                break  # one object of a category in a photo
    return list(outputs.values())


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=[*LAYOUTS, "voc2012", "coco"])
    parser.add_argument("source", type=Path, help="the unpacked distribution")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--names", type=Path, help="use only the items named in this file, one a line (not for coco)")
    parser.add_argument("--split", help="voc2012: val, train or trainval [val]; coco: folder of the photos [val2017]")
    parser.add_argument("--annotations", type=Path, help="coco: JSON file [SOURCE/annotations/instances_SPLIT.json]")
    parser.add_argument("--per-category", type=int, default=10, metavar="N",
                        help="coco: photos drawn per category, one object of it in each; 0 = every object [10]")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="coco: of the drawing [0]")
    options = parser.parse_args(arguments)
    options.split = options.split or {"coco": "val2017"}.get(options.kind, "val")
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    try:
        if not options.source.is_dir():
            raise UsageError(f"{options.source} is not a folder")
        if options.names is not None and (options.kind == "coco" or not options.names.is_file()):
            raise UsageError(f"--names {options.names}: no such file, or of no use to {options.kind}")
        prepare = {"voc2012": prepare_voc, "coco": prepare_coco}.get(options.kind)
        if prepare:
            outputs = prepare(options.source, options.out, options)
        else:
            outputs = prepare_pairs(options.kind, options.source, options.out, options)
    except UsageError as error:
        print(f"prepare_dataset: {error}", file=sys.stderr)
        return 2
    for output in outputs:
        print(output.summary())
    return 1 if any(output.failed for output in outputs) or not any(output.done for output in outputs) else 0


if __name__ == "__main__":
    sys.exit(main())
