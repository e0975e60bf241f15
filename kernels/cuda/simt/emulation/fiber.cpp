#include "kernels/cuda/simt/emulation/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define MFS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MFS_ASAN 1
#endif
#endif
#ifdef MFS_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

extern "C" void mfs_simt_switch(void** save, void* to);

#if defined(__x86_64__)
asm(R"(
.text
.globl mfs_simt_switch
.hidden mfs_simt_switch
.type mfs_simt_switch, @function
mfs_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size mfs_simt_switch, . - mfs_simt_switch
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl mfs_simt_switch
.hidden mfs_simt_switch
.type mfs_simt_switch, %function
mfs_simt_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size mfs_simt_switch, . - mfs_simt_switch
)");
#else
#error "no context switch for this processor"
#endif

namespace mfs::core::simt::emulation {
namespace {

constexpr size_t kGuardBytes = 4096;
#ifdef MFS_ASAN
constexpr size_t kStack = 256 * 1024;  // red zones make frames larger
#else
constexpr size_t kStack = 64 * 1024;
#endif
constexpr size_t kStacksPerSlab = 64;
constexpr size_t kSlabBytes = kStacksPerSlab * (kStack + kGuardBytes);

}  // namespace

const size_t kStackBytes = kStack;

StackArena::~StackArena() {
  for (char* slab : slabs_) munmap(slab, kSlabBytes);
}

void* StackArena::take() {
  if (free_.empty()) {
    void* memory = mmap(nullptr, kSlabBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    char* slab = static_cast<char*>(memory);
    slabs_.push_back(slab);
    for (size_t i = 0; i < kStacksPerSlab; ++i) {
      char* guard = slab + i * (kStack + kGuardBytes);
      mprotect(guard, kGuardBytes, PROT_NONE);
      free_.push_back(guard + kGuardBytes);
    }
  }
  void* stack = free_.back();
  free_.pop_back();
#ifdef MFS_ASAN
  __asan_unpoison_memory_region(stack, kStack);  // an abandoned fiber leaves its red zones behind
#endif
  return stack;
}

bool StackArena::contains(const void* p) const {
  for (const char* slab : slabs_) {
    if (p >= slab && p < slab + kSlabBytes) return true;
  }
  return false;
}

void prepare(FiberContext& fiber, void* stack, void (*entry)()) {
  auto* top = reinterpret_cast<uint64_t*>(static_cast<char*>(stack) + kStack);
#if defined(__x86_64__)
  *--top = 0;  // where entry() would return to; keeps the stack 16-byte aligned
  *--top = reinterpret_cast<uint64_t>(entry);
  for (int i = 0; i < 6; ++i) *--top = 0;
#else
  top -= 20;
  for (int i = 0; i < 20; ++i) top[i] = 0;
  top[11] = reinterpret_cast<uint64_t>(entry);  // x30
#endif
  fiber = {top, nullptr, stack, kStack};
}

void switch_to(FiberContext& from, FiberContext& to, [[maybe_unused]] bool last_time) {
#ifdef MFS_ASAN
  __sanitizer_start_switch_fiber(last_time ? nullptr : &from.fake_stack, to.bottom, to.size);
#endif
  mfs_simt_switch(&from.stack_pointer, to.stack_pointer);
#ifdef MFS_ASAN
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

void arrived([[maybe_unused]] FiberContext& from) {
#ifdef MFS_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &from.bottom, &from.size);
#endif
}

}  // namespace mfs::core::simt::emulation
