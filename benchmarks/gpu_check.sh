#!/bin/sh
# Everything that only a GPU can show, in ten minutes: tests, sanitizers, figures. Each stage is a process of its own under a time
# limit, and a failing one does not stop the later ones. Needs the programs of a build with MFS_CUDA=ON and MFS_BENCHMARKS=ON,
# and the program of the target simt_conformance_hardware; of the machine only the driver and compute-sanitizer.
#
#   benchmarks/gpu_check.sh BIN_FOLDER OUTPUT_FOLDER [WEIGHTS...]
set -u
bin=$1 out=$2
shift 2
mkdir -p "$out"
table=$out/table.txt
: > "$table"

# stage NAME SECONDS COMMAND...: runs it, keeps its output, notes how it ended.
stage() {
  name=$1 limit=$2
  shift 2
  begin=$(date +%s)
  timeout -k 5 "$limit" "$@" > "$out/$name.log" 2>&1
  code=$?
  case $code in
    0) result=passed ;;
    77) result=skipped ;;
    124 | 137) result="out of time" ;;
    *) result="FAILED ($code)" ;;
  esac
  printf '%-28s %-12s %4s s\n' "$name" "$result" $(($(date +%s) - begin)) | tee -a "$table"
}

stage device 10 nvidia-smi
stage conformance 30 "$bin/simt_conformance_hardware"
stage kernel_tests 120 "$bin/mfs_cuda_kernel_tests"
stage network_test 90 "$bin/mfs_cuda_network_test"
for weights in "$@"; do
  name=$(basename "$weights" .safetensors)
  stage "bench_$name" 45 "$bin/mfs_cuda_network_bench" --weights "$weights" --steps --json "$out/bench_$name.json"
  grep -E '^(kernels|tap|sum)' "$out/bench_$name.log" | sed "s/^/  /" | tee -a "$table"
done

# Small problems only: the sanitizers slow kernels down by factors of 10 to 100.
small='--test-case=max_pool*,conv with*,conv tiles*,channel_scale*,global_average*,pyramid*,upsample*,cut*,concat*,fully*'
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2> /dev/null | head -n 1)
for tool in memcheck racecheck initcheck synccheck; do
  stage "sanitizer_$tool" 40 "${sanitizer:-compute-sanitizer}" --tool "$tool" --error-exitcode 1 "$bin/mfs_cuda_kernel_tests" "$small"
done
! grep -q -E 'FAILED|out of time' "$table"
