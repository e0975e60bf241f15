// A safetensors file with MFS metadata: every bound checked before any tensor is read, tensors read when they are needed.
//
// The file is not mapped: one that is truncated while it is mapped kills the process that touches it. Instead, address space of
// its size is reserved, tensors are read into their places in it and dropped again, and every read makes sure that the file is
// still the one that was checked.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/tensor_view.h"
#include "weights/calibration.h"
#include "weights/network_description.h"

namespace mfs::core {

// A named, typed, bounds-checked piece of the file; row-major, as PyTorch stores it (convolutions: cout, cin, kh, kw).
struct StoredTensor {
  std::string name;
  DType dtype = DType::kF32;  // kF32, kF16, kBF16 or kI8
  std::vector<std::int64_t> dims;
  const std::byte* data = nullptr;   // may be unaligned
  const std::byte* scale = nullptr;  // kI8: one (possibly unaligned) float per dims[0]; else null
  std::int64_t elements = 0;
  std::size_t bytes = 0;

  // While the tensor is loaded (see WeightsFile::load): element values as float: all of them, into `out` (`elements` floats),
  // dequantised.
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
  const std::optional<Calibration>& calibration() const { return calibration_; }
  const std::string& path() const { return path_; }
  std::string_view header() const;  // as in the file: JSON, perhaps with spaces after it

  // Throws Error(kBadWeights) naming the first tensor with a NaN or an infinity.
  void check_finite(int threads) const;
  // The tensor's bytes, and its scale's, are in memory as long as any of these exists. Throws Error(kBadWeights) if they cannot
  // be read or the file was changed after open(). Thread-safe.
  class Loaded {
   public:
    Loaded(const WeightsFile& file, const StoredTensor& tensor);
    ~Loaded();
    Loaded(const Loaded&) = delete;
    Loaded& operator=(const Loaded&) = delete;

   private:
    const WeightsFile& file_;
    const StoredTensor& tensor_;
  };
  Loaded load(const StoredTensor& tensor) const { return {*this, tensor}; }

 private:
  struct Identity {  // of the file's content, as far as the system tells (a changed ctime may be no more than a rename)
    std::int64_t size = 0, modified_s = 0, modified_ns = 0;
    bool operator==(const Identity&) const = default;
  };
  struct Descriptor {
    int fd = -1;
    ~Descriptor();
  };
  WeightsFile() = default;
  Identity identity() const;
  void read_checked(const std::byte* place, std::size_t bytes) const;

  std::string path_;
  Descriptor descriptor_;
  Identity identity_;
  std::byte* place_ = nullptr;  // where the file's first byte would lie
  std::size_t size_ = 0;
  std::vector<StoredTensor> tensors_;
  mutable std::mutex mutex_;
  mutable std::vector<int> loaded_;  // how often each tensor is
  NetworkDescription network_;
  PreprocessDescription preprocess_;
  std::optional<Calibration> calibration_;
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
