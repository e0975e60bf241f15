// The header of a safetensors file: 8 bytes little-endian length, JSON, then the tensors' bytes without gaps.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "weights/weights_file.h"

namespace mfs::core {

struct SafetensorsContent {
  std::vector<StoredTensor> tensors;  // sorted by name, pointing into the parsed bytes; I8 tensors have their scales attached
  std::map<std::string, std::string> metadata;
};

inline constexpr std::size_t kSafetensorsLengthBytes = 8;

// How many of the file's first bytes the header takes, by its length field (which may be nonsense: never more than `size`).
std::size_t safetensors_header_bytes(const std::byte* data, std::size_t size);

// Checks everything that can be wrong with the header; looks at the header's bytes only. Throws Error(kBadWeights).
SafetensorsContent parse_safetensors(const std::byte* data, std::size_t size);

}  // namespace mfs::core
