"""From photo and taps to the network's input, and from the logit to the probability at the photo's size."""

import math

import numpy as np
import torch
import torch.nn.functional as F

MIN_SIZE = 64


def to_rgb8(pixels):
    """uint8 or uint16 array H x W, or H x W x 1..4 (grey, grey + alpha, RGB, RGBA) -> uint8 H x W x 3; alpha is dropped."""
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / 257.0).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    colour = pixels[:, :, :3] if pixels.shape[2] >= 3 else pixels[:, :, :1]
    return np.broadcast_to(colour, colour.shape[:2] + (3,))


def native_size(height, width, variant):
    """Network size (h, w) nearest to a photo's: multiples of 8, for VGG networks of 32 (halves go up), at least 64."""
    multiple = 32 if variant.startswith("vgg-") else 8

    def nearest(side):
        return max(MIN_SIZE, multiple * math.floor(side / multiple + 0.5))

    return nearest(height), nearest(width)


def normalised_image(image, size, mean, std):
    """uint8 H x W x 3 -> float32 1 x 3 x h x w: resized with antialiasing, then (rgb / 255 - mean) / std."""
    x = torch.from_numpy(np.array(image, np.float32)).permute(2, 0, 1)[None]
    if tuple(size) != tuple(image.shape[:2]):
        x = F.interpolate(x, tuple(size), mode="bilinear", align_corners=False, antialias=True)
    mean, std = (torch.tensor(v, dtype=torch.float32).reshape(1, 3, 1, 1) for v in (mean, std))
    return (x / 255 - mean) / std


def taps_on_grid(taps, photo_size, size):
    """Taps (x, y) in photo pixels (centre of the top-left pixel is (0, 0)) -> float64 N x 2 on the network grid."""
    taps = np.asarray(taps, np.float64).reshape(-1, 2)
    ratio = np.array([size[1] / photo_size[1], size[0] / photo_size[0]])
    return (taps + 0.5) * ratio - 0.5


def guidance_of_square(square, guidance):
    """Squared distance to the nearest tap, a tensor of any shape -> the guidance map; all kinds are monotonic in it."""
    kind, scale = guidance["kind"], guidance.get("scale", 1)
    if kind == "gaussian":
        value = torch.exp(-square / (2 * guidance["sigma"] ** 2))
    elif kind == "gaussian_fwhm":
        value = torch.exp(-4 * math.log(2) * square / guidance["sigma"] ** 2)
    elif kind == "euclidean":
        value = torch.sqrt(square).clamp(max=guidance["clip"]) / guidance["clip"]
    elif kind == "disk":
        value = (square <= guidance["radius"] ** 2).to(square.dtype)
    else:
        raise ValueError(f"mfs.preprocess: guidance kind {kind!r} is unknown")
    return scale * value


def guidance_map(taps, photo_size, size, guidance):
    """Taps (x, y) in photo pixels, sizes as (height, width), `guidance` of `mfs.preprocess` -> float32 1 x 1 x h x w, None for kind none."""
    if guidance["kind"] == "none":
        return None
    grid = taps_on_grid(taps, photo_size, size)
    if len(grid) == 0:
        raise ValueError("a guidance map needs at least one tap")
    dx = np.arange(size[1])[None, None, :] - grid[:, 0][:, None, None]
    dy = np.arange(size[0])[None, :, None] - grid[:, 1][:, None, None]
    square = (dx * dx + dy * dy).min(axis=0)
    return guidance_of_square(torch.from_numpy(square), guidance).float()[None, None]


def network_input(image, taps, preprocess, size=None):
    """uint8 H x W x 3 and taps in photo pixels -> float32 1 x (4 or 3) x h x w.

    `preprocess` is the `mfs.preprocess` dict; `size` is (h, w), or None for the size in `preprocess`.
    """
    if size is None:
        size = preprocess["size"]
    x = normalised_image(image, size, preprocess["mean"], preprocess["std"])
    guidance = guidance_map(taps, image.shape[:2], size, preprocess["guidance"])
    return x if guidance is None else torch.cat([x, guidance], dim=1)


def probability_from_logit(logit, photo_size, network_config):
    """Logit 1 x 1 x h/8 x w/8 -> float32 numpy H x W, the probability at the photo's size."""
    logit, align = logit.float(), network_config["align_corners"]
    if network_config["upsample"] == "probability":
        value = F.interpolate(torch.sigmoid(logit), tuple(photo_size), mode="bilinear", align_corners=align)
    else:
        value = torch.sigmoid(F.interpolate(logit, tuple(photo_size), mode="bilinear", align_corners=align))
    return value[0, 0].numpy()
