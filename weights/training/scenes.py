"""Training scenes: photos with labelled objects, copy-paste composites, taps.

Everything here is a pure function of a seed and a number, so that training resumes exactly and a cache of features can
be filled lazily. Images are uint8 H x W x 3, labels uint8 H x W (0 = background, 1..n = objects).
"""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

PAPER_SIZE = 512  # network size of the paper: its click jitter is in pixels of that grid
TAP_JITTER = 50  # Sec. 3.4: U(-50, 50) pixels
RANDOM_TAP_SHARE = 0.3  # taps anywhere on the object instead of near its centre
MORE_TAPS_SHARE = 0.1  # views with two or three taps
MIN_OBJECT_SHARE = 0.002  # smaller objects (share of the image's area) are not tapped
CROP_SHARE = 0.5  # scenes whose photo is cropped, keeping its objects
BESIDE_SHARE = 0.3  # composites of two photos beside each other instead of pasted objects
BESIDE_PLACE = (0.35, 0.65)  # where the second photo begins, share of the image's side
SECOND_PASTE_SHARE = 0.25  # composites with two pasted objects
BEHIND_SHARE = 0.3  # pasted objects that go behind the photo's own
PASTE_SIDE = (0.2, 0.7)  # longer side of a pasted object, share of the image's side
MIN_VISIBLE = 0.35  # share of every object that must stay visible under a pasted one


@dataclass
class Scene:
    """image: uint8 S x S x 3; labels: uint8 S x S."""

    image: np.ndarray
    labels: np.ndarray


class Photos:
    """All (image, labels) pairs of the tar archives in some folders, kept encoded in memory."""

    def __init__(self, folders):
        archives = [path for folder in folders for path in sorted(Path(folder).glob("*.tar"))]
        self.pairs = []
        for archive in archives:
            with tarfile.open(archive) as tar:
                members = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
            stems = sorted(name[: -len(".webp")] for name in members if name.endswith(".webp"))
            self.pairs += [(members[stem + ".webp"], members[stem + ".png"]) for stem in stems]
        if not self.pairs:
            raise FileNotFoundError(f"no pairs of .webp and .png in the .tar files of {', '.join(map(str, folders))}")

    def __len__(self):
        return len(self.pairs)

    def load_pair(self, index):
        """Returns (image, labels) at the photo's size."""
        image, labels = (Image.open(io.BytesIO(content)) for content in self.pairs[index])
        return np.asarray(image.convert("RGB")), np.asarray(labels).astype(np.uint8)

    def load(self, index):
        """Returns (image, labels) at the photo's size, of the next pair if that one has no object."""
        while True:
            image, labels = self.load_pair(index % len(self))
            if labels.any():
                return image, labels
            index += 1


def bounding_box(mask):
    """Boolean H x W -> (top, bottom, left, right), ends excluded."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def resize(array, height, width, resample):
    return np.asarray(Image.fromarray(array).resize((width, height), resample))


def random_crop(rng, image, labels):
    """A crop that keeps all objects."""
    top, bottom, left, right = bounding_box(labels > 0)
    height, width = labels.shape
    y0, x0 = (int(rng.uniform(0, 1) * v) for v in (top, left))
    y1, x1 = (int(np.ceil(v + rng.uniform(0, 1) * (end - v))) for v, end in ((bottom, height), (right, width)))
    return image[y0:y1, x0:x1], labels[y0:y1, x0:x1]


def cut_object(rng, photos, size):
    """A random object of a random photo: (image h x w x 3 float32, opacity h x w float32 in 0..1), scaled for pasting."""
    image, labels = photos.load(rng.integers(len(photos)))
    mask = labels == rng.choice(np.unique(labels[labels > 0]))
    top, bottom, left, right = bounding_box(mask)
    image, mask = image[top:bottom, left:right], mask[top:bottom, left:right]
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    # Scenes stretch photos to a square: the object is stretched as its own photo would have been.
    height, width = mask.shape[0] / labels.shape[0], mask.shape[1] / labels.shape[1]
    scale = rng.uniform(*PASTE_SIDE) * size / max(height, width)
    height, width = max(8, round(height * scale)), max(8, round(width * scale))
    image = resize(np.ascontiguousarray(image), height, width, Image.Resampling.BILINEAR)
    opacity = resize(mask.astype(np.uint8) * 255, height, width, Image.Resampling.BILINEAR)
    return image.astype(np.float32), opacity.astype(np.float32) / 255


def paste(rng, scene, image, opacity, attempts=8):
    """Pastes an object with a new label where all others stay visible; the scene stays as it is if no place is found."""
    size, (height, width) = scene.labels.shape[0], opacity.shape
    areas = np.bincount(scene.labels.ravel(), minlength=256)
    behind = rng.random() < BEHIND_SHARE
    for _ in range(attempts):
        y, x = (int(rng.integers(0, max(1, size - v + 1))) for v in (height, width))
        window = (slice(y, y + height), slice(x, x + width))
        alpha = opacity * (scene.labels[window] == 0) if behind else opacity
        covered = np.bincount(scene.labels[window][alpha > 0.5], minlength=256)
        others = (areas > 0) & (np.arange(256) > 0)
        visible = (areas - covered)[others] >= MIN_VISIBLE * areas[others]
        if visible.all() and (alpha > 0.5).sum() >= MIN_VISIBLE * (opacity > 0.5).sum():
            blended = scene.image[window] * (1 - alpha[:, :, None]) + image * alpha[:, :, None]
            scene.image[window] = np.rint(blended).astype(np.uint8)
            scene.labels[window][alpha > 0.5] = scene.labels.max() + 1
            return


def photo_of_size(rng, photos, index, height, width):
    """Photo `index`, cropped or not, and its labels, scaled."""
    image, labels = photos.load(index)
    if rng.random() < CROP_SHARE:
        image, labels = random_crop(rng, image, labels)
    image = resize(np.ascontiguousarray(image), height, width, Image.Resampling.BILINEAR)
    return image, resize(np.ascontiguousarray(labels), height, width, Image.Resampling.NEAREST)


def set_beside(rng, photos, scene):
    """A second photo takes a part of the square, the scene is squeezed into the rest: two objects without traces of pasting."""
    size = scene.labels.shape[0]
    place = round(size * rng.uniform(*BESIDE_PLACE))
    image, labels = photo_of_size(rng, photos, rng.integers(len(photos)), size, size - place)
    labels = np.where(labels > 0, labels + scene.labels.max(), 0)
    image = np.concatenate([resize(scene.image, size, place, Image.Resampling.BILINEAR), image], axis=1)
    labels = np.concatenate([resize(scene.labels, size, place, Image.Resampling.NEAREST), labels], axis=1)
    if rng.random() < 0.5:
        image, labels = image.transpose(1, 0, 2), labels.T
    return Scene(np.ascontiguousarray(image), np.ascontiguousarray(labels))


def jitter_colours(rng, image):
    """Random brightness, contrast and saturation."""
    image = Image.fromarray(image)
    for enhancer in (ImageEnhance.Color, ImageEnhance.Brightness, ImageEnhance.Contrast):
        image = enhancer(image).enhance(rng.uniform(0.75, 1.3))
    return np.asarray(image)


def plain_scene(photos, number, size):
    """A photo as it is."""
    image, labels = photos.load(number)
    return Scene(resize(image, size, size, Image.Resampling.BILINEAR), resize(labels, size, size, Image.Resampling.NEAREST))


def make_scene(photos, seed, number, size, composite_share):
    """Scene `number` of the endless sequence that belongs to `seed`: every photo comes once before any comes again."""
    order = np.random.default_rng([seed, 0, number // len(photos)]).permutation(len(photos))
    rng = np.random.default_rng([seed, 1, number])
    scene = Scene(*(array.copy() for array in photo_of_size(rng, photos, order[number % len(photos)], size, size)))
    if rng.random() < composite_share:
        if rng.random() < BESIDE_SHARE:
            scene = set_beside(rng, photos, scene)
        else:
            for _ in range(1 + (rng.random() < SECOND_PASTE_SHARE)):
                paste(rng, scene, *cut_object(rng, photos, size))
    if rng.random() < 0.5:
        scene.image = jitter_colours(rng, scene.image)
    return scene


def mirrored(scene):
    """The scene mirrored so that features at h/8, whose samples lie at pixels 0, 8, 16, ..., are mirrored exactly.

    The axis is the middle between the first and the last sample; what would come from outside repeats the border.
    """
    size = scene.labels.shape[1]
    columns = np.maximum(size - 8 - np.arange(size), 0)
    return Scene(scene.image[:, columns], scene.labels[:, columns])


def centre_tap(mask):
    """Boolean H x W -> (x, y): the rounded centre of mass if on the object, else the object's pixel nearest to it."""
    ys, xs = np.nonzero(mask)
    x, y = xs.mean(), ys.mean()
    column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    if mask[row, column]:
        return column, row
    nearest = np.argmin((xs - x) ** 2 + (ys - y) ** 2)  # the first in row-major order
    return int(xs[nearest]), int(ys[nearest])


def training_taps(rng, mask):
    """Simulated user taps on an object, boolean S x S -> list of (x, y)."""
    ys, xs = np.nonzero(mask)

    def anywhere():
        pick = rng.integers(len(xs))
        return int(xs[pick]), int(ys[pick])

    first = anywhere()
    if rng.random() >= RANDOM_TAP_SHARE:
        jitter = rng.uniform(-TAP_JITTER, TAP_JITTER, 2) * mask.shape[0] / PAPER_SIZE
        x, y = xs.mean() + jitter[0], ys.mean() + jitter[1]
        nearest = np.argmin((xs - x) ** 2 + (ys - y) ** 2)
        first = int(xs[nearest]), int(ys[nearest])
    more = int(rng.integers(1, 3)) if rng.random() < MORE_TAPS_SHARE else 0
    return [first] + [anywhere() for _ in range(more)]


def make_view(rng, scene, may_flip=True):
    """One training example of a scene: (image, target bool S x S, taps, whether it is mirrored)."""
    flip = bool(rng.random() < 0.5) and may_flip
    if flip:
        scene = mirrored(scene)
    areas = np.bincount(scene.labels.ravel(), minlength=256)[1:]
    large = np.flatnonzero(areas >= MIN_OBJECT_SHARE * scene.labels.size)
    target = scene.labels == 1 + (rng.choice(large) if len(large) else np.argmax(areas))
    return scene.image, target, training_taps(rng, target), flip


class Batches:
    """The training data as a map-style dataset of whole batches: item `step` is a function of the seed and the step.

    With `scenes` = 0 every example is a new scene; else the scenes 0 .. scenes - 1 come in a new order every epoch. Each batch
    has one of `sizes`, chosen at random. `guidance` maps (taps, size) to the guidance map. `plain` photos are not changed.
    """

    def __init__(self, photos, seed, batch, sizes, scenes, composite_share, guidance, plain=False):
        self.photos, self.seed, self.batch, self.sizes = photos, seed, batch, sizes
        self.scenes, self.composite_share, self.guidance, self.plain = scenes, composite_share, guidance, plain

    def scene_number(self, visit):
        if not self.scenes:
            return visit
        epoch, position = divmod(visit, self.scenes)
        return int(np.random.default_rng([self.seed, 2, epoch]).permutation(self.scenes)[position])

    def __getitem__(self, step):
        """dict of numpy arrays: number N, flip N, image N x S x S x 3 uint8, guidance N x 1 x S x S, target N x 1 x S x S."""
        size = int(np.random.default_rng([self.seed, 4, step]).choice(self.sizes))
        examples = []
        for visit in range(step * self.batch, (step + 1) * self.batch):
            number = self.scene_number(visit)
            if self.plain:
                scene = plain_scene(self.photos, number, size)
            else:
                scene = make_scene(self.photos, self.seed, number, size, self.composite_share)
            image, target, taps, flip = make_view(np.random.default_rng([self.seed, 3, visit]), scene, not self.plain)
            examples.append((number, flip, image, self.guidance(taps, size), target[None]))
        return {
            key: np.stack(values)
            for key, values in zip(("number", "flip", "image", "guidance", "target"), zip(*examples))
        }
