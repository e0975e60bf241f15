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

// Checks everything that can be wrong with the header; looks at no tensor's bytes. Throws Error(kBadWeights).
SafetensorsContent parse_safetensors(const std::byte* data, std::size_t size);

}  // namespace mfs::core
