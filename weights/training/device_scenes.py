"""Training batches composed on the device that trains, for GPUs that train faster than processes prepare scenes.

The kinds of scenes are those of scenes.py: photos cropped around their objects, pasted objects in front or behind, two photos
beside each other, changed colours, mirrored, simulated taps. An object is pasted at one random place, and left out if it does not
fit there. All photos lie decoded in the device's memory, stretched to a square. Scenes are drawn at twice the size, without soft
edges, and averaged down. On one kind of device, a batch is a function of the seed, the step and the settings.
"""

import mmap
import multiprocessing
import os

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from preprocess import guidance_of_square
from scenes import (
    BEHIND_SHARE,
    BESIDE_PLACE,
    BESIDE_SHARE,
    CROP_SHARE,
    MIN_OBJECT_SHARE,
    MIN_VISIBLE,
    MORE_TAPS_SHARE,
    PAPER_SIZE,
    PASTE_SIDE,
    RANDOM_TAP_SHARE,
    SECOND_PASTE_SHARE,
    TAP_JITTER,
    bounding_box,
    resize,
)

PHOTO_SIDE = 352  # at least, of photos in memory: the longer side of nearly all training data
SECOND_PHOTO = 64  # added to the labels of a photo set beside
PASTED = 128  # label of the first pasted object
LABELS = 256
LUMA = (0.299, 0.587, 0.114)


def decode_photos(photos, side, processes):
    """All photos as uint8 N x 3 x side x side and N x side x side, and their objects as rows of int64 (photo, label) and float
    (top, bottom, left, right), shares of the side. Photos without an object are left out. Needs twice the result's memory.
    Raises ValueError when a photo cannot be decoded, or has more objects than labels are for."""
    count, pixels = len(photos), side * side
    memory = mmap.mmap(-1, count * 4 * pixels)  # shared with the processes
    planes = np.frombuffer(memory, np.uint8).reshape(count, 4, side, side)

    def decode(number):
        image, labels = photos.load_pair(number)
        labels = resize(labels, side, side, Image.Resampling.NEAREST)
        planes[number, :3] = resize(image, side, side, Image.Resampling.BILINEAR).transpose(2, 0, 1)
        planes[number, 3] = labels
        if labels.max() >= SECOND_PHOTO:
            raise ValueError(f"more than {SECOND_PHOTO - 1} objects")
        for label in np.unique(labels[labels > 0]):
            yield (number, int(label), *(float(v) / side for v in bounding_box(labels == label)))

    def work(numbers, result):
        rows = []
        for number in numbers:
            try:
                rows += decode(number)
            except (OSError, ValueError) as error:
                result.send(f"photo {number}: {error}")
                return
        result.send(rows)

    context = multiprocessing.get_context("fork")
    workers = []
    for i in range(processes):
        receiver, sender = context.Pipe(duplex=False)
        worker = context.Process(target=work, args=(range(i, count, processes), sender))
        worker.start()
        sender.close()  # here: the pipe ends when the process does
        workers.append((worker, receiver))
    rows = []
    for worker, receiver in workers:
        try:
            part = receiver.recv()
        except EOFError:
            part = "a process that decodes photos was killed"
        worker.join()
        if isinstance(part, str):
            raise ValueError(part)
        rows += part
    rows.sort()
    kept = np.unique([row[0] for row in rows])
    place = {number: i for i, number in enumerate(kept)}
    numbers = torch.tensor([(place[row[0]], row[1]) for row in rows])
    boxes = torch.tensor([row[2:] for row in rows], dtype=torch.float32)
    return torch.from_numpy(planes[kept, :3]), torch.from_numpy(planes[kept, 3]), numbers, boxes


def box_around_all(owners, boxes, count):
    """Boxes of objects and the photos they are in -> the box around all of a photo's, N x (low, high) x (y, x)."""
    low, high = np.ones((count, 2), np.float32), np.zeros((count, 2), np.float32)
    np.minimum.at(low, owners, boxes[:, [0, 2]])
    np.maximum.at(high, owners, boxes[:, [1, 3]])
    return torch.from_numpy(np.stack((low, high), axis=1))


def sample(images, labels, rows, columns):
    """Photos N x 3 x s x s (float) and labels N x s x s drawn at the places rows N x h, columns N x w (shares of the side)."""
    size = (rows.shape[0], rows.shape[1], columns.shape[1])
    grid = torch.stack((columns[:, None, :].expand(size), rows[:, :, None].expand(size)), dim=3) * 2 - 1
    image = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    drawn = F.grid_sample(labels[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False)
    return image, drawn[:, 0]


def where(choice, yes, no):
    """Per example: choice is boolean N."""
    return torch.where(choice.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)


class DeviceBatches:
    """Item `step`: (input N x 4 x S x S, without guidance map N x 3 x S x S; target N x 1 x S x S) on the device, as of
    `network_inputs` in train.py."""

    def __init__(self, photos, seed, batch, sizes, composite_share, preprocess, device, side=0, processes=0):
        self.seed, self.batch, self.sizes, self.composite_share = seed, batch, sizes, composite_share
        self.preprocess, self.device = preprocess, device
        images, labels, numbers, boxes = decode_photos(
            photos, side or max(PHOTO_SIDE, *sizes), processes or len(os.sched_getaffinity(0))
        )
        self.images, self.labels, self.objects, self.boxes = (t.to(device) for t in (images, labels, numbers, boxes))
        self.count = len(self.images)
        self.around = box_around_all(numbers[:, 0], boxes, self.count).to(device)

    def uniform(self, *shape, low=0.0, high=1.0):
        return torch.rand(*shape, generator=self.random, device=self.device) * (high - low) + low

    def chance(self, share):
        return self.uniform(self.batch) < share

    def pick(self, count):
        return torch.randint(count, (self.batch,), generator=self.random, device=self.device)

    def photo_numbers(self, step):
        """Every photo comes once before any comes again."""
        visits = range(step * self.batch, (step + 1) * self.batch)
        epochs = {v // self.count for v in visits}
        orders = {epoch: np.random.default_rng([self.seed, 0, epoch]).permutation(self.count) for epoch in epochs}
        return torch.tensor([orders[v // self.count][v % self.count] for v in visits], device=self.device)

    def crop(self, numbers):
        """A crop of every photo that keeps its objects, or all of the photo: (low, high), each N x (y, x)."""
        around, whole = self.around[numbers], self.chance(1 - CROP_SHARE)
        low = around[:, 0] * self.uniform(self.batch, 2)
        high = around[:, 1] + (1 - around[:, 1]) * self.uniform(self.batch, 2)
        return where(whole, torch.zeros_like(low), low), where(whole, torch.ones_like(high), high)

    def photo(self, numbers, rows, columns):
        """Photos, cropped or not, at rows and columns (N x h, N x w; shares of the cropped side)."""
        low, high = self.crop(numbers)
        rows = low[:, :1] + rows * (high - low)[:, :1]
        columns = low[:, 1:] + columns * (high - low)[:, 1:]
        return sample(self.images[numbers].float(), self.labels[numbers], rows, columns)

    def paste(self, image, labels, label, chosen):
        """Pastes an object into those scenes that are chosen, where all others stay visible."""
        rows = (torch.arange(image.shape[2], device=self.device) + 0.5) / image.shape[2]
        pick = self.pick(len(self.objects))
        number, own = self.objects[pick].unbind(1)
        top, bottom, left, right = self.boxes[pick].unbind(1)
        height, width = bottom - top, right - left
        scale = self.uniform(self.batch, low=PASTE_SIDE[0], high=PASTE_SIDE[1]) / torch.maximum(height, width)
        y = self.uniform(self.batch) * (1 - height * scale)
        x = self.uniform(self.batch) * (1 - width * scale)
        v, u = ((rows[None] - at[:, None]) / scale[:, None] for at in (y, x))  # from the object's corner, in its photo
        inside = ((v >= 0) & (v < height[:, None]))[:, :, None] & ((u >= 0) & (u < width[:, None]))[:, None, :]
        columns = where(self.chance(0.5), left[:, None] + u, right[:, None] - u)
        photo = self.images[number].float()
        fine, drawn = sample(photo, self.labels[number], top[:, None] + v, columns)
        coarse, _ = sample(F.avg_pool2d(photo, 2), self.labels[number], top[:, None] + v, columns)
        pasted = where(scale < 0.5, coarse, fine)
        whole = inside & (drawn == own[:, None, None])
        mask = torch.where((self.chance(BEHIND_SHARE)[:, None, None]) & (labels > 0), False, whole)
        covered = torch.where(mask, 0.0, labels)
        before, after = self.areas(labels), self.areas(covered)
        visible = ((after >= MIN_VISIBLE * before) | (before == 0))[:, 1:].all(dim=1)
        visible &= mask.sum(dim=(1, 2)) >= MIN_VISIBLE * whole.sum(dim=(1, 2))
        mask &= (chosen & visible)[:, None, None]
        return torch.where(mask[:, None], pasted, image), torch.where(mask, float(label), labels)

    @staticmethod
    def areas(labels):
        """Share of every label, N x LABELS, from every 16th pixel."""
        seen = labels[:, ::4, ::4].flatten(1).long()
        counts = torch.zeros(len(labels), LABELS, device=labels.device)
        return counts.scatter_add_(1, seen, torch.ones_like(seen, dtype=torch.float32)) / seen.shape[1]

    def change_colours(self, image):
        """Random saturation, brightness and contrast of half of the scenes."""
        chosen = self.chance(0.5)
        luma = torch.tensor(LUMA, device=self.device).reshape(1, 3, 1, 1)
        colour, brightness, contrast = self.uniform(3, self.batch, 1, 1, 1, low=0.75, high=1.3)
        grey = (image * luma).sum(dim=1, keepdim=True)
        changed = (grey + (image - grey) * colour).clamp(0, 255)
        changed = (changed * brightness).clamp(0, 255)
        mean = (changed * luma).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
        changed = (mean + (changed - mean) * contrast).clamp(0, 255)
        return where(chosen, changed, image)

    def scenes(self, step, size):
        """(image N x 3 x S x S in 0..255, target N x S x S boolean)."""
        place = (torch.arange(2 * size, device=self.device) + 0.5).expand(self.batch, -1) / (2 * size)
        composite, beside = self.chance(self.composite_share), self.chance(BESIDE_SHARE)
        beside &= composite

        border = self.uniform(self.batch, low=BESIDE_PLACE[0], high=BESIDE_PLACE[1])
        border = torch.where(beside, border, 1.0)[:, None]
        first = place < border
        image, labels = self.photo(self.photo_numbers(step), place, place / border)
        second, second_labels = self.photo(self.pick(self.count), place, (place - border) / (1 - border).clamp(min=1e-3))
        second_labels = torch.where(second_labels > 0, second_labels + SECOND_PHOTO, second_labels)
        image = torch.where(first[:, None, None, :], image, second)
        labels = torch.where(first[:, None, :], labels, second_labels)
        turned = beside & self.chance(0.5)
        image, labels = where(turned, image.transpose(2, 3), image), where(turned, labels.transpose(1, 2), labels)

        pasted = composite & ~beside
        image, labels = self.paste(image, labels, PASTED, pasted)
        image, labels = self.paste(image, labels, PASTED + 1, pasted & self.chance(SECOND_PASTE_SHARE))

        mirror = self.chance(0.5)
        image, labels = where(mirror, image.flip(3), image), where(mirror, labels.flip(2), labels)

        areas = self.areas(labels)[:, 1:]
        lot = torch.where(areas >= MIN_OBJECT_SHARE, self.uniform(*areas.shape) + 1, areas)
        # Objects so small that none was seen: the largest label, or the first where all fell between the pixels.
        unseen = lot.amax(dim=1) == 0
        largest = labels.flatten(1).amax(dim=1).clamp(min=1).long() - 1
        lot = where(unseen, F.one_hot(largest, lot.shape[1]).to(lot.dtype), lot)
        target = labels == (lot.argmax(dim=1) + 1)[:, None, None]
        target = F.avg_pool2d(target[:, None].float(), 2)[:, 0] >= 0.5
        image = self.change_colours(F.avg_pool2d(image, 2))
        return image.round(), target

    def tap_distance(self, target):
        """Simulated taps on the targets, boolean N x S x S: squared distance to the nearest, N x S x S."""
        size = target.shape[1]
        place = torch.arange(size, device=self.device, dtype=torch.float32)

        def squares(x, y):
            return (place[None, None, :] - x[:, None, None]) ** 2 + (place[None, :, None] - y[:, None, None]) ** 2

        def place_of(index):
            return (index % size).float(), (index // size).float()

        area = target.sum(dim=(1, 2)).clamp(min=1)
        jitter = self.uniform(2, self.batch, low=-TAP_JITTER, high=TAP_JITTER) * size / PAPER_SIZE
        x = (target.sum(dim=1) * place).sum(dim=1) / area + jitter[0]
        y = (target.sum(dim=2) * place).sum(dim=1) / area + jitter[1]
        nearest = squares(x, y).masked_fill(~target, torch.inf).flatten(1).argmin(dim=1)
        anywhere = self.uniform(*target.shape).masked_fill(~target, -1.0).flatten(1).topk(3, dim=1).indices
        tap = torch.where(self.chance(RANDOM_TAP_SHARE), anywhere[:, 0], nearest)
        square = squares(*place_of(tap))
        more, both = self.chance(MORE_TAPS_SHARE), self.chance(0.5)
        for index, chosen in ((1, more), (2, more & both)):
            chosen = chosen & (area > index)
            square = where(chosen, torch.minimum(square, squares(*place_of(anywhere[:, index]))), square)
        return square

    def __getitem__(self, step):
        size = int(np.random.default_rng([self.seed, 4, step]).choice(self.sizes))
        seed = int(np.random.default_rng([self.seed, 5, step]).integers(2**62))
        self.random = torch.Generator(self.device).manual_seed(seed)
        image, target = self.scenes(step, size)
        mean, std = (torch.tensor(self.preprocess[k], device=self.device).reshape(1, 3, 1, 1) for k in ("mean", "std"))
        x = (image / 255 - mean) / std
        if self.preprocess["guidance"]["kind"] != "none":
            value = guidance_of_square(self.tap_distance(target), self.preprocess["guidance"])
            x = torch.cat([x, value.float()[:, None]], dim=1)
        return x.contiguous(memory_format=torch.channels_last), target[:, None]
