#!/usr/bin/env python3
"""mfs_cuda_tune on the emulated GPU: tries candidates in a small network and writes a table that compiles."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
import tap_network  # noqa: E402


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300)


def main():
    program, compiler = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        weights, table, unit = (Path(folder) / name for name in ("tap.safetensors", "conv_hopper_table.h", "unit.cpp"))
        tap_network.write(weights, variant="resnet-multi")
        tune = [program, "--weights", weights, "--size", "16x16", "--batch", "1", "--rounds", "1"]
        done = run(*tune, "--problems", "1", "--table", table)
        assert done.returncode == 0 and "with the table" in done.stdout, done.stdout + done.stderr
        (tried,) = [line for line in done.stdout.splitlines() if " us, best " in line]
        assert tried.split()[1:3] == ["x", "3x3"] and tried.count("hopper") + tried.count("portable") == 1, tried
        kept = "(kept)" in done.stdout
        assert f": {0 if kept else 1} entries" in done.stdout, done.stdout
        unit.write_text(f'#include "{table}"\nusing namespace mfs::core;\n'
                        f"static_assert(kHopperTable.entries.size() == {0 if kept else 1});\n")  # fmt: skip
        compiled = run(compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{ROOT}", unit)
        assert compiled.returncode == 0, compiled.stderr
        assert [p.name for p in Path(folder).glob("*partial")] == []

        done = run(*tune, "--seconds", "-1", "--table", Path(folder) / "none.h")
        assert done.returncode == 0 and "entries" not in done.stdout, done.stdout + done.stderr
        assert not (Path(folder) / "none.h").exists()
        done = run(*tune, "--precision", "int8", "--table", table)
        assert done.returncode == 0 and "is not calibrated, no int8" in done.stdout, done.stdout + done.stderr
        done = run(*tune, "--table", Path(folder) / "nowhere" / "table.h")
        assert done.returncode == 1 and "cannot write" in done.stderr, done.stdout + done.stderr
    print("passed")


if __name__ == "__main__":
    main()
