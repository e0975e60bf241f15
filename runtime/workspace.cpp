#include "runtime/workspace.h"

#include <string>

#include "kernels/error.h"
#include "runtime/aligned_buffer.h"

namespace mfs::core {
namespace {

[[noreturn]] void too_small(std::size_t needed, std::size_t given) {
  throw Error(Code::kOutOfMemory,
              "the caller's memory has " + std::to_string(given) + " bytes, " + std::to_string(needed) + " are needed");
}

}  // namespace

std::shared_ptr<std::byte> Workspace::arena(std::size_t bytes) {
  if (arena_ && bytes <= arena_bytes_) return arena_;
  if (allocate_) {
    if (arena_.use_count() == 1) arena_.reset(), arena_bytes_ = 0;  // first, so that both need not fit
    hold_arena(allocate_(bytes), bytes);
  } else {
    if (arena_ || bytes > callers_.size()) too_small(bytes, arena_ ? arena_bytes_ : callers_.size());
    hold_arena({std::shared_ptr<void>(), callers_.data()}, bytes);
  }
  return arena_;
}

void Workspace::hold_arena(std::shared_ptr<std::byte> block, std::size_t bytes) {
  *live_ += bytes;
  std::byte* const data = block.get();
  arena_ = std::shared_ptr<std::byte>(data, [block = std::move(block), live = live_, bytes](std::byte*) { *live -= bytes; });
  arena_bytes_ = bytes;
}

void Workspace::reserve(std::size_t bytes) {
  if (bytes <= photo_bytes_) return;
  if (allocate_) {
    photos_.reset(), photo_bytes_ = 0;
    photos_ = allocate_(bytes);
    photo_bytes_ = bytes;
    return;
  }
  const std::size_t begin = aligned(arena_bytes_);
  if (begin + bytes > callers_.size()) too_small(begin + bytes, callers_.size());
  photos_ = {std::shared_ptr<void>(), callers_.data() + begin};
  photo_bytes_ = bytes;
}

std::shared_ptr<std::byte> allocate_host(std::size_t bytes) {
  return std::shared_ptr<std::byte>(static_cast<std::byte*>(::operator new(bytes, AlignedBuffer::kAlignment)),
                                    [](std::byte* p) { ::operator delete(p, AlignedBuffer::kAlignment); });
}

}  // namespace mfs::core
