// Refinement: sessions against its operations run by hand on the CPU, from the logit of the same run. What the operations
// compute is compared with PyTorch in parity_test.py.
#include "runtime/refine.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "mfs/mfs.hpp"
#include "runtime/aligned_buffer.h"
#include "runtime/photo_steps.h"
#include "runtime/workspace.h"
#include "tests/runtime/scene.h"

namespace mfs::core {
namespace {

// What `request` should give for a logit, written into its outputs.
void refine_by_hand(const Model& model, const View& logit, const RunRequest& request) {
  const PreprocessDescription& p = model.weights().preprocess();
  const View input(nullptr, DType::kF32, {1, p.height, p.width, 4});
  const UpsampleMask upsample = upsample_of(request, model.weights().network(), logit, {});
  const Cpu cpu{2};
  const AlignedBuffer memory(refinement_of(cpu, request, upsample, input, nullptr).bytes);
  REQUIRE(run(cpu, refinement_of(cpu, request, upsample, input, memory.data())));
}

// NaN if there is one.
double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size() && !std::isnan(largest); ++i) {
    const double difference = std::abs(double{a[i]} - b[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

void refine_two(const test::GoldenNetwork& golden, const std::shared_ptr<const Model>& model) {
  Session plain(model, {.max_batch = 2}), refining(model, {.max_batch = 2, .refine = true});
  test::Scene a(golden, 1, {20.25f, 13.5f}), b(golden, 3, {150, 3});
  RunRequest expected[] = {a.request(0.5f), b.request(0.4f)};
  REQUIRE(plain.run(expected));
  const std::vector<float> interpolated = a.probability;
  for (std::size_t i = 0; i < 2; ++i) {
    View logit;
    REQUIRE(const_cast<Executor*>(plain.executor())->host_logit(i, logit));
    refine_by_hand(*model, logit, expected[i]);
  }
  CHECK(largest_difference(a.probability, interpolated) > 0.01);

  test::Scene c(golden, 1, a.taps[0]), d(golden, 3, b.taps[0]);
  const RunRequest both[] = {c.request(0.5f), d.request(0.4f)};
  REQUIRE(refining.run(both));
  // The same operations, but for the order of sums in a GPU's, which their own tests bound: 1.5e-7 in emulation. Another photo,
  // logit or grid would be seen.
  const double tolerance = test::is_on_cpu(*model) ? 0 : 1e-5;
  CHECK(largest_difference(c.probability, a.probability) <= tolerance);
  CHECK(largest_difference(d.probability, b.probability) <= tolerance);
  for (const test::Scene* scene : {&c, &d})
    for (int y = 0; y < scene->height; ++y)
      for (int x = 0; x < scene->width; ++x) {
        const float probability = scene->probability[static_cast<std::size_t>(y) * (scene->width + 1) + x];
        const float threshold = scene == &c ? 0.5f : 0.4f;
        CHECK(scene->mask[static_cast<std::size_t>(y) * (scene->width + 3) + x] == (probability > threshold ? 255 : 0));
      }
}

}  // namespace

TEST_CASE("a session that refines gives what the operations give one by one") {
  const test::GoldenNetwork golden("multi");
  test::on_every_device(golden, [&](const std::shared_ptr<const Model>& model) { refine_two(golden, model); });
}

TEST_CASE("refinement has its memory from the beginning, in the session's limits or the caller's block") {
  const test::GoldenNetwork golden("multi");
  test::on_every_device(golden, [&](const std::shared_ptr<const Model>& model) {
    test::Scene scene(golden, 1, {20.25f, 13.5f});
    SessionOptions options{.max_height = scene.height, .max_width = scene.width};
    const std::size_t plain = Session::memory_needed(*model, options).main;
    options.refine = true;
    const std::size_t needed = Session::memory_needed(*model, options).main;
    CHECK(needed > plain);
    Session session(model, options);
    const std::size_t bytes = session.memory_bytes();
    CHECK(bytes <= needed);
    const RunRequest r = scene.request(0.5f);
    REQUIRE(session.run(r));
    CHECK(session.memory_bytes() == bytes);
    const std::vector<float> expected = scene.probability;
    Session warm(model, {.refine = true});
    REQUIRE(warm.warm_up(scene.width, scene.height, 1));
    const std::size_t warmed = warm.memory_bytes();
    REQUIRE(warm.run(r));
    CHECK(scene.probability == expected);
    if (!test::is_on_cpu(*model)) return;  // photos on their way take more memory; the block would be the device's
    CHECK(warm.memory_bytes() == warmed);
    const AlignedBuffer block(needed + Workspace::kAlignment);
    const auto address = reinterpret_cast<std::uintptr_t>(block.data());
    const std::size_t gap = (Workspace::kAlignment - address % Workspace::kAlignment) % Workspace::kAlignment;
    options.memory = block.span().subspan(gap, needed);
    Session guest(model, options);
    REQUIRE(guest.run(r));
    CHECK(scene.probability == expected);
  });
}

TEST_CASE("mfs.hpp: refine is an option of the session") {
  const test::GoldenNetwork golden("multi");
  const mfs::Model model(golden.weights_path);
  mfs::Session plain(model), refining(model, {.refine = true});
  const mfs::Image photo{golden.pixels.data(), golden.width, golden.height, 0, MFS_RGB};
  std::vector<float> a(golden.pixels.size() / 3), b(a.size());
  const mfs::Point tap{20.25f, 13.5f};
  mfs_outputs outputs{};
  outputs.struct_size = sizeof outputs;
  outputs.probability = a.data();
  plain.run(photo, {&tap, 1}, outputs);
  outputs.probability = b.data();
  refining.run(photo, {&tap, 1}, outputs);
  CHECK(largest_difference(a, b) > 0.01);
}

}  // namespace mfs::core
