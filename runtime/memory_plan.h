// Where every buffer lies in one block of memory, by what is complete before what.
#pragma once

#include <cstddef>
#include <vector>

#include "runtime/streams.h"

namespace mfs::core {

struct MemoryPlan {
  std::vector<std::size_t> offsets;  // of every buffer of the lowered network, in bytes
  std::vector<std::size_t> scratch;  // of every operation, in bytes
  std::size_t bytes = 0;             // of the arena; all offsets are multiples of kArenaAlignment
};

inline constexpr std::size_t kArenaAlignment = 64;

// Makes an operation that adds a shortcut, or gates channels, write over an input that nobody reads afterwards.
void share_buffers_in_place(Lowered& network, const StreamOrder& order);

// What can be read after a run: the output alone, the input, too, or every buffer.
enum class Keep { kOutput, kInput, kAll };

// Two buffers share memory when all users of one are complete before any user of the other begins. scratch_bytes: per
// operation.
MemoryPlan plan_memory(const Lowered& network, const std::vector<std::size_t>& scratch_bytes, Keep keep,
                       const StreamOrder& order);

}  // namespace mfs::core
