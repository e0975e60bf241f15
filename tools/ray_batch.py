#!/usr/bin/env python3
"""Masks of an archive that outgrows one machine: a folder or Parquet of photos, over a Ray cluster.

    pip install . 'ray[data]' pillow
    tools/ray_batch.py photos/ masks/ --clicks clicks.json --workers 4
    tools/ray_batch.py photos.parquet masks/ --workers 16 --address auto

Every photo gets OUTPUT/NAME.mask.png (8 bits, 255 = object); sub-folders are mirrored. Photos that have their mask are left out, so
that the same command goes on after an interruption; a mask appears complete or not at all. A photo that fails is reported and the
others go on. Standard output gets one JSON line per photo done now.

Parquet columns: `name` (unique; gives the mask its name), `image` (an encoded photo, as bytes or as {"bytes": ...}) or `path` (which
then also stands in for a missing `name`), and `taps` ([[x, y], ...]) or `x` and `y`. Taps are pixels of the upright photo.

On a cluster, photos, weights and OUTPUT must be where all machines see them. Exit status: 0 all done, 1 some photos failed, 2 usage,
3 weights, 4 device or Ray, 130 interrupted.
"""
import argparse
import io
import json
import os
import sys
from pathlib import Path, PurePath

PHOTOS = {".jpg", ".jpeg", ".png", ".bmp", ".tga", ".ppm", ".pgm", ".pnm"}
MAX_PIXELS = 256 * 2**20


def mask_path(output, name):
    name = PurePath(name)
    if name.is_absolute() or ".." in name.parts or not name.name:
        raise ValueError(f"the name '{name}' leads out of the output folder")
    return Path(output, name.with_name(name.stem + ".mask.png"))


def photo_of(row):
    """The upright photo as RGB."""
    import numpy as np
    from PIL import Image, ImageOps
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    source = row.get("image")
    if isinstance(source, dict):
        source = source["bytes"]
    with Image.open(row["path"] if source is None else io.BytesIO(source)) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # 16 bits, which PIL would cut off instead of scale
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        return np.asarray(image.convert("RGB"))


def taps_of(row):
    taps = row.get("taps")
    if isinstance(taps, str):
        taps = json.loads(taps)
    if taps is None and row.get("x") is not None and row.get("y") is not None:
        taps = [(row["x"], row["y"])]
    if taps is None or len(taps) == 0:
        raise ValueError("no tap")
    return [(float(x), float(y)) for x, y in taps]


class Segmenter:
    """One worker: a process with its own session, called with one row after the other."""

    def __init__(self, output, weights, device, precision, threads):
        import mfs
        self.output = output
        self.session = mfs.Model(weights, device=device, precision=precision, threads=threads).session()

    def __call__(self, row):
        name = row.get("name") or row.get("path") or ""
        try:
            area = self.process(row, name)
            return {"input": name, "status": "ok", "mask_area": area, "error": ""}
        except Exception as error:  # whatever is wrong with one photo, the others go on
            return {"input": name, "status": "failed", "mask_area": 0, "error": f"{error}" or type(error).__name__}

    def process(self, row, name):
        from PIL import Image
        target = mask_path(self.output, name)
        mask = self.session.segment(photo_of(row), taps_of(row))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            Image.fromarray(mask).save(temporary, format="PNG")
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return int((mask == 255).sum())


def rows_of_folder(folder, clicks):
    names = sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*")
                   if p.suffix.lower() in PHOTOS and not p.stem.endswith(".mask") and p.is_file())
    masks = {}
    for name in names:
        other = masks.setdefault(mask_path("", name), name)
        if other != name:
            raise SystemExit(f"ray_batch: '{other}' and '{name}' would have the same mask")
    return [{"name": name, "path": str(Path(folder, name)), "taps": json.dumps(clicks.get(name, []))} for name in names]


def dataset(ray, options):
    """(photos still to do, how many were left out or None)."""
    if Path(options.input).suffix == ".parquet" or any(Path(options.input).glob("*.parquet")):
        todo = ray.data.read_parquet(options.input)
        if not {"name", "path"} & set(todo.schema().names):
            raise SystemExit("ray_batch: the Parquet has neither a column 'name' nor 'path'")
        output = options.output
        return todo.filter(lambda row: not is_done(output, row.get("name") or row.get("path"))), None
    with open(options.clicks, encoding="utf-8") as file:
        clicks = json.load(file)
    rows = rows_of_folder(options.input, clicks)
    todo = [row for row in rows if not is_done(options.output, row["name"])]
    # Small blocks keep all workers busy to the end.
    blocks = max(1, min(len(todo), 8 * options.workers, 1000))
    return (ray.data.from_items(todo, override_num_blocks=blocks) if todo else None), len(rows) - len(todo)


def is_done(output, name):
    try:
        return mask_path(output, name).exists()
    except (TypeError, ValueError):  # the worker will say what is wrong with it
        return False


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", help="a folder of photos, a Parquet file, or a folder of Parquet files")
    parser.add_argument("output", help="folder for the masks")
    parser.add_argument("--clicks", metavar="FILE.json", help='taps of a folder\'s photos: {"dog.jpg": [[214, 180]], ...}')
    parser.add_argument("--weights", metavar="FILE", help="checkpoint [the one that came with the package]")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N [auto]")
    parser.add_argument("--precision", default="auto", help="auto, f32, bf16, f16 or int8 [auto]")
    parser.add_argument("--workers", type=int, default=2, help="processes, over all machines [2]")
    parser.add_argument("--threads", type=int, default=1, help="host threads of each worker [1]")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs that each worker reserves, 0.5 = two share one [0]")
    parser.add_argument("--address", help="the Ray cluster, 'auto' for the one that runs here [start one on this machine]")
    options = parser.parse_args()
    if options.workers < 1 or options.threads < 1 or options.gpus < 0:
        parser.error("--workers and --threads are at least 1, --gpus is not negative")
    options.input, options.output = os.path.abspath(options.input), os.path.abspath(options.output)
    if not os.path.exists(options.input):
        parser.error(f"there is no '{options.input}'")
    if os.path.isdir(options.input) and not options.clicks and not any(Path(options.input).glob("*.parquet")):
        parser.error("a folder of photos needs --clicks FILE.json: where are the objects?")
    return options


def main():
    options = parse_options()
    import mfs
    weights = os.path.abspath(options.weights or mfs.shipped_weights())
    try:
        mfs.Model(weights, device="cpu", threads=options.threads)  # one sentence here, instead of one per worker
    except mfs.Error as error:
        print(f"ray_batch: {error}", file=sys.stderr)
        return 3 if error.status == mfs.Status.BAD_WEIGHTS else 4
    import ray
    try:
        here = {} if options.address else {"include_dashboard": False}
        ray.init(address=options.address, log_to_driver=False, configure_logging=False, **here)
    except Exception as error:
        print(f"ray_batch: Ray does not start: {error}", file=sys.stderr)
        return 4
    ray.data.DataContext.get_current().enable_progress_bars = False
    os.makedirs(options.output, exist_ok=True)
    todo, left_out = dataset(ray, options)
    done = failed = 0
    if todo is not None:
        results = todo.map(
            Segmenter, compute=ray.data.ActorPoolStrategy(size=options.workers), num_cpus=options.threads, num_gpus=options.gpus,
            fn_constructor_kwargs={"output": options.output, "weights": weights, "device": options.device,
                                   "precision": options.precision, "threads": options.threads})
        for row in results.iter_rows():
            if row["status"] == "ok":
                done += 1
            else:
                failed += 1
                print(f"ray_batch: {row['input']}: {row['error']}", file=sys.stderr)
            print(json.dumps(row), flush=True)
    skipped = f", {left_out} had their masks" if left_out else ""
    print(f"ray_batch: {done} photos done, {failed} failed{skipped}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("ray_batch: interrupted; the same command goes on", file=sys.stderr)
        sys.exit(130)
