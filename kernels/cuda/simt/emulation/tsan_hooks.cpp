// Receives the calls that -fsanitize=thread puts before every memory access of a kernel. Linked instead of libtsan; only the
// kernels are compiled with that flag, not the emulator. With -fsanitize=alignment, misaligned accesses arrive here as well.
#include "kernels/cuda/simt/emulation/scheduler.h"

namespace {

using mfs::core::simt::Site;
namespace emulation = mfs::core::simt::emulation;

void access(const void* p, size_t bytes, emulation::Touch kind) {
  const emulation::State* state = emulation::state_or_null();
  if (!state || !state->on_fiber) return;
  // The line is not known here; the last wrapper's is near.
  emulation::touch(p, bytes, kind, emulation::current().site);
}

struct SourceLocation {
  const char* file;
  uint32_t line, column;
};

struct TypeMismatch {
  SourceLocation location;
  const void* type;
  unsigned char log_alignment, kind;
};

void misaligned(const TypeMismatch* data, const void* p) {
  const emulation::State* state = emulation::state_or_null();
  if (!state || !state->on_fiber || !p) return;
  emulation::fail(emulation::current().site, "misaligned access at line %u: %p is no multiple of %u", data->location.line, p,
                  1u << data->log_alignment);
}

}  // namespace

#define MFS_HOOK(name, bytes, kind) \
  extern "C" void name(void* p);    \
  extern "C" void name(void* p) { access(p, bytes, emulation::Touch::kind); }
#define MFS_HOOKS(bytes)                                 \
  MFS_HOOK(__tsan_read##bytes, bytes, kRead)             \
  MFS_HOOK(__tsan_write##bytes, bytes, kWrite)           \
  MFS_HOOK(__tsan_unaligned_read##bytes, bytes, kRead)   \
  MFS_HOOK(__tsan_unaligned_write##bytes, bytes, kWrite) \
  MFS_HOOK(__tsan_volatile_read##bytes, bytes, kRead)    \
  MFS_HOOK(__tsan_volatile_write##bytes, bytes, kWrite)
MFS_HOOKS(1)
MFS_HOOKS(2)
MFS_HOOKS(4)
MFS_HOOKS(8)
MFS_HOOKS(16)

extern "C" {
void __tsan_init();
void __tsan_init() {}
void __tsan_func_entry(void*);
void __tsan_func_entry(void*) {}
void __tsan_func_exit();
void __tsan_func_exit() {}
void __tsan_vptr_update(void*, void*);
void __tsan_vptr_update(void*, void*) {}
void __tsan_read_range(void* p, size_t bytes);
void __tsan_read_range(void* p, size_t bytes) { access(p, bytes, emulation::Touch::kRead); }
void __tsan_write_range(void* p, size_t bytes);
void __tsan_write_range(void* p, size_t bytes) { access(p, bytes, emulation::Touch::kWrite); }
// Of host code beside the kernels (reference counts); kernels use the wrappers of atomics.h.
int __tsan_atomic32_fetch_add(volatile int* p, int value, int order);
int __tsan_atomic32_fetch_add(volatile int* p, int value, int) { return __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST); }
int __tsan_atomic32_load(const volatile int* p, int order);
int __tsan_atomic32_load(const volatile int* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
int __tsan_atomic32_compare_exchange_weak(volatile int* p, int* expected, int value, int order, int failure_order);
int __tsan_atomic32_compare_exchange_weak(volatile int* p, int* expected, int value, int, int) {
  return __atomic_compare_exchange_n(p, expected, value, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
void __ubsan_handle_type_mismatch_v1(TypeMismatch* data, void* p);
void __ubsan_handle_type_mismatch_v1(TypeMismatch* data, void* p) { misaligned(data, p); }
}
