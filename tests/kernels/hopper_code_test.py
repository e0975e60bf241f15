"""Compiles the Hopper kernels as the library does and looks at what comes out: every kernel uses the instructions it is made
for, keeps its accumulators in registers, and the compiler serialises no wgmma.

usage: hopper_code_test.py NVCC SOURCE_FOLDER
"""

import pathlib
import re
import subprocess
import sys
import tempfile

WGMMA, DEPENDENT = "wgmma.mma_async.sync.aligned.m64n", ("griddepcontrol.wait", "griddepcontrol.launch_dependents")
FILES = {
    # Six tiles, f16, bf16 and int8; fp8 has four of them; each with two ends, a map's and a logit's. 384 threads: registers at
    # entry.
    "conv_hopper": {
        "types": {".f32.f16.f16": 12, ".f32.bf16.bf16": 12, ".s32.u8.s8": 12, ".f32.e4m3.e4m3": 8},
        "registers": 168,
        "instructions": (WGMMA, "cp.async.bulk.tensor.4d.shared::cluster.global.tile", ".multicast::cluster",
                         "setmaxnreg.dec", "setmaxnreg.inc", "prefetch.tensormap",
                         "createpolicy.fractional.L2::evict_first", "tile.mbarrier::complete_tx::bytes.L2::cache_hint",
                         ".multicast::cluster.L2::cache_hint", *DEPENDENT),
        "some": {"cp.async.bulk.tensor.4d.global.shared::cta": 22},  # those that store a map
    },
    "stem_hopper": {
        "types": {".f32.f16.f16": 1, ".f32.bf16.bf16": 1},
        "registers": 255,
        "instructions": (WGMMA, "cp.async.cg.shared.global", "fence.proxy.async", "stmatrix.sync.aligned", *DEPENDENT),
    },
}


def check(nvcc, sources, name, wanted):
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, "-std=c++20", "-O3", "-DNDEBUG", "-gencode=arch=compute_90a,code=sm_90a", "-diag-suppress=2810",
                   "-Xptxas=-v,-warn-spills,-warn-lmem-usage,-Werror", f"-I{sources}", "--keep", "--keep-dir", folder, "-c",
                   f"{sources}/kernels/cuda/{name}.cu", "-o", f"{folder}/{name}.o"]
        run = subprocess.run(command, capture_output=True, text=True)
        said = run.stdout + run.stderr
        assert run.returncode == 0, said
        # C75xx: wgmma serialised, setmaxnreg ignored. Only informational to the compiler.
        assert not re.search(r"C75\d\d", said), said
        count = sum(wanted["types"].values())
        registers = [int(n) for n in re.findall(r"Used (\d+) registers", said)]
        assert len(registers) == count and max(registers) <= wanted["registers"], said
        spills = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", said)
        assert len(spills) >= count and all(bytes_ == ("0", "0", "0") for bytes_ in spills), said
        ptx = next(pathlib.Path(folder).glob("*.ptx")).read_text()
    kernels = re.split(r"\.visible \.entry", ptx)[1:]
    assert len(kernels) == count, f"{len(kernels)} kernels"
    for kernel in kernels:
        for instruction in wanted["instructions"]:
            assert instruction in kernel, f"no {instruction} in {kernel[:120]}"
        # What fences memory for the whole GPU: only where blocks hand ordinary stores over, those of a split sum.
        split = name == "conv_hopper" and re.search(r"conv_hopper_kernel\w*Lm[45]E", kernel[:200])
        for costly in ("mbarrier.arrive.release.cluster", "mbarrier.try_wait.parity.acquire.cluster"):
            assert (costly in kernel) == bool(split), f"{costly} in {kernel[:120]}"
        for costly in ("fence.proxy.async;", "barrier.cluster.arrive.release"):
            assert costly not in kernel, f"{costly} in {kernel[:120]}"
    for instruction, number in wanted.get("some", {}).items():
        assert sum(instruction in kernel for kernel in kernels) == number, f"not {number} kernels with {instruction}"
    for types, number in wanted["types"].items():
        assert sum(types in kernel for kernel in kernels) == number, f"not {number} kernels with {types}"
    print(f"{name}: {count} kernels, {max(registers)} registers at entry, no spills")


def main():
    nvcc, sources = sys.argv[1:]
    for name, wanted in FILES.items():
        check(nvcc, sources, name, wanted)


main()
