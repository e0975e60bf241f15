// Memory for tensors: aligned for vector loads, not initialised.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>

namespace mfs::core {

class AlignedBuffer {
 public:
  static constexpr std::align_val_t kAlignment{64};

  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t bytes) : data_(static_cast<std::byte*>(::operator new(bytes, kAlignment))), size_(bytes) {}

  std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::span<std::byte> span() const { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace mfs::core
