#include "tools/exif.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/tools/tiff.h"

namespace mfs::tools {

using test::Order;
using test::tiff;

TEST_CASE("EXIF: every orientation, in both byte orders") {
  for (const Order order : {Order::kLittle, Order::kBig}) {
    for (int orientation = 1; orientation <= 8; ++orientation) {
      CAPTURE(static_cast<int>(order));
      CHECK(exif_orientation(tiff(order, orientation)) == orientation);
    }
  }
}

TEST_CASE("EXIF: what is no orientation counts as upright") {
  for (const Order order : {Order::kLittle, Order::kBig}) {
    for (const int value : {0, 9, 65535}) CHECK(exif_orientation(tiff(order, value)) == 1);
    std::vector<std::uint8_t> other_tag = tiff(order, 6);
    other_tag[order == Order::kLittle ? 22 : 23] = 0x13;
    CHECK(exif_orientation(other_tag) == 1);
    std::vector<std::uint8_t> other_type = tiff(order, 6);
    other_type[order == Order::kLittle ? 24 : 25] = 4;
    CHECK(exif_orientation(other_type) == 1);
    std::vector<std::uint8_t> other_magic = tiff(order, 6);
    other_magic[0] = 'X';
    CHECK(exif_orientation(other_magic) == 1);
  }
}

TEST_CASE("EXIF: cut short anywhere, or with a directory beyond the end, it counts as upright") {
  for (const Order order : {Order::kLittle, Order::kBig}) {
    const std::vector<std::uint8_t> whole = tiff(order, 6);
    for (std::size_t size = 0; size < test::kTiffOrientationEnd; ++size) {
      CAPTURE(size);
      const std::vector<std::uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      CHECK(exif_orientation(cut) == 1);
    }
    for (const int byte : {0x7F, 0xFF}) {
      std::vector<std::uint8_t> far = whole;
      for (std::size_t at = 4; at < 8; ++at) far[at] = static_cast<std::uint8_t>(byte);
      CHECK(exif_orientation(far) == 1);
    }
  }
}

}  // namespace mfs::tools
