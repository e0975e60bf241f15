#include "runtime/streams.h"

#include <algorithm>
#include <utility>

namespace mfs::core {
namespace {

std::vector<Access> accesses(const Lowered& network) {
  std::vector<Access> all;
  for (const LoweredOp& op : network.ops) all.push_back(access_of(op.step));
  return all;
}

}  // namespace

StreamOrder::StreamOrder(const Lowered& network, std::vector<int> streams) : StreamOrder(streams.size()) {
  streams_ = std::move(streams);
  streams_.push_back(0);
  const std::vector<Access> access = accesses(network);
  int seen[] = {kStart, kNothing};  // by each stream, of the other
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    int& known = seen[streams_[i]];
    int last = streams_[i] == 1 ? std::max(known, kStart) : known;
    for (int j = last + 1; j < static_cast<int>(i); ++j) {
      const auto other = static_cast<std::size_t>(j);
      if (streams_[other] != streams_[i] && (i == access.size() || !independent(access[i], access[other]))) last = j;
    }
    if (last > known) awaits_[i] = last;
    known = seen_[i] = last;
  }
}

std::vector<int> side_branches(const Lowered& network) {
  const std::vector<Access> access = accesses(network);
  std::vector<int> length(access.size(), 1), previous(access.size(), -1);  // the longest chain that ends with this step
  for (std::size_t i = 0; i < access.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (length[j] >= length[i] && !independent(access[i], access[j]))
        length[i] = length[j] + 1, previous[i] = static_cast<int>(j);
  std::vector<int> streams(access.size(), 1);
  for (auto i = static_cast<int>(std::ranges::max_element(length) - length.begin()); i >= 0;) {
    streams[static_cast<std::size_t>(i)] = 0;
    i = previous[static_cast<std::size_t>(i)];
  }
  return streams;
}

}  // namespace mfs::core
