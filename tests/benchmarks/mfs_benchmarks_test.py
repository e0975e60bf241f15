#!/usr/bin/env python3
"""mfs_benchmarks on the emulated GPU: what it prints and writes. Figures mean nothing there."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300)


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        report, narrow = Path(folder) / "report.json", Path(folder) / "narrow.json"
        cases = "^squeeze_excite .*x4x4x.* f16"  # a convolution would take minutes
        done = run(program, "--device", "cuda", "--turns", "1", f"--benchmark_filter={cases}",
                   f"--benchmark_out={report}", "--benchmark_out_format=json")  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "emulated GPU" in done.stdout, done.stdout
        content = json.loads(report.read_text())
        assert content["context"]["16-bit by"] == "mma.sync", content["context"]
        runs = {r["name"].split("/")[0]: r for r in content["benchmarks"]}
        assert len(runs) == 2, list(runs)
        for name, r in runs.items():
            for counter in ("us", "GB/s", "TFLOP/s", "% of peak", "bytes", "flops", "count"):
                assert r[counter] > 0, (name, counter)
            assert "peer us" not in r, name
        assert runs["squeeze_excite 1x4x4x256 f16"]["flops"] >= 4 * 256 * 16, runs

        cases = "^conv layer5.stages.0.1 .* fp8/"  # of one pixel
        done = run(program, "--device", "cuda", "--turns", "1", f"--benchmark_filter={cases}",
                   f"--benchmark_out={narrow}", "--benchmark_out_format=json")  # fmt: skip
        assert done.returncode == 0 and "no peer" in done.stdout, done.stdout + done.stderr
        (only,) = json.loads(narrow.read_text())["benchmarks"]
        assert only["flops"] == 2 * 2304 * 576 and ", fp8" in only["label"], only

        means = run(sys.executable, ROOT / "benchmarks" / "plot.py", report)
        assert means.returncode == 0 and means.stdout == "", means.stdout + means.stderr
        no_report = Path(folder) / "other.json"
        no_report.write_text("{}")
        refused = run(sys.executable, ROOT / "benchmarks" / "plot.py", no_report)
        assert refused.returncode == 1 and "is not a report" in refused.stderr, refused.stderr

    for arguments, sentence in ((["--device", "cuda:7"], "no usable device cuda:7"), (["--device", "cpu"], "no engine for cpu")):
        refused = run(program, *arguments)
        assert refused.returncode == 1 and sentence in refused.stderr, refused.stderr
    for option in ("--threads", "--turns", "--seconds"):
        assert run(program, option, "x").returncode == 2, option
    print("passed")


if __name__ == "__main__":
    main()
