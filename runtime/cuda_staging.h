// Photos and results of a blocking run on their way between host and device: where they lie in a session's memory, and copies
// that respect the caller's row strides.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>

#include "kernels/cuda/device.h"
#include "runtime/executor.h"
#include "runtime/workspace.h"

namespace mfs::core {

// One photo's place, behind the scratch that both ends of a run share. Offsets are the same in device and pinned memory, but
// for the scratch.
struct StagedPhoto {
  std::size_t photo, mask, probability;
};

class StagingCutter {
 public:
  explicit StagingCutter(std::size_t begin) : used_(aligned(begin)) {}
  StagedPhoto take(std::int64_t photo_bytes, std::int64_t mask_bytes, std::int64_t probability_bytes) {
    return {piece(photo_bytes), piece(mask_bytes), piece(probability_bytes)};
  }
  std::size_t used() const { return used_; }

  static std::size_t aligned(std::size_t bytes) {
    return (bytes + Workspace::kAlignment - 1) / Workspace::kAlignment * Workspace::kAlignment;
  }

 private:
  std::size_t piece(std::int64_t bytes) {
    const std::size_t begin = used_;
    used_ = aligned(used_ + static_cast<std::size_t>(bytes));
    return begin;
  }
  std::size_t used_;
};

inline StagedPhoto take(StagingCutter& cut, const RunRequest& r) {
  const std::int64_t pixels = std::int64_t{r.image.width} * r.image.height;
  return cut.take(pixels * channels_of(r.image.format), r.mask ? pixels : 0, r.probability ? 4 * pixels : 0);
}

// Rows of `bytes` between memories with different distances of rows.
inline void copy_rows(void* to, std::int64_t to_stride, const void* from, std::int64_t from_stride, std::int64_t bytes,
                      int rows) {
  if (to_stride == from_stride && to_stride == bytes) {
    std::memcpy(to, from, static_cast<std::size_t>(bytes * rows));
    return;
  }
  for (int y = 0; y < rows; ++y)
    std::memcpy(static_cast<std::byte*>(to) + y * to_stride, static_cast<const std::byte*>(from) + y * from_stride,
                static_cast<std::size_t>(bytes));
}

// Rows of `bytes` to dense rows on the device, through as many in pinned memory, about `band` bytes at a time: while some are
// on their way, the next ones are copied.
inline constexpr std::int64_t kUploadBand = 2 << 20;  // an estimate: long beside what a copy costs to begin
inline Status upload_rows(const Cuda& cuda, std::byte* device, std::byte* pinned, const void* from, std::int64_t from_stride,
                          std::int64_t bytes, int rows, std::int64_t band = kUploadBand) {
  const auto rows_of_band = static_cast<int>(std::clamp<std::int64_t>(band / bytes, 1, rows));
  for (int first = 0; first < rows; first += rows_of_band) {
    const int count = std::min(rows_of_band, rows - first);
    const std::int64_t at = first * bytes;
    copy_rows(pinned + at, bytes, static_cast<const std::byte*>(from) + first * from_stride, from_stride, bytes, count);
    if (Status s = copy_to_device(cuda, device + at, pinned + at, static_cast<std::size_t>(bytes * count)); !s) return s;
  }
  return {};
}

}  // namespace mfs::core
