"""A file-backed cache of the frozen backbone's output, one slot per training scene."""

import json
from pathlib import Path

import numpy as np
import torch

LEVELS = 255


class FeatureCache:
    """Non-negative features of N scenes as uint8, one scale per scene and channel.

    Slots are filled in any order; a slot is marked as filled after its data has been written. `key` (a JSON-able dict)
    describes what the features depend on: a folder with another key is refused.
    """

    def __init__(self, folder, key, scenes, shape):
        """`shape` is that of one scene's features: (channels, h/8, w/8)."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        key = json.dumps(dict(key, scenes=scenes, shape=list(shape)), sort_keys=True)
        key_file = folder / "key.json"
        mode = "r+" if key_file.exists() else "w+"
        if mode == "r+" and key_file.read_text() != key:
            raise ValueError(f"{folder} holds features of another training run")
        channels, height, width = shape
        self.levels = np.memmap(folder / "features.u8", np.uint8, mode, shape=(scenes, height, width, channels))
        self.scales = np.memmap(folder / "scales.f32", np.float32, mode, shape=(scenes, channels))
        self.filled = np.memmap(folder / "filled.u8", np.uint8, mode, shape=(scenes,))
        key_file.write_text(key)

    def read(self, numbers, flips, dtype):
        """Features of scenes, mirrored where `flips` says so: N x C x h x w in channels-last memory."""
        levels = np.stack([self.levels[n][:, ::-1] if f else self.levels[n] for n, f in zip(numbers, flips)])
        scales = torch.from_numpy(self.scales[numbers]).to(dtype)
        return (torch.from_numpy(levels).to(dtype) * scales[:, None, None, :]).permute(0, 3, 1, 2)

    def write(self, numbers, features):
        """Stores N x C x h x w features of scenes that are not mirrored."""
        features = features.float().permute(0, 2, 3, 1)
        scales = features.amax(dim=(1, 2)).clamp(min=1e-6) / LEVELS
        levels = torch.round(features / scales[:, None, None, :]).to(torch.uint8)
        self.levels[numbers] = levels.cpu().numpy()
        self.scales[numbers] = scales.cpu().numpy()
        self.filled[numbers] = 1
