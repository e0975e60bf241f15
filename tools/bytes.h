// Numbers out of file bytes. The caller checks the bounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mfs::tools {

using Bytes = std::span<const std::uint8_t>;

inline std::uint32_t big16(Bytes b, std::size_t at) { return std::uint32_t{b[at]} << 8 | b[at + 1]; }
inline std::uint32_t big32(Bytes b, std::size_t at) { return big16(b, at) << 16 | big16(b, at + 2); }
inline std::uint32_t little16(Bytes b, std::size_t at) { return std::uint32_t{b[at + 1]} << 8 | b[at]; }
inline std::uint32_t little32(Bytes b, std::size_t at) { return little16(b, at + 2) << 16 | little16(b, at); }

// False when the text does not fit.
inline bool has_text(Bytes b, std::size_t at, std::string_view text) {
  if (at > b.size() || b.size() - at < text.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (b[at + i] != static_cast<std::uint8_t>(text[i])) return false;
  }
  return true;
}

}  // namespace mfs::tools
