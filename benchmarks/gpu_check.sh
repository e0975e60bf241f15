#!/bin/sh
# Everything that only a GPU can show, in ten minutes: tests, figures, sanitizers. Each stage is a process of its own under a time
# limit, a failing one does not stop the later ones, and none begins that could not end before the whole limit. Ends with one
# short table. Needs the programs of a build with MFS_CUDA=ON, MFS_TESTS=ON and MFS_BENCHMARKS=ON and those of the target
# simt_conformance_hardware; of the machine only the driver. Used where they are there: compute-sanitizer, the libraries cuDNN and
# cuBLASLt (of a CUDA toolkit or of Python packages), PyTorch and JAX.
#
#   benchmarks/gpu_check.sh BIN_FOLDER OUTPUT_FOLDER [WEIGHTS...]
#
# The first weights file is the one that PyTorch is compared on. LIMIT (seconds, default 590) and PYTHON may be set, and ONLY: an
# extended regular expression for the names of the stages to run. Where a GPU is there for less time than all of it takes, twice,
# with an output folder each:
#
#   ONLY='device|conformance|tests?$|tune|^network|bits|sanitizer'   then, built again with the tuned table in place,
#   ONLY='device|network|convolutions|operations|pytorch'
set -u
if [ $# -lt 2 ]; then
  echo "usage: gpu_check.sh BIN_FOLDER OUTPUT_FOLDER [WEIGHTS...]" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
bin=$1 out=$2
shift 2
mkdir -p "$out" || exit 2
table=$out/table.txt
: > "$table"
limit=${LIMIT:-590}
only=${ONLY:-.}
python=${PYTHON:-python3}
start=$(date +%s)

# stage NAME SECONDS COMMAND...: runs it, keeps its output, notes how it ended.
stage() {
  name=$1 most=$2
  shift 2
  echo "$name" | grep -q -E "$only" || return 1
  begin=$(date +%s)
  left=$((limit - (begin - start) - 6))
  [ "$most" -le "$left" ] || most=$left
  if [ "$most" -lt 3 ]; then
    printf '%-28s %-14s\n' "$name" "no time left" >> "$table"
    return 1
  fi
  timeout -k 5 "$most" "$@" > "$out/$name.log" 2>&1
  code=$?
  case $code in
    0) result=passed ;;
    77) result=skipped ;;
    124 | 137) result="out of time" ;;
    127) result="not there" ;;
    *) result="FAILED ($code)" ;;
  esac
  printf '%-28s %-14s %4s s\n' "$name" "$result" $(($(date +%s) - begin)) >> "$table"
  echo "$name: $result"
  return $code
}

# detail NAME PATTERN: lines of a stage's output that belong into the table. Fails if there are none.
detail() {
  echo "$1" | grep -q -E "$only" && [ -f "$out/$1.log" ] || return 0
  found=$(grep -E "$2" "$out/$1.log") || return 1
  printf '%s\n' "$found" | sed 's/^/  /' >> "$table"
}

# Libraries of NVIDIA that Python brought along, for dlopen.
packages=$("$python" -c 'import os, sysconfig; print(os.path.join(sysconfig.get_paths()["purelib"], "nvidia"))' 2> /dev/null)
for folder in "$bin" "$packages"/*/lib /usr/local/cuda*/lib64 /usr/local/cuda*/lib; do
  [ -d "$folder" ] && LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
done
export LD_LIBRARY_PATH

stage device 10 nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,clocks.max.mem,clocks.sm,power.limit,temperature.gpu --format=csv
detail device ','

stage conformance_portable 15 "$bin/simt_conformance_portable"
stage conformance_hopper 20 "$bin/simt_conformance_hopper"
stage kernel_tests 60 "$bin/mfs_cuda_kernel_tests"
stage network_test 45 "$bin/mfs_cuda_network_test"

# The table that a build for this GPU should have as kernels/cuda/conv_hopper_table.h. Portable builds have nothing to tune.
if [ $# -gt 0 ]; then
  stage tune 150 "$bin/mfs_cuda_tune" --weights "$@" --precision f16 fp8 int8 --batch 1 16 4 2 8 --seconds 130 \
    --table "$out/conv_hopper_table.h"
  detail tune 'batch|with the table|entries'
fi

# network NAME WEIGHTS OPTIONS...: the whole network, twice the same bits, step by step.
network() {
  run=$1 file=$2
  shift 2
  stage "$run" 30 "$bin/mfs_cuda_network_bench" --weights "$file" --json "$out/$run.json" "$@"
  detail "$run" '^(kernels|tap|sum)'
}
for weights in "$@"; do
  title=$(basename "$weights" .safetensors)
  network "network_$title" "$weights" --steps --repeat 1000 --clicks 1000
  network "network_${title}_2_streams" "$weights" --streams 2 --clicks 50
  network "network_${title}_x16" "$weights" --batch 16 --clicks 10
  if head -c 1000000 "$weights" | grep -q -a 'mfs\.calibration'; then
    for precision in int8 fp8; do
      network "network_${title}_$precision" "$weights" --precision "$precision" --clicks 50
    done
  fi
  bits=$out/bits_$title
  photo=$here/../tools/demo/cat.jpg
  if [ -x "$bin/mfs_infer" ] && [ -f "$photo" ]; then
    stage "same_bits_$title" 20 sh -c 'for i in 1 2; do "$1" "$2" --device cuda --click 100,100 --weights "$3" -q --overwrite \
      -o "$4.$i.png" --prob "$4.$i.npy" || exit 1; done; cmp "$4.1.npy" "$4.2.npy"' \
      sh "$bin/mfs_infer" "$photo" "$weights" "$bits"
  fi
done

# bench NAME SECONDS FILTER: cases of mfs_benchmarks, with a JSON file.
bench() {
  stage "$1" $(($2 + 15)) "$bin/mfs_benchmarks" --device cuda --seconds "$2" "--benchmark_filter=$3" \
    "--benchmark_out=$out/$1.json" --benchmark_out_format=json
}
bench convolutions 45 '^conv .* f16/'
detail convolutions '^(device|measured|no peer|left out|f16)'
bench convolutions_x16 60 '^conv .* f16x16/'
detail convolutions_x16 '^(no peer|left out|f16)'
bench convolutions_narrow 30 '^conv .* (int8|fp8)/'
detail convolutions_narrow '^(no peer|left out|int8|fp8|conv layer3)'
bench convolutions_narrow_x16 30 '^conv .* (int8|fp8)x16/'
detail convolutions_narrow_x16 '^(no peer|left out|int8|fp8|conv layer3)'
bench operations 45 '^((concat|conv_gate|conv_head|max_pool|pyramid_.*|quantise|resize_bilinear|squeeze_excite|stem) .* (f16|f16x16|f32)|conv_(gate|head) .* (int8|fp8))/'
detail operations 'f16x16|^left out'
bench photo_operations 30 '^(preprocess .* f16/|upsample_mask|guided_.*|cut_out|overlay|background_blur)'
detail photo_operations '^(left out|preprocess|upsample|guided|cut|overlay|background)'

# Small problems only: the sanitizers slow kernels down by factors of 10 to 100.
# racecheck does without conv_gate: it reports the sums that its blocks hand each other (H100, CUDA 13.0), which mbarriers order.
small='max_pool*,conv with*,conv_head*,narrow conv*,int8 conv*,a group of*,quantise*,conv tiles*,squeeze_excite*,pyramid*,upsample*,guided*,cut*,concat*,stem*,sums*'
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2> /dev/null | head -n 1)
for tool in memcheck racecheck initcheck synccheck; do
  cases=$small
  [ $tool = racecheck ] || cases=$small,conv_gate*
  # 77: skipped. Some virtual machines hide from it what it needs of the device.
  stage "sanitizer_$tool" 60 sh -c '"$@" > "$0" 2>&1; code=$?; cat "$0"; grep -q "Device not supported" "$0" && exit 77; exit $code' \
    "$out/sanitizer_$tool.txt" "${sanitizer:-compute-sanitizer}" --tool "$tool" --error-exitcode 1 "$bin/mfs_cuda_kernel_tests" \
    "--test-case=$cases"
done

# Last, with all the time that is left: compiling for torch.compile takes long.
if [ $# -gt 0 ] && "$python" -c 'import torch' 2> /dev/null; then
  for batch in 1 16 4; do
    stage "pytorch_x$batch" 150 "$python" "$here/peers/gpu_peers.py" --weights "$1" --bin "$bin" --batches "$batch" \
      --json "$out/pytorch_x$batch.json"
    # The table or, where time was over before it, what there is of it.
    detail "pytorch_x$batch" '^\|' || detail "pytorch_x$batch" "^\{'engine"
  done
fi

echo
cat "$table"
! grep -q -E 'FAILED|out of time|no time left' "$table"
