#include "kernels/cuda/simt/atomics.h"

#include <algorithm>

#include "kernels/cuda/simt/emulation/scheduler.h"

namespace mfs::core::simt {
namespace emulation {
namespace {

enum class Ordering { kRelaxed, kRelease, kAcquire, kBoth };

// One atomic access: update(old) is the new value.
template <class T, class Update>
T access(T* p, Ordering ordering, const Site& site, const Update& update) {
  maybe_yield(site);
  check_address(p, sizeof(T), "atomic", site);
  check_dependency(p, sizeof(T), Touch::kAtomic, site);
  touch(p, sizeof(T), Touch::kAtomic, site);
  if (state().options.detect_races) {
    Thread& t = current();
    Knowledge& carried = state().atomics[p];
    if (ordering == Ordering::kAcquire || ordering == Ordering::kBoth) t.knowledge.join(carried);
    t.fence_acquire.join(carried);
    if (ordering == Ordering::kRelease || ordering == Ordering::kBoth) release(carried);
    carried.join(t.fence_release);
  }
  const T old = *p;
  *p = update(old);
  return old;
}

}  // namespace
}  // namespace emulation

inline namespace MFS_SIMT_BACKEND {

using emulation::Ordering;

float atomic_add(float* p, float value, Site site) {
  return emulation::access(p, Ordering::kRelaxed, site, [=](float old) { return old + value; });
}
int atomic_add(int* p, int value, Site site) {
  return emulation::access(p, Ordering::kRelaxed, site, [=](int old) { return old + value; });
}
uint32_t atomic_add(uint32_t* p, uint32_t value, Site site) {
  return emulation::access(p, Ordering::kRelaxed, site, [=](uint32_t old) { return old + value; });
}
int atomic_max(int* p, int value, Site site) {
  return emulation::access(p, Ordering::kRelaxed, site, [=](int old) { return std::max(old, value); });
}
uint32_t atomic_max(uint32_t* p, uint32_t value, Site site) {
  return emulation::access(p, Ordering::kRelaxed, site, [=](uint32_t old) { return std::max(old, value); });
}
uint32_t atomic_compare_exchange(uint32_t* p, uint32_t expected, uint32_t value, Site site) {
  return emulation::access(p, Ordering::kRelaxed, site, [=](uint32_t old) { return old == expected ? value : old; });
}
uint32_t atomic_add_release(uint32_t* p, uint32_t value, Site site) {
  return emulation::access(p, Ordering::kBoth, site, [=](uint32_t old) { return old + value; });
}
void store_release(uint32_t* p, uint32_t value, Site site) {
  emulation::access(p, Ordering::kRelease, site, [=](uint32_t) { return value; });
}
uint32_t load_acquire(const uint32_t* p, Site site) {
  return emulation::access(const_cast<uint32_t*>(p), Ordering::kAcquire, site, [](uint32_t old) { return old; });
}

void fence_gpu() {
  if (!emulation::state().options.detect_races) return;
  emulation::Thread& t = emulation::current();
  t.knowledge.join(t.fence_acquire);
  emulation::release(t.fence_release);
}

void wait_for_flip(const uint32_t* p, uint32_t old, Site site) {
  emulation::wait_until("wait_for_flip", site,
                        [=] { return ((*static_cast<const volatile uint32_t*>(p) ^ old) & 0x80000000u) != 0; });
  load_acquire(p, site);
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
