// Sessions of one model in eight threads give the bits of one; plans of different sizes may be made at the same time. Also
// built with ThreadSanitizer (preset "tsan"): every session then has one thread, since OpenMP's runtime is not made for it.
#include <doctest/doctest.h>

#include <cstring>
#include <thread>

#include "mfs/mfs.hpp"
#include "tests/runtime/guarantees/support.h"

namespace mfs::test {
namespace {

std::vector<float> result_of(Session& session, Photo& photo) {
  session.run({&photo.request, 1});
  return photo.probability;
}

}  // namespace

TEST_CASE("eight threads with sessions of one model compute the bits of one thread") {
  const core::test::GoldenNetwork golden("multi");
  const int rounds = long_form() ? 200 : 3;
  for (const int threads : {1, MFS_TEST_THREADS}) {
    const Model model(golden.weights_path, {.device = "cpu", .precision = "f32", .threads = threads});
    constexpr std::size_t kThreads = 8;
    const auto size_of = [](std::size_t i) { return 64 + 8 * static_cast<int>(i % 3); };
    std::vector<std::vector<float>> expected;
    {
      const Model alone(golden.weights_path, {.device = "cpu", .precision = "f32", .threads = threads});
      for (std::size_t i = 0; i < kThreads; ++i) {
        Session session(alone, {.network_width = size_of(i), .network_height = 64});
        Photo photo(40 + static_cast<int>(i), 56, static_cast<std::uint32_t>(i));
        expected.push_back(result_of(session, photo));
      }
    }
    std::vector<int> wrong(kThreads, -1);
    std::vector<std::thread> all;
    for (std::size_t i = 0; i < kThreads; ++i)
      all.emplace_back([&, i] {
        int bad = 0;
        Photo photo(40 + static_cast<int>(i), 56, static_cast<std::uint32_t>(i));
        for (int round = 0; round < rounds; ++round) {
          Session session(model, {.network_width = size_of(i), .network_height = 64});
          for (int run = 0; run < 2; ++run) bad += result_of(session, photo) != expected[i];
        }
        wrong[i] = bad;
      });
    for (std::thread& t : all) t.join();
    for (const int bad : wrong) CHECK(bad == 0);
  }
}

}  // namespace mfs::test
