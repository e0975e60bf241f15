// What a lowered operation has to give, in double precision from the very values that it read: with the bound of one rounding
// to the element type and of a sum in f32.
#pragma once

#include <functional>
#include <vector>

#include "runtime/lowered.h"
#include "tests/support/compare.h"
#include "weights/weights_file.h"

namespace mfs::core::test {

// A value in host memory, dense.
struct Map {
  Shape shape;
  std::vector<double> values;

  double& at(int n, int y, int x, int c) { return values[index(n, y, x, c)]; }
  double at(int n, int y, int x, int c) const { return values[index(n, y, x, c)]; }
  std::size_t index(int n, int y, int x, int c) const {
    return static_cast<std::size_t>(((std::int64_t{n} * shape.h + y) * shape.w + x) * shape.c + c);
  }
};

// Of every element: its value before rounding and what may be lost on the way to it.
struct ExpectedMap {
  Place place;
  Map value, bound;
};

// read(place) gives what the device holds there now, of narrow types in units of their scale; called before the operation runs.
class StepReference {
 public:
  using Read = std::function<Map(const Place&)>;
  StepReference(const WeightsFile& file, const Lowered& network, Read read)
      : file_(file), network_(network), read_(std::move(read)) {}

  std::vector<ExpectedMap> operator()(const AnyStep& step) const {
    return std::visit([this](const auto& s) { return expect(s); }, step);
  }
  DType dtype(const Place& p) const { return network_.buffers[static_cast<std::size_t>(p.buffer)].dtype; }

 private:
  std::vector<ExpectedMap> expect(const ConvStep& s) const;
  std::vector<ExpectedMap> expect(const ConvGroupStep& s) const;
  std::vector<ExpectedMap> expect(const StemStep& s) const;
  std::vector<ExpectedMap> expect(const MaxPoolStep& s) const;
  std::vector<ExpectedMap> expect(const SqueezeExciteStep& s) const;
  std::vector<ExpectedMap> expect(const ConvGateStep& s) const;
  std::vector<ExpectedMap> expect(const PyramidPoolStep& s) const;
  std::vector<ExpectedMap> expect(const PyramidHeadStep& s) const;
  std::vector<ExpectedMap> expect(const ConvHeadStep& s) const;
  std::vector<ExpectedMap> expect(const ResizeStep& s) const;
  std::vector<ExpectedMap> expect(const TransposedConvStep& s) const;
  std::vector<ExpectedMap> expect(const QuantiseStep& s) const;
  std::vector<ExpectedMap> expect_narrow(const ConvStep& s, const Place& dst) const;
  ExpectedMap gated(const SqueezeExciteStep& s, const ExpectedMap& source) const;
  ExpectedMap blank(const Place& p) const;
  float scale(const Place& p) const { return network_.buffers[static_cast<std::size_t>(p.buffer)].scale; }

  const WeightsFile& file_;
  const Lowered& network_;
  Read read_;
};

}  // namespace mfs::core::test
