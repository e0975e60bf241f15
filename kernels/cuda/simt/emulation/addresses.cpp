// Indices, addresses and their checks.
#include "kernels/cuda/simt/emulation/constants.h"
#include "kernels/cuda/simt/emulation/scheduler.h"
#include "kernels/cuda/simt/index.h"
#include "kernels/cuda/simt/memory.h"

#include <cstring>

namespace mfs::core::simt {
namespace emulation {

Block* block_of(const void* p) {
  const State& s = state();
  if (s.running && s.running->block->contains(p)) return s.running->block;
  for (const auto& cluster : s.resident) {
    for (const auto& block : cluster->blocks) {
      if (block->contains(p)) return block.get();
    }
  }
  return nullptr;
}

void check_address(const void* p, size_t alignment, const char* what, const Site& site) {
  if (reinterpret_cast<uintptr_t>(p) % alignment != 0)
    fail(site, "misaligned %s: %p is no multiple of %zu", what, p, alignment);
}

void check_shared(const void* p, size_t bytes, const char* what, const Site& site) {
  const Block& block = *current().block;
  const auto* first = static_cast<const unsigned char*>(p);
  const size_t size = block.grid->shape.shared_bytes;
  if (first < block.shared || first + bytes > block.shared + size) {
    fail(site, "%s: not inside the block's %zu bytes of shared memory", what, size);
  }
}

void check_dependency(const void* p, size_t bytes, Touch kind, const Site& site) {
  const Thread& t = current();
  if (t.grid_dependency_waited || !t.block->grid->shape.programmatic) return;
  if (state().stacks.contains(p) || block_of(p) || (kind == Touch::kRead && is_constant(p, bytes))) return;
  report(site, "global memory is touched before griddepcontrol.wait");
}

void check_load(const void* p, size_t bytes, const Site& site) {
  check_address(p, bytes, "load", site);
  check_dependency(p, bytes, Touch::kRead, site);
}
void check_store(const void* p, size_t bytes, const Site& site) {
  check_address(p, bytes, "store", site);
  check_dependency(p, bytes, Touch::kWrite, site);
}

}  // namespace emulation

inline namespace MFS_SIMT_BACKEND {

Index3 thread_index() { return emulation::current().index; }
Index3 block_index() { return emulation::current().block->index; }
Index3 block_size() { return emulation::current().block->grid->shape.block; }
Index3 grid_size() { return emulation::current().block->grid->shape.grid; }
unsigned char* shared_memory() { return emulation::current().block->shared; }

uint32_t shared_address(const void* p, Site site) {
  emulation::check_shared(p, 0, "shared_address", site);
  const emulation::Block& block = *emulation::current().block;
  return block.shared_base + static_cast<uint32_t>(static_cast<const unsigned char*>(p) - block.shared);
}

void copy_bytes(void* to, const void* from, size_t bytes, Site site) {
  emulation::check_dependency(from, bytes, emulation::Touch::kRead, site);
  emulation::check_dependency(to, bytes, emulation::Touch::kWrite, site);
  emulation::touch(from, bytes, emulation::Touch::kRead, site);
  emulation::touch(to, bytes, emulation::Touch::kWrite, site);
  std::memcpy(to, from, bytes);
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
