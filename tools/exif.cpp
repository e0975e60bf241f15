#include "tools/exif.h"

namespace mfs::tools {

int exif_orientation(Bytes tiff) {
  constexpr std::size_t kHeaderBytes = 8, kEntryBytes = 12;
  constexpr std::uint32_t kOrientationTag = 0x0112, kShort = 3;
  if (tiff.size() < kHeaderBytes) return 1;
  const bool little = has_text(tiff, 0, {"II*\0", 4});
  if (!little && !has_text(tiff, 0, {"MM\0*", 4})) return 1;
  const auto get16 = [&](std::size_t at) { return little ? little16(tiff, at) : big16(tiff, at); };
  const auto get32 = [&](std::size_t at) { return little ? little32(tiff, at) : big32(tiff, at); };

  const std::size_t directory = get32(4);
  if (directory > tiff.size() - 2) return 1;
  const std::size_t entries = get16(directory);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntryBytes;
    if (entry + kEntryBytes > tiff.size()) return 1;
    if (get16(entry) != kOrientationTag) continue;
    // A short sits in the first two of the four value bytes, in either byte order.
    const std::uint32_t value = get16(entry + 8);
    const bool valid = get16(entry + 2) == kShort && get32(entry + 4) == 1 && value >= 1 && value <= 8;
    return valid ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace mfs::tools
