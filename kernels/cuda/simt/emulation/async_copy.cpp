#include "kernels/cuda/simt/async_copy.h"

#include <algorithm>
#include <cstring>

#include "kernels/cuda/simt/emulation/scheduler.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

using emulation::GroupKind;

void copy_async(void* to_shared, const void* from, uint32_t bytes, uint32_t source_bytes, Site site) {
  using namespace emulation;
  check_shared(to_shared, bytes, "copy_async", site);
  check_address(to_shared, bytes, "copy_async destination", site);
  if (source_bytes > bytes) fail(site, "copy_async: %u bytes of source for %u of destination", source_bytes, bytes);
  if (source_bytes > 0) check_address(from, bytes, "copy_async source", site);
  if (source_bytes > 0) check_dependency(from, source_bytes, Touch::kRead, site);
  Thread& t = current();
  const uint64_t group = open_group(GroupKind::kCopy);
  auto* to = static_cast<unsigned char*>(to_shared);
  // Copies of one group are one agent to other threads; among themselves they must not overlap.
  if (state().options.detect_races) {
    for (const auto& [first, agent] : t.copies) {
      if (first < to + bytes && to < first + agent.bytes)
        report(site, "race: two copy_async of one thread in flight write the same bytes");
    }
  }
  AsyncAgent agent;
  if (state().options.detect_races) {
    const auto known = std::find_if(t.copies.begin(), t.copies.end(), [=](const auto& c) { return c.second.group == group; });
    if (known == t.copies.end()) {
      agent = make_async_agent(t);
    } else {
      agent = renew(known->second.agent);
    }
    t.copies.push_back({to, {group, bytes, agent}});
  }
  const auto run = [to, from, bytes, source_bytes, agent, site] {
    touch(agent, from, source_bytes, Touch::kRead, false, site);
    touch(agent, to, bytes, Touch::kWrite, false, site);
    std::memcpy(to, from, source_bytes);
    std::memset(to + source_bytes, 0, bytes - source_bytes);
  };
  submit({.issuer = &t, .kind = GroupKind::kCopy, .group = group, .what = "copy_async", .run = run});
}

void copy_async_commit() { emulation::commit_group(GroupKind::kCopy); }

void copy_async_wait(unsigned left) {
  using namespace emulation;
  Thread& t = current();
  const uint64_t last = groups_to_complete(GroupKind::kCopy, left);
  complete([&](const AsyncOp& op) { return op.issuer == &t && op.kind == GroupKind::kCopy && op.group <= last; });
  std::erase_if(t.copies, [&](const auto& copy) {
    if (copy.second.group > last) return false;
    release(copy.second.agent, t.knowledge, false);
    return true;
  });
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
