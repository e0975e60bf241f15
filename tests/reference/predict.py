"""From a photo and taps to its probability, with the options of the programs: a second look, outlines along the photo's edges."""

import math

import numpy as np
import torch

from preprocess import native_size, network_input, probability_from_logit
from refine import refined_probability

MARGIN = 0.25  # between the box around an object and the window of the second look, share of the box's side
LEAST_SIDE = 0.25  # of the window, share of the photo's side


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
    margin = max(MARGIN * length, (LEAST_SIDE * photo - length) / 2)
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
def predict(network, image, taps, meta, size=None, zoom_in=False, refine=False, threshold=0.5):
    """uint8 H x W x 3, taps [(x, y), ...] in photo pixels -> probability, float32 numpy H x W.

    `network` and `meta` as returned by `network_from_safetensors`; `size` as for `network_input`, or "native". With `zoom_in`
    (not native), the surroundings of what the first look found above the threshold are looked at a second time; with `refine`,
    outlines follow the photo's edges.
    """

    def look(part, taps):
        side = native_size(*part.shape[:2], meta["network"]["variant"]) if size == "native" else size
        x = network_input(part, taps, meta["preprocess"], side)
        logit = network(x)
        if refine:
            return logit, refined_probability(part, logit, x.shape[2:], meta["network"])
        return logit, probability_from_logit(logit, part.shape[:2], meta["network"])

    logit, probability = look(image, taps)
    if zoom_in:
        seen = taps if meta["preprocess"]["guidance"]["kind"] != "none" else []
        rows, columns = zoom_window(logit, seen, image.shape[:2], meta["network"], threshold)
        moved = [(x - columns.start, y - rows.start) for x, y in taps]
        probability[rows, columns] = look(image[rows, columns], moved)[1]
    return probability
