#include "tools/photo.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

#include "tests/tools/files.h"
#include "tests/tools/tiff.h"
#include "tools/crc32.h"
#include "tools/encode.h"
#include "tools/image_header.h"

namespace mfs::tools {
namespace {

constexpr int kWidth = 5, kHeight = 3;

using Rgb = std::array<int, 3>;

Rgb colour(int x, int y) { return {10 + 40 * x, 20 + 70 * y, 200 - 30 * x}; }
Rgb grey(int x, int y) {
  const int v = 10 + 15 * (y * kWidth + x);
  return {v, v, v};
}
Rgb bits(int x, int y) {
  const int v = (x + y) % 2 == 0 ? 255 : 0;
  return {v, v, v};
}
Rgb deep(int x, int y) {
  Rgb value = colour(x, y);
  for (int& v : value) v += (x + y) % 2;
  return value;
}

Rgb pixel(const Photo& photo, int x, int y) {
  const std::uint8_t* p = photo.pixels.data() + (std::size_t(y) * photo.width + x) * photo.channels;
  return {p[0], p[1], p[2]};
}

std::string refusal(Bytes file) {
  try {
    decode_photo(file);
  } catch (const ImageError& error) {
    return error.what();
  }
  return "no refusal";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A PNG of width x height pixels, pixel (x, y) = (x, y, 0), with an eXIf chunk.
std::vector<std::uint8_t> oriented_png(int width, int height, const std::vector<std::uint8_t>& exif) {
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      pixels.insert(pixels.end(), {static_cast<std::uint8_t>(x), static_cast<std::uint8_t>(y), std::uint8_t{0}});
    }
  }
  std::vector<std::uint8_t> file = encode_png(pixels, width, height, 3);
  std::vector<std::uint8_t> chunk{0, 0, 0, static_cast<std::uint8_t>(exif.size()), 'e', 'X', 'I', 'f'};
  chunk.insert(chunk.end(), exif.begin(), exif.end());
  const std::uint32_t crc = crc32(Bytes(chunk).subspan(4));
  for (int shift = 24; shift >= 0; shift -= 8) chunk.push_back(static_cast<std::uint8_t>(crc >> shift));
  constexpr std::ptrdiff_t kEndOfHeader = 8 + 25;
  file.insert(file.begin() + kEndOfHeader, chunk.begin(), chunk.end());
  return file;
}

}  // namespace

TEST_CASE("photos of every kind decode to what their maker put in") {
  const struct {
    const char* name;
    Rgb (*expected)(int, int);
    int channels;
  } cases[] = {{"colour.png", colour, 3},     {"alpha.png", colour, 4},   {"grey.png", grey, 3},
               {"grey_alpha.png", grey, 4},   {"palette.png", colour, 3}, {"bits.png", bits, 3},
               {"deep.png", deep, 3},         {"colour.bmp", colour, 3},  {"palette.bmp", colour, 3},
               {"interlaced.png", colour, 3}, {"bits.bmp", bits, 3},      {"colour.tga", colour, 3},
               {"runs.tga", colour, 3},       {"palette.tga", colour, 3}, {"colour.ppm", colour, 3},
               {"grey.pgm", grey, 3},         {"bits.pbm", bits, 3}};
  for (const auto& c : cases) {
    CAPTURE(c.name);
    const Photo photo = decode_photo(test::image_file(c.name));
    REQUIRE(photo.width == kWidth);
    REQUIRE(photo.height == kHeight);
    CHECK(photo.channels == c.channels);
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        CAPTURE(x);
        CAPTURE(y);
        CHECK(pixel(photo, x, y) == c.expected(x, y));
        if (c.channels == 4) {
          CHECK(int{photo.pixels[(std::size_t(y) * kWidth + x) * 4 + 3]} == 255 - grey(x, y)[0]);
        }
      }
    }
  }
}

TEST_CASE("JPEG: baseline, progressive and grey; a rotated one stands upright") {
  for (const char* name : {"progressive.jpg", "rotated.jpg", "grey.jpg"}) {
    CAPTURE(name);
    const Photo photo = decode_photo(test::image_file(name));
    const bool rotated = name == std::string("rotated.jpg");
    CHECK(photo.width == (rotated ? 32 : 48));
    CHECK(photo.height == (rotated ? 48 : 32));
    CHECK(photo.orientation == (rotated ? 6 : 1));
    const Rgb first = pixel(photo, 4, 4), second = rotated ? pixel(photo, 4, 44) : pixel(photo, 44, 4);
    const bool is_grey = name == std::string("grey.jpg");
    CHECK(std::abs(first[0] - (is_grey ? 76 : 255)) <= 3);
    CHECK(std::abs(second[2] - (is_grey ? 29 : 255)) <= 3);
  }
}

TEST_CASE("all eight EXIF orientations") {
  // Where the upright photo's top-left and top-right pixels lie in the stored one (EXIF 2.3, tag 0x0112), 40 x 33 pixels.
  constexpr int kW = 40, kH = 33;
  const struct {
    int orientation;
    Rgb top_left, top_right;
  } cases[] = {{1, {0, 0, 0}, {kW - 1, 0, 0}},           {2, {kW - 1, 0, 0}, {0, 0, 0}},
               {3, {kW - 1, kH - 1, 0}, {0, kH - 1, 0}}, {4, {0, kH - 1, 0}, {kW - 1, kH - 1, 0}},
               {5, {0, 0, 0}, {0, kH - 1, 0}},           {6, {0, kH - 1, 0}, {0, 0, 0}},
               {7, {kW - 1, kH - 1, 0}, {kW - 1, 0, 0}}, {8, {kW - 1, 0, 0}, {kW - 1, kH - 1, 0}}};
  for (const test::Order order : {test::Order::kLittle, test::Order::kBig}) {
    for (const auto& c : cases) {
      CAPTURE(c.orientation);
      const Photo photo = decode_photo(oriented_png(kW, kH, test::tiff(order, c.orientation)));
      REQUIRE(photo.width == (c.orientation >= 5 ? kH : kW));
      REQUIRE(photo.height == (c.orientation >= 5 ? kW : kH));
      CHECK(pixel(photo, 0, 0) == c.top_left);
      CHECK(pixel(photo, photo.width - 1, 0) == c.top_right);
      // The rest follows from the two corners: the map is affine.
      for (int y = 0; y < photo.height; ++y) {
        for (int x = 0; x < photo.width; ++x) {
          const int right_x = (c.top_right[0] - c.top_left[0]) / (photo.width - 1);
          const int right_y = (c.top_right[1] - c.top_left[1]) / (photo.width - 1);
          const int down_x = right_x != 0 ? 0 : (c.top_left[0] == 0 ? 1 : -1);
          const int down_y = right_y != 0 ? 0 : (c.top_left[1] == 0 ? 1 : -1);
          REQUIRE(pixel(photo, x, y) ==
                  Rgb{c.top_left[0] + x * right_x + y * down_x, c.top_left[1] + x * right_y + y * down_y, 0});
        }
      }
    }
  }
}

TEST_CASE("what cannot be read is called by its name") {
  CHECK(contains(refusal(test::image_file("cmyk.jpg")), "CMYK"));
  CHECK(contains(refusal(test::image_file("colour.gif")), "GIF"));
  CHECK(contains(refusal(test::image_file("colour.webp")), "WebP"));
  CHECK(contains(refusal(test::image_file("colour.tif")), "TIFF"));
  const auto bytes = [](std::string_view text) { return std::vector<std::uint8_t>(text.begin(), text.end()); };
  using namespace std::string_view_literals;
  CHECK(contains(refusal(bytes("\0\0\0\x18"
                               "ftypheic\0\0\0\0"sv)),
                 "HEIC"));
  CHECK(contains(refusal(bytes("%PDF-1.4\n")), "PDF"));
  CHECK(contains(refusal(bytes("Dear photo,\n")), "a text file"));
  CHECK(contains(refusal(bytes("\1\2\3\4\5"sv)), "01 02 03 04"));
  CHECK(contains(refusal({}), "empty"));
}

TEST_CASE("sizes are checked before decoding") {
  const auto ppm = [](const std::string& text) { return std::vector<std::uint8_t>(text.begin(), text.end()); };
  CHECK(contains(refusal(ppm("P5 30001 1 255\n")), "too large"));
  CHECK(contains(refusal(ppm("P5 1 30001 255\n")), "too large"));
  CHECK(contains(refusal(ppm("P5 16001 16000 255\n")), "too large"));
  CHECK(contains(refusal(ppm("P5 16000 16000 255\n")), "truncated"));
  CHECK(contains(refusal(ppm("P5 0 3 255\n")), "no pixels"));
  std::vector<std::uint8_t> bmp = test::image_file("colour.bmp");
  bmp[20] = 1;  // width + 65536
  CHECK(contains(refusal(bmp), "too large"));
  std::vector<std::uint8_t> jpeg = test::image_file("progressive.jpg");
  for (std::size_t at = 0; at + 8 < jpeg.size(); ++at) {
    if (jpeg[at] == 0xFF && jpeg[at + 1] == 0xC2) jpeg[at + 5] = 0x75, jpeg[at + 6] = 0x31;  // height 30001
  }
  CHECK(contains(refusal(jpeg), "too large"));
}

TEST_CASE("PNM: text, comments and maximum values") {
  const auto decode = [](const std::string& text) { return decode_photo(std::vector<std::uint8_t>(text.begin(), text.end())); };
  CHECK(pixel(decode("P2 # a comment\n2 1\n100\n50 100\n"), 0, 0) == Rgb{128, 128, 128});
  CHECK(pixel(decode("P3\n1 1 255 1 2 3"), 0, 0) == Rgb{1, 2, 3});
  CHECK(pixel(decode("P1\n2 1\n01"), 1, 0) == Rgb{0, 0, 0});
  CHECK(pixel(decode(std::string("P5 1 1 65535\n\x80\x80", 15)), 0, 0) == Rgb{128, 128, 128});
}

}  // namespace mfs::tools
