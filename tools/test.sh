#!/bin/sh
# All tests, from a fresh Debian 12: installs what is missing, checks the formatting, builds and tests the release build, then
# the same under AddressSanitizer and UndefinedBehaviorSanitizer, and what uses threads under ThreadSanitizer.
set -eu
cd "$(dirname "$0")/.."

tools/install_packages.sh cmake ninja-build g++ clang-format libdnnl-dev nlohmann-json3-dev libcli11-dev libstb-dev zlib1g-dev \
  doctest-dev pkg-config dpkg-dev file pybind11-dev python3-dev python3 python3-numpy python3-pil python3-scipy python3-torch \
  libopenblas0-pthread

echo "== formatting"
find kernels layers runtime weights tools tests benchmarks -name '*.h' -o -name '*.hpp' -o -name '*.cpp' -o -name '*.cu' |
  xargs clang-format --dry-run -Werror

echo "== release"
cmake --preset release -DMFS_TESTS=ON -DMFS_PYTHON_MODULE=ON
cmake --build build
ctest --test-dir build --output-on-failure -j 2

echo "== AddressSanitizer and UndefinedBehaviorSanitizer"
cmake --preset asan-ubsan
cmake --build build-asan-ubsan
# What compares with PyTorch, what nvcc compiles, and what the emulator runs (its race detector checks addresses, too), has run
# above; here the C++ tests and the command line count.
ctest --test-dir build-asan-ubsan --output-on-failure -j 2 --exclude-regex 'parity_test|convert_test|training_test|mfs_cuda|hopper_code|nvcc'

echo "== ThreadSanitizer"
# Only what runs sessions in several threads. OpenMP's runtime, which the sanitizer does not understand, gets one thread per session.
cmake --preset tsan
cmake --build build-tsan --target mfs_threads_test
ctest --test-dir build-tsan --output-on-failure -R '^mfs_threads_test$'
