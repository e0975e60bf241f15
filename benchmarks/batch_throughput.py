#!/usr/bin/env python3
"""How much of the network's own speed a batch keeps: photos per second of a folder against the inference alone.

    batch_throughput.py build/bin/mfs_infer PHOTOS [--photos 200] [--rounds 3] [-- OPTIONS OF mfs_infer]

PHOTOS is a folder of photos, of which the first --photos are used. By turns: `inference` is the median of infer ms (and of
prepare + infer + finish, click to mask) of photos run with --repeat, one after the other, nothing beside them; `batch` is the
time between the first and the last JSON line of a run over all photos that writes masks, for the photos in between. The ratio
is inference / batch; 1 means that reading, decoding, encoding and writing cost nothing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".tga", ".ppm"}


def inference(program, photos, options, folder):
    """Median milliseconds (infer, click to mask) over some of the photos."""
    infer, click_to_mask = [], []
    for photo in photos[:: max(1, len(photos) // 8)][:8]:
        command = [program, photo, "--click", "0,0", "-o", f"{folder}/pure.png", "--overwrite", "--repeat", "20", "--json", *options]
        line = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        infer.append(line["latency_ms"]["back_to_back"]["median"])
        click_to_mask.append(line["latency_ms"]["click_to_mask"]["median"])
    return statistics.mean(infer), statistics.mean(click_to_mask)


def batch(program, photos, options, folder):
    """Milliseconds per photo, sums of the stages' milliseconds, and bytes of peak memory."""
    Path(f"{folder}/list.txt").write_text("\n".join(photos))
    command = [program, "--list", f"{folder}/list.txt", "--click", "0,0", "-o", f"{folder}/masks", "--overwrite", "--json", *options]
    stages = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        first = last = None
        for count, text in enumerate(process.stdout):
            last = time.perf_counter()
            first = first or last
            line = json.loads(text)
            if line["status"] != "ok":
                sys.exit(f"{line['input']}: {line.get('error')}")
            for stage, ms in line["ms"].items():
                stages[stage] = stages.get(stage, 0) + ms / len(photos)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"mfs_infer ended with status {process.returncode}")
    return 1e3 * (last - first) / count, stages, usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    own = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    options = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    o = parser.parse_args(own)
    photos = [str(p.resolve()) for p in sorted(Path(o.folder).rglob("*")) if p.suffix.lower() in EXTENSIONS][: o.photos]
    if len(photos) < 2:
        sys.exit(f"{o.folder}: fewer than two photos")
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(o.rounds):
            infer, click_to_mask = inference(o.program, photos, options, folder)
            per_photo, stages, memory = batch(o.program, photos, options, folder)
            ratios.append(infer / per_photo)
            parts = ", ".join(f"{stage} {ms:.1f}" for stage, ms in stages.items())
            print(f"inference {infer:.2f} ms (click to mask {click_to_mask:.2f}); batch {per_photo:.2f} ms a photo ({parts}), "
                  f"peak memory {memory / 1e6:.0f} MB; ratio {infer / per_photo:.3f}", flush=True)  # fmt: skip
    print(f"{len(photos)} photos, {len(ratios)} rounds: median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
