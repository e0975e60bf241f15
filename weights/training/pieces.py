"""Cuts weights into files of limited size that travel on their own, and joins them.

    pieces.py cut WEIGHTS.safetensors FOLDER [--dtype i8] [--megabytes 15]     writes FOLDER/piece0.safetensors ...
    pieces.py join FOLDER WEIGHTS.safetensors
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "weights"))

from convert import encode  # noqa: E402
from safetensors_file import Bfloat16, load_safetensors, load_safetensors_raw, save_safetensors  # noqa: E402

HEADER_BYTES = 200  # at most, for one tensor


def cut(source, folder, dtype, limit):
    """Every piece has whole tensors and all metadata."""
    tensors, metadata = load_safetensors(source)
    pieces, room = [{}], limit
    for name, tensor in tensors.items():
        stored = encode({name: tensor}, dtype)
        size = sum((t.bits if isinstance(t, Bfloat16) else t).nbytes + HEADER_BYTES for t in stored.values())
        if size > room and pieces[-1]:
            pieces.append({})
            room = limit
        pieces[-1].update(stored)
        room -= size
    folder.mkdir(parents=True, exist_ok=True)
    for number, piece in enumerate(pieces):
        save_safetensors(folder / f"piece{number}.safetensors", piece, dict(metadata, pieces=str(len(pieces))))
    return len(pieces)


def join(folder, target):
    """Raises ValueError when a piece is missing."""
    paths = sorted(folder.glob("piece*.safetensors"))
    tensors, metadata = {}, {}
    for path in paths:
        raw, metadata = load_safetensors_raw(path)
        tensors.update({name: Bfloat16(stored) if dtype == "BF16" else stored for name, (dtype, stored) in raw.items()})
    wanted = int(metadata.pop("pieces", 0))
    if not paths or len(paths) != wanted:
        raise ValueError(f"{folder} has {len(paths)} of {wanted} pieces")
    save_safetensors(target, tensors, metadata)
    return len(paths)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    cutter = commands.add_parser("cut")
    cutter.add_argument("weights", type=Path)
    cutter.add_argument("folder", type=Path)
    cutter.add_argument("--dtype", choices=("f32", "f16", "bf16", "i8"), default="i8", help="how the pieces store the weights")
    cutter.add_argument("--megabytes", type=float, default=15)
    joiner = commands.add_parser("join")
    joiner.add_argument("folder", type=Path)
    joiner.add_argument("weights", type=Path)
    args = parser.parse_args()
    try:
        if args.command == "cut":
            count = cut(args.weights, args.folder, args.dtype, int(args.megabytes * 1e6))
        else:
            count = join(args.folder, args.weights)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(f"{count} pieces")


if __name__ == "__main__":
    main()
