// Cooperative stacks: one per emulated CUDA thread. Own context switch for x86-64 and AArch64, known to AddressSanitizer.
#pragma once

#include <cstddef>
#include <vector>

namespace mfs::core::simt::emulation {

struct FiberContext {
  void* stack_pointer = nullptr;
  void* fake_stack = nullptr;  // AddressSanitizer's
  const void* bottom = nullptr;
  size_t size = 0;
};

// Stacks with a guard page below each, mapped once and reused.
class StackArena {
 public:
  StackArena() = default;
  ~StackArena();
  StackArena(const StackArena&) = delete;
  StackArena& operator=(const StackArena&) = delete;

  void* take();  // lowest usable address
  void give_back(void* stack) { free_.push_back(stack); }
  bool contains(const void* p) const;

 private:
  std::vector<char*> slabs_;
  std::vector<void*> free_;
};

extern const size_t kStackBytes;

// Makes `fiber` start in entry(), on `stack`, at its first resume.
void prepare(FiberContext& fiber, void* stack, void (*entry)());
void switch_to(FiberContext& from, FiberContext& to, bool last_time = false);
// Must be the first call in entry(): `from` is who resumed it.
void arrived(FiberContext& from);

}  // namespace mfs::core::simt::emulation
