#include "tests/runtime/guarantees/interposed.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);
}

namespace mfs::test {
namespace {

enum class Caller { kOurs, kOneDnn, kOpenMp, kTransparent, kOther };

struct Segment {
  std::uintptr_t begin, end;
  Caller caller;
};
std::array<Segment, 512> segments;
std::size_t segment_count = 0;

int add_segments(dl_phdr_info* info, size_t, void*) {
  const char* name = info->dlpi_name;
  const auto is = [&](const char* part) { return std::strstr(name, part) != nullptr; };
  const Caller caller = name[0] == '\0'                                      ? Caller::kOurs
                        : is("libdnnl")                                      ? Caller::kOneDnn
                        : is("libgomp")                                      ? Caller::kOpenMp
                        : is("libstdc++") || is("libc.so") || is("libgcc_s") ? Caller::kTransparent
                                                                             : Caller::kOther;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || !(header.p_flags & PF_X) || segment_count == segments.size()) continue;
    const std::uintptr_t begin = info->dlpi_addr + header.p_vaddr;
    segments[segment_count++] = {begin, begin + header.p_memsz, caller};
  }
  return 0;
}

using Lock = int (*)(pthread_mutex_t*);
Lock real_lock = nullptr;

std::atomic<bool> watching = false, failing = false, failed = false, fail_all = false;
std::atomic<long> ours, onednn, openmp, others, locks, countdown, live;
thread_local bool inside = false;  // backtrace() itself allocates at times

struct Prepare {
  Prepare() {
    void* frames[4];
    backtrace(frames, 4);  // loads what it needs
    dl_iterate_phdr(add_segments, nullptr);
    real_lock = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  }
} prepare;

Caller caller_at(const void* address) {
  const auto a = reinterpret_cast<std::uintptr_t>(address);
  for (std::size_t i = 0; i < segment_count; ++i)
    if (a >= segments[i].begin && a < segments[i].end) return segments[i].caller;
  return Caller::kOther;
}

// The first frame outside the C and C++ libraries. The first `skip` frames are the interposer's.
__attribute__((noinline)) Caller caller(int skip) {
  inside = true;
  void* frames[24];
  const int depth = backtrace(frames, 24);
  inside = false;
  for (int i = skip; i < depth; ++i)
    if (const Caller c = caller_at(frames[i]); c != Caller::kTransparent) return c;
  return Caller::kOther;
}

constexpr int kSkip = 3;  // caller(), refuse(), malloc() or one of its kind

__attribute__((noinline)) bool refuse() {
  ++live;
  if (inside || !(watching || failing)) return false;
  const Caller c = caller(kSkip);
  if (watching) ++(c == Caller::kOurs ? ours : c == Caller::kOneDnn ? onednn : c == Caller::kOpenMp ? openmp : others);
  if (!failing || c != Caller::kOurs) return false;
  const long left = countdown--;
  if (left > 0 || (left < 0 && !fail_all)) return false;
  failed = true;
  --live;
  errno = ENOMEM;
  return true;
}

}  // namespace

Watch::Watch() {
  for (std::atomic<long>* counter : {&ours, &onednn, &openmp, &others, &locks}) *counter = 0;
  watching = true;
}
Watch::~Watch() { watching = false; }
Calls Watch::calls() const { return {ours, onednn, openmp, others, locks}; }

FailingAllocation::FailingAllocation(long nth, bool all) {
  countdown = nth, fail_all = all, failed = false;
  failing = true;
}
FailingAllocation::~FailingAllocation() { failing = false; }
bool FailingAllocation::happened() const { return failed; }

long live_blocks() { return live; }

}  // namespace mfs::test

using namespace mfs::test;  // NOLINT: the C library's names follow

extern "C" {

__attribute__((noinline)) void* malloc(size_t bytes) { return refuse() ? nullptr : __libc_malloc(bytes); }
__attribute__((noinline)) void* calloc(size_t count, size_t bytes) { return refuse() ? nullptr : __libc_calloc(count, bytes); }
__attribute__((noinline)) void* realloc(void* p, size_t bytes) {
  if (p) return __libc_realloc(p, bytes);
  return refuse() ? nullptr : __libc_malloc(bytes);
}
__attribute__((noinline)) void* memalign(size_t alignment, size_t bytes) {
  return refuse() ? nullptr : __libc_memalign(alignment, bytes);
}
__attribute__((noinline)) void* aligned_alloc(size_t alignment, size_t bytes) {
  return refuse() ? nullptr : __libc_memalign(alignment, bytes);
}
__attribute__((noinline)) int posix_memalign(void** p, size_t alignment, size_t bytes) {
  if (refuse()) return ENOMEM;
  *p = __libc_memalign(alignment, bytes);
  return *p ? 0 : ENOMEM;
}
void free(void* p) {
  if (p) --live;
  __libc_free(p);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  if (watching && !inside && caller(2) == Caller::kOurs) ++locks;
  if (!real_lock) real_lock = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  return real_lock(mutex);
}

}  // extern "C"
