// The public interface on the CUDA engine: blocking and queued runs, the caller's graph, batches, memory. In emulation, calls
// that a steady state must not make are counted, and allocations fail one by one.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cuda/device.h"
#include "mfs/mfs.hpp"
#include "tests/runtime/golden_network.h"
#include "tests/support/checks.h"

#if MFS_EMULATED
#include "kernels/cuda/simt/emulation/device_calls.h"
#endif

namespace mfs::test {
namespace {

using namespace core;  // NOLINT: memory and streams are the library's own
using core::test::GoldenNetwork;

constexpr double kBatchTolerance = 0.005;  // as network_test.cpp: sums are cut elsewhere, and rounded to f16

Cuda on(const CudaStream& stream) {
  std::string why_none;
  return stream.on(cuda_devices(why_none).front());
}

struct Fixture {
  GoldenNetwork golden{"early_layer4_conv2"};
  Model model{golden.weights_path, {.device = "cuda", .precision = "f16", .threads = 2}};
  mfs_image photo{golden.pixels.data(), golden.width, golden.height, 0, MFS_RGB};
  std::vector<mfs_point> taps{{20.25f, 13.5f}};
  std::size_t pixels = golden.pixels.size() / 3;
  CudaStream stream;
  Cuda cuda = on(stream);

  std::vector<float> run(mfs::Session& session, const mfs_image& image) {
    std::vector<float> probability(static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height));
    mfs_outputs out{};
    out.struct_size = sizeof out;
    out.probability = probability.data();
    session.run(image, taps, out);
    return probability;
  }
};

// A photo and its results in device memory, rows of the photo with a gap.
struct OnDevice {
  OnDevice(const mfs_image& host, const std::vector<mfs_point>& taps)
      : stride(host.width * 3 + 5),
        photo(MemoryKind::kDevice, static_cast<std::size_t>(stride) * host.height),
        mask(MemoryKind::kDevice, static_cast<std::size_t>(host.width) * host.height),
        probability(MemoryKind::kDevice, 4 * mask.size()),
        image{reinterpret_cast<const std::uint8_t*>(photo.data()), host.width, host.height, stride, MFS_RGB} {
    put(host.data);
    outputs.struct_size = sizeof outputs;
    outputs.mask = reinterpret_cast<std::uint8_t*>(mask.data());
    outputs.probability = reinterpret_cast<float*>(probability.data());
    request = {&image, taps.data(), taps.size(), &outputs};
  }
  void put(const std::uint8_t* rgb) {
    std::vector<std::uint8_t> rows(photo.size());
    for (int y = 0; y < image.height; ++y)
      std::memcpy(&rows[static_cast<std::size_t>(y * stride)], rgb + y * image.width * 3,
                  static_cast<std::size_t>(image.width) * 3);
    MFS_REQUIRE_OK(upload(photo.data(), rows.data(), rows.size()));
  }
  std::vector<float> result(const Cuda& cuda) const {
    const CudaMemory host(MemoryKind::kPinned, probability.size());
    MFS_REQUIRE_OK(copy_to_host(cuda, host.data(), probability.data(), host.size()));
    MFS_REQUIRE_OK(wait(cuda));
    std::vector<float> values(host.size() / 4);
    std::memcpy(values.data(), host.data(), host.size());
    return values;
  }

  std::int64_t stride;
  CudaMemory photo, mask, probability;
  mfs_image image;
  mfs_outputs outputs{};
  mfs_request request{};
};

std::string refused(mfs_status wanted, mfs::Session& session, const Cuda& cuda, std::span<const mfs_request> requests) {
  try {
    session.enqueue(cuda.stream, requests);
  } catch (const mfs::Error& e) {
    CHECK(e.status() == wanted);
    return e.what();
  }
  FAIL("no error");
  return {};
}

#if MFS_EMULATED
using simt::emulation::device_calls;
using simt::emulation::DeviceCalls;
#else
struct DeviceCalls {
  long allocations = 0, frees = 0, synchronizations = 0, uploads = 0, copies = 0, graphs_made = 0, graphs_launched = 0;
};
DeviceCalls device_calls() { return {}; }
#endif

template <typename Body>
DeviceCalls calls_of(const Body& body) {
  const DeviceCalls before = device_calls();
  body();
  const DeviceCalls now = device_calls();
  return {now.allocations - before.allocations,
          now.frees - before.frees,
          now.synchronizations - before.synchronizations,
          now.uploads - before.uploads,
          now.copies - before.copies,
          now.graphs_made - before.graphs_made,
          now.graphs_launched - before.graphs_launched};
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "queued runs, alone and in the caller's graph, compute the bits of blocking ones") {
  mfs::Session blocking(model, {.max_width = 64, .max_height = 64});
  std::vector<std::uint8_t> other_pixels = golden.pixels;
  std::ranges::reverse(other_pixels);
  const mfs_image other{other_pixels.data(), golden.width, golden.height, 0, MFS_RGB};
  std::vector<float> expected;
  const DeviceCalls waited = calls_of([&] { expected = run(blocking, photo); });
  const std::vector<float> expected_other = run(blocking, other);

  mfs::Session session(model, {.max_width = 64, .max_height = 64, .device_photos_only = true});
  CHECK(session.memory_bytes() < blocking.memory_bytes());
  CHECK_THROWS_WITH(run(session, photo), "the session was created for photos in device memory only");
  OnDevice on_device(photo, taps);
  const DeviceCalls queued = calls_of([&] { session.enqueue(cuda.stream, {&on_device.request, 1}); });
  CHECK(on_device.result(cuda) == expected);

  const CudaGraph captured(cuda, [&] {
    session.enqueue(cuda.stream, {&on_device.request, 1});
    return Status();
  });
  on_device.put(other_pixels.data());
  MFS_REQUIRE_OK(captured.launch(cuda));
  CHECK(on_device.result(cuda) == expected_other);

  if (!MFS_EMULATED) return;  // nobody counts
  CHECK(queued.allocations + queued.frees + queued.synchronizations + queued.uploads + queued.copies + queued.graphs_made == 0);
  CHECK(queued.graphs_launched == 1);
  // The first blocking run, within the limits: one copy in, one out, one wait.
  CHECK(waited.allocations + waited.frees + waited.uploads + waited.graphs_made == 0);
  CHECK(waited.copies == 2);
  CHECK(waited.synchronizations == 1);
  CHECK(waited.graphs_launched == 1);
}

TEST_CASE_FIXTURE(Fixture, "photos of a batch get about what each gets alone, in the caller's memory, too") {
  const mfs::SessionOptions options{.max_batch = 2, .max_width = 64, .max_height = 64};
  const mfs::Memory needed = mfs::Session::memory_needed(model, options);
  CHECK(needed.pinned_bytes > 0);
  const CudaMemory memory(MemoryKind::kDevice, needed.bytes);
  mfs::SessionOptions borrowed = options;
  borrowed.memory = {memory.data(), memory.size()};
  mfs::Session session(model, borrowed), alone(model);
  std::vector<std::uint8_t> grey(64 * 20);
  for (std::size_t i = 0; i < grey.size(); ++i) grey[i] = static_cast<std::uint8_t>(i * 37 % 251);
  const mfs_image other{grey.data(), 64, 20, 0, MFS_GREY};
  const std::vector<float> expected = run(alone, photo), expected_other = run(alone, other);

  std::vector<float> first(pixels), second(grey.size());
  mfs_outputs a{}, b{};
  a.struct_size = b.struct_size = sizeof a;
  a.probability = first.data(), b.probability = second.data();
  const mfs_request both[] = {{&photo, taps.data(), 1, &a}, {&other, taps.data(), 1, &b}};
  session.run(both);
  for (std::size_t i = 0; i < first.size(); ++i) REQUIRE(std::abs(first[i] - expected[i]) <= kBatchTolerance);
  for (std::size_t i = 0; i < second.size(); ++i) REQUIRE(std::abs(second[i] - expected_other[i]) <= kBatchTolerance);
}

TEST_CASE_FIXTURE(Fixture, "what has no memory or plan yet is refused when queued, and fine after a warm-up") {
  mfs::Session session(model, {.max_batch = 2, .device_photos_only = true});
  OnDevice on_device(photo, taps);
  const mfs_request one[] = {on_device.request}, two[] = {on_device.request, on_device.request};
  CHECK(refused(MFS_INVALID_ARGUMENT, session, cuda, one).find("nothing is planned for 1 photos") != std::string::npos);
  CHECK(refused(MFS_INVALID_ARGUMENT, session, cuda, two).find("there is no memory for a photo of 56x40") != std::string::npos);
  session.warm_up(56, 40, 1);
  session.enqueue(cuda.stream, one);
  CHECK(std::ranges::all_of(on_device.result(cuda), [](float v) { return v > 0 && v < 1; }));
}

TEST_CASE_FIXTURE(Fixture, "refined photos can be queued, and are those of a blocking run") {
  mfs::Session blocking(model, {.refine = true});
  mfs::Session queued(model, {.max_width = 56, .max_height = 40, .device_photos_only = true, .refine = true});
  mfs::Session unplanned(model, {.device_photos_only = true, .refine = true}), plain(model);
  const std::vector<float> expected = run(blocking, photo);
  CHECK(expected != run(plain, photo));
  OnDevice on_device(photo, taps);
  const mfs_request one[] = {on_device.request};
  queued.enqueue(cuda.stream, one);
  CHECK(on_device.result(cuda) == expected);
  CHECK(refused(MFS_INVALID_ARGUMENT, unplanned, cuda, one).find("there is no memory for a photo of 56x40") !=
        std::string::npos);
  unplanned.warm_up(56, 40, 1);
  OnDevice again(photo, taps);
  unplanned.enqueue(cuda.stream, {&again.request, 1});
  CHECK(again.result(cuda) == expected);
}

TEST_CASE("a GPU that is not there is refused, the one that is there is taken by its number") {
  CHECK(std::string(Model(MFS_SMALL_WEIGHTS, {.device = "cuda:0"}).info().device) == "cuda:0");
  CHECK_THROWS_WITH(Model(MFS_SMALL_WEIGHTS, {.device = "cuda:99"}),
                    "device cuda:99 was asked for, but there is no such device");
}

#if MFS_EMULATED
TEST_CASE("int8 is refused on a GPU that is no Hopper, before anything is planned") {
  CHECK_THROWS_WITH(Model(MFS_SMALL_WEIGHTS, {.device = "cuda", .precision = "int8"}),
                    "precision int8 on a GPU needs one of compute capability 9.0 and a build for sm_90a");
}

struct Hopper {
  Hopper() { simt::emulation::device_capability() = 90; }
  ~Hopper() { simt::emulation::device_capability() = 80; }
};
// No bound worth having follows from roundings in series: int8 has eight bits, e4m3 four significant ones. Measured: 0.044 at
// worst in int8.
TEST_CASE_FIXTURE(Fixture, "int8 and fp8 run on a Hopper GPU, each as what it is, near f16") {
  const Hopper hopper;
  std::vector<std::vector<float>> results;
  for (const char* precision : {"f16", "int8", "fp8"}) {
    CAPTURE(precision);
    const Model small(MFS_SMALL_WEIGHTS, {.device = "auto", .precision = precision});
    CHECK(std::string(small.info().precision) == precision);
    CHECK(std::string(small.info().device) == "cuda:0");
    mfs::Session session(small, {.network_width = 64, .network_height = 64});
    results.push_back(run(session, photo));
  }
  constexpr double kLimits[] = {0, 0.06, 0.2};
  for (const std::size_t a : {1, 2}) {
    CHECK(results[a] != results[a - 1]);
    for (std::size_t i = 0; i < pixels; ++i) CHECK(std::abs(results[a][i] - results[0][i]) <= kLimits[a]);
  }
  CHECK(results[2] != results[0]);
}

TEST_CASE_FIXTURE(Fixture, "a device allocation that fails is an error, and the next call works") {
  const auto create_and_run = [&] {
    mfs::Session session(model, {});
    return run(session, photo);
  };
  std::vector<float> expected;
  create_and_run();  // packs the weights
  const long points = calls_of([&] { expected = create_and_run(); }).allocations;
  REQUIRE(points >= 3);  // arena, device and pinned memory of photos
  long failures = 0;
  for (const bool all : {false, true}) {
    for (long nth = 0; nth < points; ++nth) {
      CAPTURE(nth);
      CAPTURE(all);
      const DeviceCalls calls = calls_of([&] {
        simt::emulation::fail_device_allocation(nth, all);
        try {
          create_and_run();
        } catch (const mfs::Error& e) {
          CHECK(e.status() == MFS_OUT_OF_MEMORY);
          ++failures;
        }
        simt::emulation::fail_device_allocation(-1, false);
      });
      CHECK(calls.allocations <= calls.frees + 1);  // the one that failed
    }
  }
  CHECK(failures >= points);
  CHECK(create_and_run() == expected);
}
#endif

}  // namespace mfs::test
