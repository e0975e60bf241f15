// What each step reads and writes: the input of the memory planner.
#include <algorithm>

#include "runtime/steps.h"

namespace mfs::core {
namespace {

struct Collect {
  Access operator()(const ConvStep& s) const {
    Access a = with_optional(with_optional({{s.src}, {s.dst}}, s.residual), s.joined);
    if (s.copy) a.writes.push_back(s.copy);
    if (s.sums) a.writes.push_back(s.sums);
    return a;
  }
  Access operator()(const ConvGroupStep& s) const {
    Access all;
    for (const ConvStep& conv : s.convs) {
      const Access a = (*this)(conv);
      all.reads.insert(all.reads.end(), a.reads.begin(), a.reads.end());
      all.writes.insert(all.writes.end(), a.writes.begin(), a.writes.end());
    }
    return all;
  }
  Access operator()(const StemStep& s) const { return {{s.conv.src}, s.pooled}; }
  Access operator()(const MaxPoolStep& s) const { return {{s.src}, {s.dst}}; }
  Access operator()(const SqueezeExciteStep& s) const {
    return with_optional(with_optional({{s.src}, {s.dst}}, s.residual), s.sums);
  }
  Access operator()(const ConvGateStep& s) const {
    Access a = with_optional(with_optional({{s.conv.src}, {s.gate.dst}}, s.conv.joined), s.gate.residual);
    a.writes.push_back(s.conv.sums);
    return a;
  }
  Access operator()(const PyramidPoolStep& s) const { return {{s.src}, s.grids}; }
  Access operator()(const PyramidHeadStep& s) const {
    Access a{s.priors, {s.dst}};
    a.reads.push_back(s.features);
    return a;
  }
  Access operator()(const ConvHeadStep& s) const {
    Access a = with_optional({{s.conv.src}, {s.head.dst}}, s.conv.joined);
    a.reads.insert(a.reads.end(), s.head.priors.begin(), s.head.priors.end());
    return a;
  }
  Access operator()(const ResizeStep& s) const { return {{s.src}, {s.dst}}; }
  Access operator()(const TransposedConvStep& s) const { return with_optional({{s.src}, {s.dst}}, s.residual); }
  Access operator()(const QuantiseStep& s) const { return {{s.src}, {s.dst}}; }

  static Access with_optional(Access a, const Place& source) {
    if (source) a.reads.push_back(source);
    return a;
  }
};

bool overlap(const std::vector<Place>& places, const std::vector<Place>& others) {
  return std::ranges::any_of(places, [&](const Place& p) {
    return std::ranges::any_of(others, [&](const Place& o) {
      return o.buffer == p.buffer && o.first_channel < p.first_channel + p.shape.c &&
             p.first_channel < o.first_channel + o.shape.c;
    });
  });
}

}  // namespace

Access access_of(const AnyStep& step) { return std::visit(Collect{}, step); }

bool independent(const Access& a, const Access& b) {
  return !overlap(a.writes, b.reads) && !overlap(a.writes, b.writes) && !overlap(a.reads, b.writes);
}

}  // namespace mfs::core
