// Asynchronous operations between their issue and their completion, and the groups that threads wait for.
#include "kernels/cuda/simt/emulation/scheduler.h"

namespace mfs::core::simt::emulation {

void submit(AsyncOp op) {
  if (state().options.completion == Completion::kEarly) {
    op.run();
  } else {
    state().pending.push_back(std::move(op));
  }
}

uint64_t open_group(GroupKind kind) {
  uint64_t& group = current().open_group[static_cast<size_t>(kind)];
  if (group == 0) group = state().next_async_group++;
  return group;
}

void commit_group(GroupKind kind) {
  Thread& t = current();
  t.groups[static_cast<size_t>(kind)].push_back(open_group(kind));  // empty groups count, too
  t.open_group[static_cast<size_t>(kind)] = 0;
}

uint64_t groups_to_complete(GroupKind kind, unsigned left) {
  std::vector<uint64_t>& groups = current().groups[static_cast<size_t>(kind)];
  if (groups.size() <= left) return 0;
  const size_t complete_count = groups.size() - left;
  const uint64_t last = groups[complete_count - 1];
  groups.erase(groups.begin(), groups.begin() + static_cast<long>(complete_count));
  return last;
}

}  // namespace mfs::core::simt::emulation
