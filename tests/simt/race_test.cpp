// Correct kernels stay silent under every schedule; every planted defect is reported, also where the result happens to be
// right.
#include "tests/simt/machines.h"
#include "tests/simt/race_kernels.h"

namespace mfs::test {
namespace {

using namespace core::emulated;
using simt::LaunchShape;

LaunchShape shape(const char* name, unsigned blocks, unsigned threads, size_t shared) {
  LaunchShape s{.name = name};
  s.grid.x = blocks;
  s.block.x = threads;
  s.shared_bytes = shared;
  return s;
}

std::vector<Options> with_races(uint32_t seeds = 1) {
  std::vector<Options> all = schedules(seeds);
  for (Options& o : all) o.detect_races = true;
  return all;
}

std::string reduce(const Options& options, Defect defect) {
  std::vector<float> in(300, 1.f);
  float out = 0;
  const std::string message = run(options, shape("reduction", 1, 64, 256), reduction, in.data(), &out, 300, defect);
  if (defect == Defect::kNone) CHECK(out == 300.f);
  return message;
}

std::vector<Half> halves(size_t n, unsigned factor) {
  std::vector<Half> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = simt::to_half(static_cast<float>(static_cast<int>(i * factor / 3 % 7) - 3));
  return values;
}

void check_product(const std::vector<Half>& a, const std::vector<Half>& b, const std::vector<float>& c, int rows, int columns,
                   int k) {
  int wrong = 0;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) {
      float sum = 0;
      for (int x = 0; x < k; ++x) sum += to_float(a[i * k + x]) * to_float(b[j * k + x]);
      wrong += c[i * columns + j] != sum;
    }
  CHECK(wrong == 0);
}

template <class T>
struct Aligned {
  explicit Aligned(const std::vector<T>& values) : storage(values.size() * sizeof(T) + 128) {
    data = reinterpret_cast<T*>((reinterpret_cast<uintptr_t>(storage.data()) + 127) / 128 * 128);
    std::copy(values.begin(), values.end(), data);
  }
  std::vector<unsigned char> storage;
  T* data;
};

std::string staged(const Options& options, Defect defect) {
  constexpr int k = 160;
  const std::vector<Half> a = halves(16 * k, 5), b = halves(16 * k, 11);
  const Aligned<Half> da(a), db(b);
  std::vector<float> c(256, -1.f);
  const std::string message =
      run(options, shape("staged", 1, 64, kStagedGemmShared), staged_gemm, da.data, db.data, c.data(), k, defect);
  if (defect == Defect::kNone) check_product(a, b, c, 16, 16, k);
  return message;
}

std::string specialised(const Options& options, Defect defect) {
  constexpr int k = 64 * 5;
  const std::vector<Half> a = halves(128 * k, 5), b = halves(64 * k, 11);
  const Aligned<Half> da(a), db(b);
  const Aligned<float> dc(std::vector<float>(128 * 64, -1.f));
  const auto map = [](const void* base, simt::ElementType type, uint64_t columns, uint64_t rows, uint32_t box,
                      simt::Swizzle swizzle) {
    simt::TensorShape t{.type = type, .rank = 2, .base = base, .swizzle = swizzle};
    t.extent[0] = columns;
    t.extent[1] = rows;
    t.stride[1] = columns * element_bytes(type);
    t.box[0] = box;
    t.box[1] = static_cast<uint32_t>(rows);
    TensorMap result;
    REQUIRE(make_tensor_map(result, t));
    return result;
  };
  const TensorMap ma = map(da.data, simt::ElementType::kF16, k, 128, 64, simt::Swizzle::k128);
  const TensorMap mb = map(db.data, simt::ElementType::kF16, k, 64, 64, simt::Swizzle::k128);
  const TensorMap mc = map(dc.data, simt::ElementType::kF32, 64, 128, 64, simt::Swizzle::kNone);
  const std::string message =
      run(options, shape("specialised", 1, 384, kSpecialisedGemmShared), specialised_gemm, ma, mb, mc, k, defect);
  if (defect == Defect::kNone) check_product(a, b, std::vector<float>(dc.data, dc.data + 128 * 64), 128, 64, k);
  return message;
}

std::string flags(const Options& options, Defect defect) {
  std::vector<uint32_t> data(32), out(32);
  uint32_t flag = 0;
  LaunchShape s = shape("hand over", 2, 32, 0);
  s.cooperative = true;
  const std::string message = run(options, s, hand_over, data.data(), &flag, out.data(), defect);
  CHECK(out[31] == 93);
  return message;
}

std::string exchange(const Options& options, Defect defect) {
  std::vector<uint32_t> out(128);
  LaunchShape s = shape("neighbours", 4, 32, 128);
  s.cluster.x = 2;
  const std::string message = run(options, s, neighbours, out.data(), defect);
  if (defect == Defect::kNone) CHECK(out[33] == 1);
  return message;
}

std::string chain(const Options& options, Defect defect) {
  std::vector<uint32_t> a(32), b(32);
  LaunchShape s = shape("accumulate", 1, 32, 0);
  s.programmatic = true;
  Machine machine(options);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(simt::launch(&machine, s, accumulate, i % 2 ? b.data() : a.data(), i % 2 ? a.data() : b.data(), defect));
  }
  const std::string message = machine.synchronize().message();
  if (defect == Defect::kNone) CHECK(b[5] == 3);
  return message;
}

std::string single_bytes(const Options& options, Defect defect) {
  alignas(4) unsigned char in[64] = {}, out[64] = {};
  return run(options, shape("bytes", 1, 64, 64), bytes, static_cast<const unsigned char*>(in), static_cast<unsigned char*>(out),
             defect);
}

TEST_CASE("correct kernels are silent under all schedules") {
  for (const Options& options : with_races(2)) {
    CAPTURE(text(options));
    CHECK(reduce(options, Defect::kNone) == "");
    CHECK(staged(options, Defect::kNone) == "");
    CHECK(flags(options, Defect::kNone) == "");
    CHECK(exchange(options, Defect::kNone) == "");
    CHECK(chain(options, Defect::kNone) == "");
    CHECK(single_bytes(options, Defect::kNone) == "");
    CHECK(specialised(options, Defect::kNone) == "");
  }
}

TEST_CASE("planted defects are reported under all schedules") {
  for (const Options& options : with_races()) {
    CAPTURE(text(options));
    CHECK(contains(reduce(options, Defect::kNoBarrier), "race"));
    CHECK(contains(staged(options, Defect::kWaitTooShort), "race"));
    CHECK(contains(staged(options, Defect::kStageReused), "race"));
    CHECK(contains(flags(options, Defect::kRelaxedHandOver), "race"));
    CHECK(contains(exchange(options, Defect::kNoClusterBarrier), "race"));
    CHECK(contains(chain(options, Defect::kNoGridDependency), "race"));
    CHECK(contains(single_bytes(options, Defect::kNoBarrier), "race"));
    CHECK(contains(single_bytes(options, Defect::kMisaligned), "misaligned"));
  }
}

TEST_CASE("planted defects of a TMA pipeline are reported") {
  for (const Options& options : with_races()) {
    if (options.order == Order::kReverse) continue;
    CAPTURE(text(options));
    CHECK(contains(specialised(options, Defect::kEarlyRelease), "race"));
    CHECK(contains(specialised(options, Defect::kNoMbarrierFence), "missing fence_mbarrier_init"));
    CHECK(contains(specialised(options, Defect::kNoProxyFence), "missing fence_proxy_async"));
    CHECK(contains(specialised(options, Defect::kOverlap), "race"));
    CHECK(contains(specialised(options, Defect::kNoWgmmaFence), "wgmma without wgmma_fence"));
    if (options.completion == Completion::kLate) CHECK(contains(specialised(options, Defect::kNoStoreWait), "in flight"));
  }
}

}  // namespace
}  // namespace mfs::test
