// The memory of a session: one arena, which its plans share because one runs at a time, and what the photos of a run need.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace mfs::core {

class Workspace {
 public:
  static constexpr std::size_t kAlignment = 256;  // of both parts

  using Allocate = std::shared_ptr<std::byte> (*)(std::size_t bytes);  // throws std::bad_alloc or Error
  explicit Workspace(Allocate allocate) : allocate_(allocate) {}
  // The caller's memory, kAlignment aligned: the first arena lies at its beginning, the photos' part is the rest.
  explicit Workspace(std::span<std::byte> callers) : callers_(callers) {}

  // At least `bytes`: the present arena if that is large enough, else a new one; the old one lives as long as plans hold it.
  // Throws std::bad_alloc or Error.
  std::shared_ptr<std::byte> arena(std::size_t bytes);
  // The photos' part with at least `bytes`, which replaces a smaller one. Throws likewise.
  void reserve(std::size_t bytes);
  std::span<std::byte> photos() const { return {photos_.get(), photo_bytes_}; }

  // All of it, with smaller arenas that plans still hold.
  std::size_t bytes() const { return *live_ + photo_bytes_; }
  // What the caller's memory must have for an arena and photos of these sizes.
  static std::size_t bytes_for(std::size_t arena, std::size_t photos) { return aligned(arena) + photos; }

 private:
  void hold_arena(std::shared_ptr<std::byte> block, std::size_t bytes);
  static std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

  Allocate allocate_ = nullptr;  // null: the caller's memory
  std::span<std::byte> callers_;
  std::shared_ptr<std::byte> arena_, photos_;
  std::size_t arena_bytes_ = 0, photo_bytes_ = 0;
  std::shared_ptr<std::size_t> live_ = std::make_shared<std::size_t>(0);  // bytes of arenas
};

std::shared_ptr<std::byte> allocate_host(std::size_t bytes);
std::shared_ptr<std::byte> allocate_device(std::size_t bytes);  // of the current CUDA device
std::shared_ptr<std::byte> allocate_pinned(std::size_t bytes);

struct SessionBytes {
  std::size_t main = 0, pinned = 0;
};

// What a session's executors share: `main` is the host's memory on the CPU, the device's with CUDA.
struct SessionMemory {
  Workspace main;
  Workspace pinned;  // CUDA: copies of photos and results
};

}  // namespace mfs::core
