// Comparison with a double-precision reference: every element has its own bound, and a NaN is never close to anything.
#pragma once

#include <cmath>
#include <limits>
#include <ostream>
#include <string>

#include "kernels/bfloat16.h"
#include "tests/support/tensor.h"

namespace mfs::core::test {

inline constexpr double kEps = 0x1p-24;  // unit roundoff of f32

// Largest error of storing a number of this magnitude.
inline double rounding(DType t, double magnitude) { return std::abs(magnitude) * (t == DType::kF32 ? kEps : 0x1p-8); }

// The number that is stored for an exact f32 value.
inline double stored(DType t, double value) {
  const auto f = static_cast<float>(value);
  return t == DType::kF32 ? f : static_cast<float>(BFloat16(f));
}

struct Expected {
  double value = 0, bound = 0;
};

struct Diff {
  bool finite = true;
  double worst = 0;   // largest error in units of its bound
  std::string where;  // of the worst element

  explicit operator bool() const { return finite && worst <= 1; }

  void add(double actual, const Expected& e, int n, int y, int x, int c) {
    finite = finite && std::isfinite(actual);
    const double error = std::abs(actual - e.value);
    double ratio = std::numeric_limits<double>::infinity();
    if (error <= e.bound) ratio = error == 0 ? 0 : error / e.bound;
    if (error > e.bound && e.bound > 0) ratio = error / e.bound;
    if (ratio <= worst && !where.empty()) return;
    worst = ratio;
    where = "[" + std::to_string(n) + "," + std::to_string(y) + "," + std::to_string(x) + "," + std::to_string(c) + "] is " +
            std::to_string(actual) + ", expected " + std::to_string(e.value) + " +- " + std::to_string(e.bound);
  }
};

inline std::ostream& operator<<(std::ostream& out, const Diff& d) {
  return out << "worst error / bound " << d.worst << " at " << d.where << (d.finite ? "" : "; not finite somewhere");
}

// expected(n, y, x, c) -> Expected
template <typename Reference>
Diff compare(const Tensor& actual, const Reference& expected) {
  Diff d;
  const Shape& s = actual.shape();
  for (int n = 0; n < s.n; ++n) {
    for (int y = 0; y < s.h; ++y) {
      for (int x = 0; x < s.w; ++x) {
        for (int c = 0; c < s.c; ++c) d.add(actual.at(n, y, x, c), expected(n, y, x, c), n, y, x, c);
      }
    }
  }
  return d;
}

}  // namespace mfs::core::test

// The comparison, and that nothing around the output was touched.
#define MFS_CHECK_CLOSE(actual, expected)                                  \
  do {                                                                     \
    const ::mfs::core::test::Diff diff_ = ::mfs::core::test::compare(actual, expected); \
    CHECK_MESSAGE(static_cast<bool>(diff_), diff_);                        \
    CHECK((actual).canaries_intact());                                     \
  } while (false)

// check() and run() refuse the operation with a sentence that contains `words`.
#define MFS_CHECK_REFUSED(op, words)                                        \
  do {                                                                      \
    const ::mfs::core::Status checked_ = check(op);                         \
    CHECK(checked_.code() == ::mfs::core::Code::kInvalidArgument);          \
    CHECK_MESSAGE(checked_.message().find(words) != std::string::npos, checked_.message()); \
  } while (false)

// An operation that must succeed; on failure its sentence is printed.
#define MFS_REQUIRE_OK(call)                                          \
  do {                                                                \
    const ::mfs::core::Status status_ = call;                         \
    REQUIRE_MESSAGE(static_cast<bool>(status_), status_.message());   \
  } while (false)
