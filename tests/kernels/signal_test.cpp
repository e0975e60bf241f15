// Signal handlers of the program around us: one may run at any time, on the stack of any thread.
#include <sys/time.h>

#include <csignal>
#include <cstring>
#include <vector>

#include "kernels/conv.h"
#include "tests/support/checks.h"

namespace mfs::core::test {
namespace {

volatile std::sig_atomic_t handled = 0;

// As large a frame as a handler's may be.
void handle(int) {
  volatile char frame[4096];
  for (volatile char& c : frame) c = 0x5a;
  handled = handled + 1;
}

// A signal every 0.1 ms.
class Signals {
 public:
  Signals() {
    struct sigaction action {};
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, &before_);
    repeat(100);
  }
  ~Signals() {
    repeat(0);
    sigaction(SIGALRM, &before_, nullptr);
  }

 private:
  static void repeat(int microseconds) {
    const itimerval timer{{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_REAL, &timer, nullptr);
  }
  struct sigaction before_ {};
};

struct Case {
  const char* name;
  DType dtype;
  int channels, size, kernel, dilation = 1;
};

TEST_CASE("convolutions compute the same bits when signals are handled meanwhile") {
  constexpr int kSignals = 1500;
  for (const Case& k :
       {Case{"winograd", DType::kF32, 256, 16, 3, 2}, Case{"winograd", DType::kF32, 128, 40, 3},
        Case{"direct", DType::kF32, 64, 32, 3}, Case{"pixels", DType::kF32, 128, 32, 1}, Case{"int8", DType::kU8, 64, 32, 3}}) {
    for (const int threads : {1, 2}) {
      CAPTURE(k.name);
      CAPTURE(threads);
      const Shape map{1, k.size, k.size, k.channels};
      Conv conv{.src = map,
                .dst = map,
                .kernel = k.kernel,
                .dilation = k.dilation,
                .pad = k.kernel / 2 * k.dilation,
                .dtype = k.dtype};
      if (k.dtype == DType::kU8) conv.src_scale = 0.1f;
      Tensor src = random_values(map, k.dtype, 0, 1),
             weights = random_values({1, 1, k.channels, k.channels * k.kernel * k.kernel}, DType::kF32, 0, 2),
             bias = random_values({1, 1, 1, k.channels}, DType::kF32, 0, 3);
      const Cpu cpu{threads};
      const auto prepared = prepare(cpu, conv, weights.floats(), bias.floats());
      GuardedBytes scratch(prepared->scratch_bytes());
      Tensor quiet(map, DType::kF32), disturbed(map, DType::kF32);
      MFS_REQUIRE_OK(prepared->run(cpu, {src.view(), {}, {}, quiet.view(), scratch.data()}));
      const auto bytes = static_cast<std::size_t>(map.elements()) * sizeof(float);
      int different = 0;
      handled = 0;
      {
        const Signals signals;
        while (handled < kSignals) {
          MFS_REQUIRE_OK(prepared->run(cpu, {src.view(), {}, {}, disturbed.view(), scratch.data()}));
          different += std::memcmp(quiet.floats(), disturbed.floats(), bytes) != 0;
        }
      }
      CHECK(different == 0);
      CHECK(scratch.canaries_intact());
    }
  }
}

}  // namespace
}  // namespace mfs::core::test
