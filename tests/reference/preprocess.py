"""From photo and taps to the network's input, and from the logit to the probability at the photo's size."""

import math

import numpy as np
import torch
import torch.nn.functional as F

MIN_SIZE = 64
ZOOM_MARGIN = 0.25  # between the box around an object and the window of the second look, share of the box's side
ZOOM_LEAST_SIDE = 0.25  # of the window, share of the photo's side


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


def positions_above(logit, cut):
    """Along the last axis of a grid of logits: where the values between neighbours begin and end to exceed `cut`."""
    value = logit - cut
    yield np.nonzero(value > 0)[1]
    here, after = value[:, :-1], value[:, 1:]
    rows, columns = np.nonzero((here > 0) != (after > 0))
    yield columns + here[rows, columns] / (here[rows, columns] - after[rows, columns])


def window_side(positions, taps, grid, photo, align_corners):
    """Along one side, the slice of a photo that the second look sees. Positions are on a grid of `grid` values, taps in pixels."""
    at = np.concatenate(list(positions))
    scaled = at * (photo - 1) / (grid - 1) if align_corners else np.clip((at + 0.5) * photo / grid - 0.5, 0, photo - 1)
    pixels = np.where(at == 0, 0, np.where(at == grid - 1, photo - 1, scaled))
    pixels = np.concatenate([pixels, np.clip(taps, 0, photo - 1)])
    if len(pixels) == 0:
        return slice(0, photo)
    low, high = pixels.min(), pixels.max()
    length = high - low + 1
    margin = max(ZOOM_MARGIN * length, (ZOOM_LEAST_SIDE * photo - length) / 2)
    return slice(max(0, math.floor(low - margin)), min(photo - 1, math.ceil(high + margin)) + 1)


def zoom_window(logit, taps, photo_size, network_config, threshold):
    """Logit 1 x 1 x h/8 x w/8 of the first look -> (rows, columns) of the photo, slices: the box around all that exceeds the
    threshold and all taps, with a margin."""
    grid = logit[0, 0].double().numpy()
    cut, align = math.log(threshold / (1 - threshold)), network_config["align_corners"]
    taps = np.asarray(taps, np.float64).reshape(-1, 2)
    rows = window_side(positions_above(grid.T, cut), taps[:, 1], grid.shape[0], photo_size[0], align)
    return rows, window_side(positions_above(grid, cut), taps[:, 0], grid.shape[1], photo_size[1], align)


@torch.no_grad()
def predict(network, image, taps, meta, size=None, zoom_in=False, threshold=0.5):
    """uint8 H x W x 3, taps [(x, y), ...] in photo pixels -> probability, float32 numpy H x W.

    `network` and `meta` as returned by `network_from_safetensors`; `size` as for `network_input`, or "native". With `zoom_in`
    (not native), the surroundings of what the first look found above the threshold are looked at a second time.
    """

    def look(part, taps):
        side = native_size(*part.shape[:2], meta["network"]["variant"]) if size == "native" else size
        logit = network(network_input(part, taps, meta["preprocess"], side))
        return logit, probability_from_logit(logit, part.shape[:2], meta["network"])

    logit, probability = look(image, taps)
    if zoom_in:
        seen = taps if meta["preprocess"]["guidance"]["kind"] != "none" else []
        rows, columns = zoom_window(logit, seen, image.shape[:2], meta["network"], threshold)
        moved = [(x - columns.start, y - rows.start) for x, y in taps]
        probability[rows, columns] = look(image[rows, columns], moved)[1]
    return probability
