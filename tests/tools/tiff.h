// TIFF structures as cameras write them, for tests.
#pragma once

#include <cstdint>
#include <vector>

namespace mfs::tools::test {

enum class Order { kLittle, kBig };

// Up to here the structure must be whole for its orientation to count.
inline constexpr std::size_t kTiffOrientationEnd = 34;

// A directory with ImageWidth, then Orientation.
inline std::vector<std::uint8_t> tiff(Order order, int orientation) {
  std::vector<std::uint8_t> out;
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      const int shift = 8 * (order == Order::kLittle ? i : bytes - 1 - i);
      out.push_back(static_cast<std::uint8_t>(value >> shift));
    }
  };
  out.assign(2, order == Order::kLittle ? 'I' : 'M');
  put(42, 2);
  put(8, 4);
  put(2, 2);  // entries
  put(0x0100, 2), put(4, 2), put(1, 4), put(5, 4);
  put(0x0112, 2), put(3, 2), put(1, 4), put(static_cast<std::uint32_t>(orientation), 2), put(0, 2);
  put(0, 4);  // no further directory
  return out;
}

}  // namespace mfs::tools::test
