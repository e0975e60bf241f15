// A safetensors file with MFS metadata: memory-mapped, every bound checked before any tensor is touched.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/tensor_view.h"
#include "weights/network_description.h"

namespace mfs::core {

// A named, typed, bounds-checked piece of the mapped file; row-major, as PyTorch stores it (convolutions: cout, cin, kh, kw).
struct StoredTensor {
  std::string name;
  DType dtype = DType::kF32;  // kF32, kF16, kBF16 or kI8
  std::vector<std::int64_t> dims;
  const std::byte* data = nullptr;   // may be unaligned
  const std::byte* scale = nullptr;  // kI8: one (possibly unaligned) float per dims[0]; else null
  std::int64_t elements = 0;
  std::size_t bytes = 0;

  // Element values as float: all of them, into `out` (`elements` floats), dequantised.
  void read(float* out) const;
  // The floats of rows [first, first + count) of the outermost dimension.
  void read_rows(std::int64_t first, std::int64_t count, float* out) const;
};

class WeightsFile {
 public:
  // Throws Error(kBadWeights): missing or unreadable file, truncated or overlapping tensors, bad header, unknown format,
  // dtype or field. The sentence names the file and the tensor or field. Companion `.scale` tensors are attached, not listed.
  static std::shared_ptr<const WeightsFile> open(const std::string& path);
  ~WeightsFile();
  WeightsFile(const WeightsFile&) = delete;
  WeightsFile& operator=(const WeightsFile&) = delete;

  const StoredTensor* find(std::string_view name) const;                 // null when absent
  const std::vector<StoredTensor>& tensors() const { return tensors_; }  // sorted by name
  const NetworkDescription& network() const { return network_; }
  const PreprocessDescription& preprocess() const { return preprocess_; }
  const std::string& path() const { return path_; }

  // Throws Error(kBadWeights) naming the first tensor with a NaN or an infinity.
  void check_finite(int threads) const;
  // Tells the system that the tensor's pages are not needed for now (they are re-read from the file if they are).
  void release(const StoredTensor& tensor) const;

 private:
  WeightsFile() = default;
  std::string path_;
  const std::byte* map_ = nullptr;
  std::size_t size_ = 0;
  std::vector<StoredTensor> tensors_;
  NetworkDescription network_;
  PreprocessDescription preprocess_;
};

// Parses from memory instead of a file (fuzzing, tests): the same checks; `data` must outlive nothing (tensors are checked
// only).
void check_weights(const std::byte* data, std::size_t size);

struct TensorToWrite {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> dims;
  const void* data;
};
// Writes a safetensors file atomically (temporary name, then rename). Metadata are (key, value) pairs. Throws Error(kIo).
void write_weights(const std::string& path, const std::vector<TensorToWrite>& tensors,
                   const std::vector<std::pair<std::string, std::string>>& metadata);

}  // namespace mfs::core
