// simt_conformance: every wrapper against a scalar reference, bit for bit. The first thing to run on a GPU.
//
// MFS_CONFORMANCE_HOPPER = 0 leaves out what only capability 9.0 has, so that the rest can be compiled for older GPUs.
#ifndef MFS_CONFORMANCE_HOPPER
#define MFS_CONFORMANCE_HOPPER 1
#endif
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/simt/launch.h"
#include "tests/simt/buffer.h"
#if MFS_CONFORMANCE_HOPPER
#include "tests/simt/conformance_hopper_kernels.h"
#else
#include "tests/simt/conformance_kernels.h"
#endif

namespace mfs::test {
namespace {

using namespace core;
using namespace core::MFS_SIMT_BACKEND;

int failures = 0;

#if MFS_SIMT_HARDWARE
struct Runner {
  Stream stream = nullptr;
  std::string finish() { return cudaDeviceSynchronize() == cudaSuccess ? "" : cudaGetErrorString(cudaGetLastError()); }
};
std::vector<Runner> runners() { return {{}}; }

// Why this program cannot run here, or nothing.
std::string unusable() {
  int device = 0;
  cudaDeviceProp p;
  if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) return cudaGetErrorString(error);
  if (const cudaError_t error = cudaGetDeviceProperties(&p, device); error != cudaSuccess) return cudaGetErrorString(error);
  if (MFS_CONFORMANCE_HOPPER && 10 * p.major + p.minor != 90) return std::string(p.name) + " has not capability 9.0";
  if (p.major < 8) return std::string(p.name) + " is older than capability 8.0";
  return {};
}
#else
std::string unusable() { return {}; }

struct Runner {
  simt::emulation::Options options;
  std::shared_ptr<simt::emulation::Machine> machine = std::make_shared<simt::emulation::Machine>(options);
  Stream stream = machine.get();
  std::string finish() { return machine->synchronize().message(); }
};
std::vector<Runner> runners() {
  using simt::emulation::Completion;
  using simt::emulation::Order;
  std::vector<Runner> all;
  for (const Completion completion : {Completion::kEarly, Completion::kLate, Completion::kRandom}) {
    all.push_back({{.order = Order::kForward, .completion = completion}});
    all.push_back({{.seed = 7, .order = Order::kRandom, .completion = completion}});
  }
  return all;
}
#endif

template <class T>
void compare(const char* name, const std::vector<T>& got, const std::vector<T>& expected, const std::string& error) {
  size_t bad = 0;
  while (bad < expected.size() && std::memcmp(&got[bad], &expected[bad], sizeof(T)) == 0) ++bad;
  if (error.empty() && bad == expected.size()) return;
  ++failures;
  std::printf("FAILED %s: %s, element %zu\n", name, error.c_str(), bad);
}

unsigned pattern(size_t i) { return static_cast<unsigned>(i * 2654435761u >> 7); }

LaunchShape shape(const char* name, unsigned threads, size_t shared = 0) {
  LaunchShape s{.name = name};
#if MFS_SIMT_HARDWARE
  std::printf("%s\n", name);  // if it hangs, this is the last line
#endif
  s.block = {threads, 1, 1};
  s.shared_bytes = shared;
  return s;
}

void shuffles(Runner& r) {
  std::vector<uint32_t> expected(192);
  const auto value = [](unsigned lane) { return lane * lane + 5; };
  for (unsigned lane = 0; lane < 32; ++lane) {
    expected[lane] = value(lane < 3 ? lane : lane - 3);
    expected[32 + lane] = value(lane > 28 ? lane : lane + 3);
    expected[64 + lane] = value(lane ^ 11);
    expected[96 + lane] = value((lane * 7 + 40) % 32);
    for (unsigned i = 0; i < 32; ++i) expected[128 + lane] |= (value(i) % 3 == 0 ? 1u : 0u) << i;
    expected[160 + lane] = 3;
  }
  Buffer<uint32_t> out(std::vector<uint32_t>(192));
  const Status s = launch(r.stream, shape("shuffle", 32), shuffle_conformance, out.data());
  const std::string error = s ? r.finish() : s.message();
  compare("shuffle", out.values(), expected, error);

  Buffer<uint32_t> counters(std::vector<uint32_t>(4));
  Buffer<float> sum(std::vector<float>(1));
  const Status launched = launch(r.stream, shape("atomics", 64), atomic_conformance, counters.data(), sum.data());
  const std::string problem = launched ? r.finish() : launched.message();
  compare("atomics", counters.values(), {63 * 32, 189, 77, 64}, problem);
  compare("atomics f32", sum.values(), {32.f}, problem);
}

template <int kTiles, bool kTransposed>
void matrices(Runner& r) {
  std::vector<uint32_t> in(128), loaded(32 * kTiles), stored(32 * kTiles);
  for (size_t i = 0; i < in.size(); ++i) in[i] = pattern(i) ^ pattern(i + 1000) << 16;
  const auto half = [](std::vector<uint32_t>& words) { return reinterpret_cast<uint16_t*>(words.data()); };
  for (int m = 0; m < kTiles; ++m) {
    for (int lane = 0; lane < 32; ++lane) {
      for (int e = 0; e < 2; ++e) {
        const int row = kTransposed ? lane % 4 * 2 + e : lane / 4, column = kTransposed ? lane / 4 : lane % 4 * 2 + e;
        half(loaded)[(m * 32 + lane) * 2 + e] = half(in)[m * 64 + row * 8 + column];
        half(stored)[m * 64 + row * 8 + column] = half(in)[(m * 32 + lane) * 2 + e];
      }
    }
  }
  Buffer<uint32_t> source(in), out(std::vector<uint32_t>(32 * kTiles)), out2(std::vector<uint32_t>(32 * kTiles));
  Status s =
      launch(r.stream, shape("ldmatrix", 32, 512), load_matrix_conformance<kTiles, kTransposed>, source.data(), out.data());
  std::string error = s ? r.finish() : s.message();
  compare("ldmatrix", out.values(), loaded, error);
#if MFS_CONFORMANCE_HOPPER
  s = launch(r.stream, shape("stmatrix", 32, 512), store_matrix_conformance<kTiles, kTransposed>, source.data(), out2.data());
  error = s ? r.finish() : s.message();
  compare("stmatrix", out2.values(), stored, error);
#endif
}

// Small integers as elements of type T, and their values.
template <class T>
T element(int value) {
  if constexpr (std::is_same_v<T, Half>) return to_half(static_cast<float>(value));
  if constexpr (std::is_same_v<T, BFloat16>) return to_bfloat16(static_cast<float>(value));
  if constexpr (std::is_same_v<T, E4m3>) return to_e4m3(static_cast<float>(value));
  if constexpr (std::is_integral_v<T>) return static_cast<T>(value);
}

template <class T>
std::vector<uint32_t> packed(const std::vector<int>& values) {
  std::vector<uint32_t> words(values.size() * sizeof(T) / 4);
  for (size_t i = 0; i < values.size(); ++i) {
    const T x = element<T>(values[i]);
    std::memcpy(reinterpret_cast<unsigned char*>(words.data()) + i * sizeof(T), &x, sizeof(T));
  }
  return words;
}

std::vector<int> small_integers(size_t n) {
  std::vector<int> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = static_cast<int>(pattern(i) % 15) - 7;
  return values;
}

template <class T>
void products(Runner& r, const char* name) {
  constexpr size_t kDepth = 32 / sizeof(T);
  const std::vector<int> values = small_integers(24 * kDepth);
  std::vector<Accumulator<T>> expected(128);
  for (size_t row = 0; row < 16; ++row)
    for (size_t column = 0; column < 8; ++column) {
      int sum = static_cast<int>(row * 8 + column);
      for (size_t k = 0; k < kDepth; ++k) sum += values[row * kDepth + k] * values[(16 + column) * kDepth + k];
      expected[row * 8 + column] = static_cast<Accumulator<T>>(sum);
    }
  Buffer<uint32_t> in(packed<T>(values));
  Buffer<Accumulator<T>> out(std::vector<Accumulator<T>>(128));
  const Status s = launch(r.stream, shape(name, 32), mma_conformance<T>, in.data(), out.data());
  const std::string error = s ? r.finish() : s.message();
  compare(name, out.values(), expected, error);
}

template <int kBytes>
void copies(Runner& r) {
  std::vector<unsigned char> in(64 * kBytes), expected(64 * kBytes);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<unsigned char>(pattern(i));
  for (size_t i = 0; i < in.size(); ++i) {
    const bool kept = i / kBytes >= 32 || i % kBytes < i / kBytes % (kBytes + 1);
    expected[i] = kept ? in[i] : 0;
  }
  Buffer<unsigned char> source(in), out(std::vector<unsigned char>(in.size()));
  const Status s =
      launch(r.stream, shape("cp.async", 32, in.size()), copy_async_conformance<kBytes>, source.data(), out.data());
  const std::string error = s ? r.finish() : s.message();
  compare("cp.async", out.values(), expected, error);
}

#if MFS_CONFORMANCE_HOPPER
template <class T, int kColumns>
void warpgroup_products(Runner& r, const char* name) {
  constexpr size_t kDepth = 32 / sizeof(T);
  const std::vector<int> values = small_integers((64 + kColumns) * kDepth);
  std::vector<Accumulator<T>> expected(64 * kColumns);
  for (size_t row = 0; row < 64; ++row)
    for (size_t column = 0; column < kColumns; ++column) {
      int sum = 0;
      for (size_t k = 0; k < kDepth; ++k) {
        const int left = values[row * kDepth + k];
        sum += 2 * (std::is_same_v<T, uint8_t> ? left & 0xff : left) * values[(64 + column) * kDepth + k];
      }
      expected[row * kColumns + column] = static_cast<Accumulator<T>>(sum);
    }
  Buffer<uint32_t> in(packed<T>(values));
  for (const Swizzle swizzle : {Swizzle::kNone, Swizzle::k32, Swizzle::k64, Swizzle::k128}) {
    for (unsigned part = 0; part < std::max(1u, static_cast<unsigned>(swizzle) / 32); ++part) {
      Buffer<Accumulator<T>> out(std::vector<Accumulator<T>>(64 * kColumns));
      const size_t shared = (64 + kColumns) * std::max<size_t>(32, static_cast<size_t>(swizzle));
      const auto* chunks = reinterpret_cast<const U32x4*>(in.data());
      const Status s =
          launch(r.stream, shape(name, 128, shared), wgmma_conformance<T, kColumns>, chunks, out.data(), swizzle, part);
      const std::string error = s ? r.finish() : s.message();
      compare(name, out.values(), expected, error);
    }
  }
}

template <class T, int kColumns>
void warpgroup_windows(Runner& r, const char* name) {
  constexpr size_t kPerChunk = 16 / sizeof(T), kChunks = 68;
  const std::vector<int> values = small_integers((kChunks + 2 * kColumns) * kPerChunk);
  Buffer<uint32_t> in(packed<T>(values));
  for (unsigned first = 0; first < 4; ++first) {
    std::vector<Accumulator<T>> expected(64 * kColumns);
    for (size_t row = 0; row < 64; ++row)
      for (size_t column = 0; column < kColumns; ++column)
        for (size_t k = 0; k < 2 * kPerChunk; ++k) {
          const size_t of_b = kChunks + k / kPerChunk * kColumns + column;
          const int product = values[(first + row) * kPerChunk + k] * values[of_b * kPerChunk + k % kPerChunk];
          expected[row * kColumns + column] += static_cast<Accumulator<T>>(product);
        }
    Buffer<Accumulator<T>> out(std::vector<Accumulator<T>>(64 * kColumns));
    const auto* chunks = reinterpret_cast<const U32x4*>(in.data());
    const Status s = launch(r.stream, shape(name, 128, (kChunks + 2 * kColumns) * 16), wgmma_windows_conformance<T, kColumns>,
                            chunks, out.data(), first);
    const std::string error = s ? r.finish() : s.message();
    compare(name, out.values(), expected, error);
  }
}

// A box of a tensor of bytes with extents {144, 7, 6, 5, 3}, partly outside; dimension 1 in steps. Stored to the nearest place
// that does not begin before the tensor.
template <int kRank>
void boxes(Runner& r, Swizzle swizzle, uint32_t step, Coordinates at) {
  TensorShape t{.type = ElementType::kU8, .rank = kRank, .swizzle = swizzle};
  const uint64_t extents[5] = {144, 7, 6, 5, 3};
  const uint32_t box[5] = {swizzle == Swizzle::kNone ? 48u : static_cast<uint32_t>(swizzle), 8, 3, 2, 2};
  size_t total = 1;
  for (int i = 0; i < kRank; ++i) {
    t.extent[i] = extents[i];
    t.box[i] = box[i];
    t.stride[i] = total;
    total *= extents[i];
  }
  t.step[1] = step;
  std::vector<unsigned char> in(total), copied(total, 0xee), raw(box_bytes(t));
  for (size_t i = 0; i < total; ++i) in[i] = static_cast<unsigned char>(1 + pattern(i) % 255);
  Coordinates to_place = at;
  for (int& c : to_place.c) c = std::max(c, 0);
  const uint32_t width = static_cast<uint32_t>(swizzle), rows1 = (t.box[1] + step - 1) / step;
  for (uint32_t i = 0; i < raw.size(); ++i) {
    const uint32_t x = i % t.box[0], row = i / t.box[0];
    // Where the element is loaded from, and stored to: without steps, which CUDA describes for loads only.
    size_t from = 0, to = 0;
    bool inside = true, stored = true;
    const long moved[5] = {long{x}, long{row % rows1}, long{row / rows1 % t.box[2]}, long{row / rows1 / t.box[2] % t.box[3]},
                           long{row / rows1 / t.box[2] / t.box[3]}};
    for (int d = 0; d < kRank; ++d) {
      const long extent = static_cast<long>(t.extent[d]), source = at.c[d] + moved[d] * (d == 1 ? step : 1),
                 target = to_place.c[d] + moved[d];
      inside = inside && source >= 0 && source < extent;
      stored = stored && target >= 0 && target < extent;
      from += static_cast<size_t>(source) * (d == 0 ? 1 : t.stride[d]);
      to += static_cast<size_t>(target) * (d == 0 ? 1 : t.stride[d]);
    }
    uint32_t chunk = x / 16;
    if (width == 128) chunk ^= row % 8;
    if (width == 64) chunk ^= row / 2 % 4;
    if (width == 32) chunk ^= row / 4 % 2;
    raw[row * t.box[0] + chunk * 16 + x % 16] = inside ? in[from] : 0;
    if (stored) copied[to] = inside ? in[from] : 0;
  }
  const auto bytes = static_cast<uint32_t>(raw.size());
  const LaunchShape launch_shape = shape("tma", 64, raw.size() + 2048);
  for (const auto kernel : {tma_conformance<kRank, false>, tma_conformance<kRank, true>}) {
    Buffer<unsigned char> source(in), target(std::vector<unsigned char>(total, 0xee)),
        out(std::vector<unsigned char>(raw.size()));
    TensorMap map_in, map_out;
    t.base = source.data();
    Status s = make_tensor_map(map_in, t);
    TensorShape whole = t;
    whole.base = target.data(), whole.box[1] = rows1, whole.step[1] = 1;
    if (s) s = make_tensor_map(map_out, whole);
    if (s) s = launch(r.stream, launch_shape, kernel, map_in, map_out, at, to_place, out.data(), bytes);
    const std::string error = s ? r.finish() : s.message();
    compare("tma load", out.values(), raw, error);
    compare("tma store", target.values(), copied, error);
  }
}

void elections(Runner& r) {
  Buffer<uint32_t> out(std::vector<uint32_t>(32));
  const Status s = launch(r.stream, shape("elect", 32), elect_conformance, out.data());
  const std::string error = s ? r.finish() : s.message();
  compare("elect", out.values(), std::vector<uint32_t>(32, 3), error);
}

void clusters(Runner& r) {
  std::vector<uint32_t> in(64 * 4), expected(4 * 2 * 32);
  for (size_t i = 0; i < in.size(); ++i) in[i] = pattern(i);
  for (uint32_t block = 0; block < 4; ++block) {
    for (uint32_t t = 0; t < 32; ++t) {
      expected[block * 64 + t] = in[64 + 4 + t];
      expected[block * 64 + 32 + t] = (block + 3) % 4 * 100 + t;
    }
  }
  Buffer<uint32_t> source(in), out(std::vector<uint32_t>(expected.size()));
  TensorShape t{.type = ElementType::kF32, .rank = 2, .base = source.data()};
  t.extent[0] = 64;
  t.extent[1] = 4;
  t.stride[1] = 256;
  t.box[0] = 32;
  TensorMap map;
  Status s = make_tensor_map(map, t);
  LaunchShape launch_shape = shape("cluster", 32, 2048);
  launch_shape.grid = launch_shape.cluster = {4, 1, 1};
  if (s) s = launch(r.stream, launch_shape, cluster_conformance, map, out.data());
  const std::string error = s ? r.finish() : s.message();
  compare("cluster", out.values(), expected, error);
}

// In clusters, launch after launch, and before a kernel that is launched programmatically.
void grids(Runner& r) {
  constexpr uint32_t kBlocks = 16, kLaunches = 3;
  Buffer<uint32_t> barrier(std::vector<uint32_t>(1)), values(std::vector<uint32_t>(kBlocks * 32)),
      out(std::vector<uint32_t>(2 * kBlocks * 32));
  LaunchShape launch_shape = shape("grid barrier", 32);
  launch_shape.grid = {kBlocks, 1, 1}, launch_shape.cluster = {2, 1, 1}, launch_shape.cooperative = true;
  Status s;
  for (uint32_t i = 0; i < kLaunches && s; ++i)
    s = launch({r.stream, true}, launch_shape, grid_conformance, barrier.data(), values.data(), out.data());
  LaunchShape next = shape("dependent", 64);
  next.grid = {kBlocks, 1, 1};
  Buffer<uint32_t> mirrored(std::vector<uint32_t>(2 * kBlocks * 32));
  if (s) s = launch({r.stream, true}, next, dependent_conformance, out.data(), mirrored.data());
  const std::string error = s ? r.finish() : s.message();
  std::vector<uint32_t> expected(2 * kBlocks * 32), sums(expected.size());
  for (uint32_t i = 0; i < expected.size(); ++i) {
    const uint32_t round = i / (kBlocks * 32), t = i % 32, before = 2 * (kLaunches - 1);
    expected[i] =
        kBlocks * (kBlocks - 1) / 2 * (before + 1 + round) + kBlocks * (t * (before + 1 + round) + kLaunches - 1 + round);
  }
  for (size_t i = 0; i < sums.size(); ++i) sums[i] = expected[i] + expected[sums.size() - 1 - i];
  compare("grid barrier", out.values(), expected, error);
  compare("behind a grid barrier", mirrored.values(), sums, error);
}

void dependents(Runner& r) {
  std::vector<uint32_t> values(256);
  for (size_t i = 0; i < values.size(); ++i) values[i] = pattern(i);
  Buffer<uint32_t> a(values), b(values);
  LaunchShape launch_shape = shape("dependent", 64);
  launch_shape.grid = {4, 1, 1};
  Status s;
  for (int i = 0; i < 3 && s; ++i) {
    launch_shape.programmatic = true;
    s = launch(r.stream, launch_shape, dependent_conformance, i % 2 ? b.data() : a.data(), i % 2 ? a.data() : b.data());
    std::vector<uint32_t> sums(values.size());
    for (size_t j = 0; j < sums.size(); ++j) sums[j] = values[j] + values[values.size() - 1 - j];
    values = sums;
  }
  std::string error = s ? r.finish() : s.message();
  compare("programmatic launch", b.values(), values, error);

  std::vector<uint32_t> registers(384, 232);
  for (size_t i = 256; i < 384; ++i) registers[i] = 40;
  Buffer<uint32_t> out(std::vector<uint32_t>(384));
  s = launch(r.stream, shape("registers", 384), registers_conformance, out.data());
  error = s ? r.finish() : s.message();
  compare("registers", out.values(), registers, error);
}

#endif

void all(Runner& r) {
  shuffles(r);
  matrices<1, false>(r);
  matrices<1, true>(r);
  matrices<2, false>(r);
  matrices<2, true>(r);
  matrices<4, false>(r);
  matrices<4, true>(r);
  products<Half>(r, "mma f16");
  products<BFloat16>(r, "mma bf16");
  products<int8_t>(r, "mma s8");
  copies<4>(r);
  copies<8>(r);
  copies<16>(r);
#if MFS_CONFORMANCE_HOPPER
  products<E4m3>(r, "mma e4m3");
  for (const Swizzle swizzle : {Swizzle::kNone, Swizzle::k32, Swizzle::k64, Swizzle::k128}) {
    boxes<2>(r, swizzle, 1, {{-16, -2, 0, 0, 0}});
    boxes<3>(r, swizzle, 2, {{16, 1, 4, 0, 0}});
    boxes<4>(r, swizzle, 1, {{112, 3, -1, 4, 0}});
    boxes<5>(r, swizzle, 3, {{0, -1, 2, -1, 2}});
  }
  warpgroup_products<Half, 8>(r, "wgmma f16 n8");
  warpgroup_products<Half, 128>(r, "wgmma f16 n128");
  warpgroup_products<Half, 256>(r, "wgmma f16 n256");
  warpgroup_products<BFloat16, 64>(r, "wgmma bf16 n64");
  warpgroup_products<E4m3, 72>(r, "wgmma e4m3 n72");
  warpgroup_products<int8_t, 96>(r, "wgmma s8 n96");
  warpgroup_products<uint8_t, 128>(r, "wgmma u8 s8 n128");
  warpgroup_windows<Half, 64>(r, "wgmma f16 n64, windows");
  warpgroup_windows<BFloat16, 128>(r, "wgmma bf16 n128, windows");
  elections(r);
  clusters(r);
  grids(r);
  dependents(r);
#endif
}

}  // namespace
}  // namespace mfs::test

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (const std::string why = mfs::test::unusable(); !why.empty()) return std::printf("skipped: %s\n", why.c_str()), 77;
  for (mfs::test::Runner& r : mfs::test::runners()) mfs::test::all(r);
  std::printf(mfs::test::failures ? "%d comparisons failed\n" : "all wrappers conform\n", mfs::test::failures);
  return mfs::test::failures != 0;
}
