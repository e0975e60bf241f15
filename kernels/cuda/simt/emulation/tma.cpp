#include "kernels/cuda/simt/tma.h"

#include <cstring>

#include "kernels/cuda/simt/emulation/mbarriers.h"
#include "kernels/cuda/simt/emulation/swizzle.h"
#include "kernels/cuda/simt/tma_store.h"

namespace mfs::core::simt {
namespace emulation {
namespace {

struct Box {
  TensorShape shape;  // a copy: the tensor map is a kernel argument and dies with the thread
  long first[5] = {0, 0, 0, 0, 0};
};

Box make_box(const TensorMap& map, const int* c, int rank, const char* what, const Site& site) {
  Box box{.shape = map.shape};
  if (box.shape.rank != rank) fail(site, "%s: %d coordinates for a tensor of rank %d", what, rank, box.shape.rank);
  for (int i = 0; i < rank; ++i) box.first[i] = c[i];
  return box;
}

// Calls visit(global, shared, skip, bytes) for every 16 bytes of the box: `bytes` of them are in the tensor, after `skip` left
// of it.
template <class Visit>
void for_each_chunk(const Box& box, unsigned char* shared, uint32_t shared_address, const Visit& visit) {
  const TensorShape& s = box.shape;
  const auto size = static_cast<long>(element_bytes(s.type));
  uint32_t n[5], i[5] = {0, 0, 0, 0, 0};
  for (int d = 0; d < 5; ++d) n[d] = (s.box[d] + s.step[d] - 1) / s.step[d];
  uint32_t offset = 0;
  for (i[4] = 0; i[4] < n[4]; ++i[4])
    for (i[3] = 0; i[3] < n[3]; ++i[3])
      for (i[2] = 0; i[2] < n[2]; ++i[2])
        for (i[1] = 0; i[1] < n[1]; ++i[1]) {
          bool inside = true;
          long row = 0;
          for (int d = 1; d < 5; ++d) {
            const long at = box.first[d] + static_cast<long>(i[d]) * s.step[d];
            inside &= at >= 0 && at < static_cast<long>(s.extent[d]);
            row += at * static_cast<long>(s.stride[d]);
          }
          for (long x = 0; x < static_cast<long>(n[0]); x += 16 / size, offset += 16) {
            const long first = box.first[0] + x, end = first + 16 / size;
            const long low = inside ? std::max(first, 0l) : end, high = std::min(end, static_cast<long>(s.extent[0]));
            const uint32_t place = swizzled(shared_address + offset, s.swizzle) - shared_address;
            const unsigned char* global = static_cast<const unsigned char*>(s.base) + row;
            visit(global + low * size, shared + static_cast<int32_t>(place), (low - first) * size,
                  std::max(high - low, 0l) * size);
          }
        }
}

uint32_t address_in(const Block& block, const void* p) {
  return block.shared_base + static_cast<uint32_t>(static_cast<const unsigned char*>(p) - block.shared);
}

void load_into(const Box& box, const AsyncAgent& agent, unsigned char* to, uint64_t* barrier, const Site& site) {
  for_each_chunk(box, to, address_in(*block_of(to), to),
                 [&](const unsigned char* from, unsigned char* chunk, long skip, long bytes) {
                   touch(agent, from, static_cast<size_t>(bytes), Touch::kRead, true, site);
                   touch(agent, chunk, 16, Touch::kWrite, true, site);
                   std::memset(chunk, 0, 16);
                   if (bytes > 0) std::memcpy(chunk + skip, from, static_cast<size_t>(bytes));
                 });
  deliver(find_mbarrier(barrier, "tma_load", site), agent, box_bytes(box.shape));
}

void check_shared_box(const Box& box, const void* p, const char* what, const Site& site) {
  check_shared(p, box_bytes(box.shape), what, site);
  if (shared_address(p, site) % 128 != 0) fail(site, "misaligned %s: the shared address is no multiple of 128", what);
}

}  // namespace
}  // namespace emulation

inline namespace MFS_SIMT_BACKEND {

using namespace emulation;

void tma_load(void* to_shared, const TensorMap& map, uint64_t* barrier, const int* c, int rank, uint32_t blocks, Site site) {
  maybe_yield(site);
  Thread& t = current();
  const Box box = make_box(map, c, rank, "tma_load", site);
  check_shared_box(box, to_shared, "tma_load", site);
  check_shared(barrier, 8, "tma_load", site);
  check_dependency(box.shape.base, 1, Touch::kRead, site);
  for (unsigned rank_to = 0; rank_to < t.block->cluster->blocks.size(); ++rank_to) {
    if (blocks ? !(blocks >> rank_to & 1) : rank_to != t.block->rank) continue;
    auto* to = static_cast<unsigned char*>(remote_address(to_shared, rank_to, "tma_load", site));
    auto* signal = static_cast<uint64_t*>(remote_address(barrier, rank_to, "tma_load", site));
    if (!find_mbarrier(signal, "tma_load", site).fenced)
      report(site, "missing fence_mbarrier_init before TMA uses the mbarrier");
    touch(signal, 8, Touch::kAtomic, site);
    const AsyncAgent agent = make_async_agent(t);
    submit({.issuer = &t, .kind = GroupKind::kBulk, .block = block_of(to), .what = "tma_load", .run = [=] {
              load_into(box, agent, to, signal, site);
            }});
  }
  if (blocks >> t.block->cluster->blocks.size()) fail(site, "tma_load_multicast: mask 0x%x is wider than the cluster", blocks);
}

void tma_store(const TensorMap& map, const void* from_shared, const int* c, int rank, Site site) {
  maybe_yield(site);
  Thread& t = current();
  const Box box = make_box(map, c, rank, "tma_store", site);
  // CUDA documents that a store cannot begin before the tensor; sm_90 then stops with an illegal instruction.
  for (int i = 0; i < rank; ++i)
    if (c[i] < 0) fail(site, "tma_store: coordinate %d is %d, before the tensor", i, c[i]);
  check_shared_box(box, from_shared, "tma_store", site);
  check_dependency(box.shape.base, 1, Touch::kWrite, site);
  auto* from = static_cast<unsigned char*>(const_cast<void*>(from_shared));
  const AsyncAgent agent = make_async_agent(t);
  const uint64_t group = open_group(GroupKind::kBulk);
  t.stores.push_back({group, agent});
  const uint32_t address = address_in(*t.block, from);
  const auto run = [=] {
    for_each_chunk(box, from, address, [&](const unsigned char* to, unsigned char* chunk, long skip, long bytes) {
      touch(agent, chunk, 16, Touch::kRead, true, site);
      touch(agent, to, static_cast<size_t>(bytes), Touch::kWrite, true, site);
      if (bytes > 0) std::memcpy(const_cast<unsigned char*>(to), chunk + skip, static_cast<size_t>(bytes));
    });
  };
  submit({.issuer = &t, .kind = GroupKind::kBulk, .group = group, .block = t.block, .what = "tma_store", .run = run});
}

void tma_store_commit() { commit_group(GroupKind::kBulk); }

void tma_store_wait(unsigned left) {
  Thread& t = current();
  const uint64_t last = groups_to_complete(GroupKind::kBulk, left);
  complete(
      [&](const AsyncOp& op) { return op.issuer == &t && op.kind == GroupKind::kBulk && op.group != 0 && op.group <= last; });
  std::erase_if(t.stores, [&](const auto& store) {
    if (store.first > last) return false;
    release(store.second, t.knowledge, true);
    return true;
  });
}

Status make_tensor_map(TensorMap& map, const TensorShape& shape) {
  if (Status s = check(shape); !s) return s;
  map.shape = shape;
  return {};
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
