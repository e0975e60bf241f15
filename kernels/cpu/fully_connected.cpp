#include "kernels/fully_connected.h"

#include <cmath>

#include "kernels/cpu/element.h"
#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"

namespace mfs::core {
namespace {

// Sixteen partial sums, since floating-point addition may not be reordered into vectors behind our back.
MFS_MULTIVERSION float dot(const float* a, const float* b, int count) {
  constexpr int kLanes = 16;
  float lanes[kLanes] = {};
  int i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  }
  for (int l = 0; i < count; ++i, ++l) lanes[l] += a[i] * b[i];
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

float activate(float v, Activation activation) {
  switch (activation) {
    case Activation::kRelu:
      return v < 0 ? 0.0f : v;
    case Activation::kSigmoid:
      return 1.0f / (1.0f + std::exp(-v));
    case Activation::kNone:
      break;
  }
  return v;
}

}  // namespace

Status run(const Cpu& cpu, const FullyConnected& op) {
  if (Status s = check(op); !s) return s;
  const int m = op.dst.shape.c, k = op.src.shape.c;
  constexpr std::int64_t kWorthThreads = 1 << 18;  // multiply-adds; an SE gate stays far below, where waking threads costs more
  const Cpu used{op.dst.shape.elements() * k < kWorthThreads ? 1 : cpu.threads};
  parallel_ranges(used, op.dst.shape.elements(), [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t row = i % m;
      const float sum = dot(op.weights + row * k, row_of<float>(op.src, i / m), k);
      static_cast<float*>(op.dst.data)[i] = activate(op.bias == nullptr ? sum : sum + op.bias[row], op.activation);
    }
  });
  return {};
}

}  // namespace mfs::core
