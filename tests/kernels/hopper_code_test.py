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
CONV = (WGMMA, "cp.async.bulk.tensor.4d.shared::cluster.global.tile", ".multicast::cluster", "setmaxnreg.dec",
        "setmaxnreg.inc", "prefetch.tensormap", "createpolicy.fractional.L2::evict_first",
        "tile.mbarrier::complete_tx::bytes.L2::cache_hint", ".multicast::cluster.L2::cache_hint", *DEPENDENT)  # fmt: skip
STORE = "cp.async.bulk.tensor.4d.global.shared::cta"
# Types of six tiles, of which fp8 has four; before a gate four and three. 384 threads: registers at entry. Split: kernels in which
# blocks hand ordinary stores over, which is what fences memory for the whole GPU.
SIX = {".f32.f16.f16": 6, ".f32.bf16.bf16": 6, ".s32.u8.s8": 6, ".f32.e4m3.e4m3": 4}
FOUR = {".f32.f16.f16": 4, ".f32.bf16.bf16": 4, ".s32.u8.s8": 4, ".f32.e4m3.e4m3": 3}
FILES = {
    "conv_hopper": {"types": SIX, "registers": 168, "instructions": (*CONV, STORE), "split": r"Lm[45]E"},
    "conv_head_hopper": {"types": SIX, "registers": 168, "instructions": CONV, "split": r"Lm[45]E"},
    "conv_gate_hopper": {"types": FOUR, "registers": 168,
                         "instructions": (*CONV, STORE, "atom.add.acq_rel.gpu", "ld.acquire.gpu"),
                         "split": "."},
    "stem_hopper": {
        "types": {".f32.f16.f16": 1, ".f32.bf16.bf16": 1},
        "registers": 255,
        "instructions": (WGMMA, "cp.async.cg.shared.global", "fence.proxy.async", "stmatrix.sync.aligned", *DEPENDENT),
        "split": "none",
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
        split = re.search(r"conv_hopper_kernel\w*" + wanted["split"], kernel[:200])
        for costly in ("mbarrier.arrive.release.cluster", "mbarrier.try_wait.parity.acquire.cluster"):
            assert (costly in kernel) == bool(split), f"{costly} in {kernel[:120]}"
        for costly in ("fence.proxy.async;", "barrier.cluster.arrive.release"):
            assert costly not in kernel, f"{costly} in {kernel[:120]}"
    for types, number in wanted["types"].items():
        assert sum(types in kernel for kernel in kernels) == number, f"not {number} kernels with {types}"
    print(f"{name}: {count} kernels, {max(registers)} registers at entry, no spills")


def main():
    nvcc, sources = sys.argv[1:]
    for name, wanted in FILES.items():
        check(nvcc, sources, name, wanted)


main()
