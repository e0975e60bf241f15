"""The mean of the weights of several trained files: where one was trained on from the other, often better than each.

average.py A.safetensors B.safetensors [C.safetensors ...] --out MEAN.safetensors
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "weights"))

from safetensors_file import load_safetensors, save_safetensors  # noqa: E402


def average(paths, target):
    """Matrices are stored as F16, vectors as F32, as training does. Raises ValueError where the networks differ."""
    files = [load_safetensors(path) for path in paths]
    first, metadata = files[0]
    for path, (tensors, other) in zip(paths[1:], files[1:]):
        shapes = {name: t.shape for name, t in tensors.items()} == {name: t.shape for name, t in first.items()}
        if not shapes or any(other.get(key) != metadata.get(key) for key in ("mfs.network", "mfs.preprocess")):
            raise ValueError(f"{path} is of another network than {paths[0]}")
    means = {}
    for name, tensor in first.items():
        mean = np.mean([np.asarray(tensors[name], np.float64) for tensors, _ in files], axis=0)
        means[name] = mean.astype(np.float16 if tensor.ndim > 1 else np.float32)
    sources = [json.loads(other.get("mfs.source", "{}")) for _, other in files]
    metadata = {key: value for key, value in metadata.items() if key != "mfs.calibration"}
    metadata["mfs.source"] = json.dumps({"note": f"mean of {len(files)} files", "files": sources})
    save_safetensors(target, means, metadata)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        average(args.weights, args.out)
    except (OSError, ValueError) as error:
        sys.exit(f"average.py: {error}")


if __name__ == "__main__":
    main()
