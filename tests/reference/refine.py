"""Guided upsampling: the probability as an affine function of the photo's colours, fitted around every place of a coarse grid.

K. He, J. Sun, X. Tang, "Guided Image Filtering", TPAMI 2013; the grid as in K. He, J. Sun, "Fast Guided Filter", 2015.
"""

import torch
import torch.nn.functional as F

from preprocess import normalised_image, probability_from_logit

STEP = 2  # network pixels a pixel of the grid, along either side
RADIUS = 4
EPSILON = 3e-4


def window_means(x):
    """1 x c x h x w -> the means over the windows around every pixel, as far as they lie in the picture."""
    return F.avg_pool2d(x, 2 * RADIUS + 1, 1, RADIUS, count_include_pad=False)


def fitted_planes(guide, value):
    """float64 1 x 3 x h x w and 1 x 1 x h x w -> 1 x 4 x h x w: a (3) and b, so that a guide + b is the filtered value."""
    mean, mean_value = window_means(guide), window_means(value)
    products = (guide[:, :, None] * guide[:, None]).flatten(1, 2)
    covariance = window_means(products) - (mean[:, :, None] * mean[:, None]).flatten(1, 2)
    cross = window_means(guide * value) - mean * mean_value
    matrix = covariance[0].permute(1, 2, 0).unflatten(-1, (3, 3)) + EPSILON * torch.eye(3, dtype=torch.float64)
    a = torch.linalg.solve(matrix, cross[0].permute(1, 2, 0)[..., None])[..., 0].permute(2, 0, 1)[None]
    b = mean_value - (a * mean).sum(1, keepdim=True)
    return window_means(torch.cat([a, b], 1))


def refined_probability(image, logit, size, network_config):
    """uint8 H x W x 3, its logit 1 x 1 x h/8 x w/8 and the network's size (h, w) -> float32 numpy H x W."""
    grid = [side // STEP for side in size]
    guide = normalised_image(image, grid, (0.5, 0.5, 0.5), (1, 1, 1)).double()
    value = torch.from_numpy(probability_from_logit(logit, grid, network_config)).double()[None, None]
    planes = F.interpolate(fitted_planes(guide, value), image.shape[:2], mode="bilinear", align_corners=False)
    colours = torch.from_numpy(image / 255 - 0.5).permute(2, 0, 1)
    return ((planes[0, :3] * colours).sum(0) + planes[0, 3]).clamp(0, 1).float().numpy()
