#include "tools/encode.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <string>

#include "tools/photo.h"
#include "tools/stb.h"

namespace mfs::tools {
namespace {

std::vector<std::uint8_t> noise(std::size_t size) {
  std::mt19937 random(7);
  std::vector<std::uint8_t> out(size);
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random());
  return out;
}

}  // namespace

TEST_CASE("PNG: what is written is read back") {
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 7}, {7, 1}, {33, 21}, {300, 200}}) {
    CAPTURE(width);
    for (const int channels : {1, 3, 4}) {
      CAPTURE(channels);
      const auto pixels = noise(static_cast<std::size_t>(width * height * channels));
      const Photo photo = decode_photo(encode_png(pixels, width, height, channels));
      REQUIRE(photo.width == width);
      REQUIRE(photo.height == height);
      if (channels > 1) {
        CHECK(photo.pixels == pixels);
      } else {
        for (std::size_t i = 0; i < pixels.size(); ++i) REQUIRE(photo.pixels[3 * i] == pixels[i]);
      }
    }
  }
}

TEST_CASE("a mask costs next to nothing") {
  std::vector<std::uint8_t> mask(1000 * 1000, 0);
  for (std::size_t y = 300; y < 700; ++y) std::fill_n(mask.begin() + static_cast<std::ptrdiff_t>(y * 1000 + 200), 500, 255);
  CHECK(encode_png(mask, 1000, 1000, 1).size() < 20'000);
}

TEST_CASE("probability as 16-bit PNG is round(65535 p)") {
  const std::vector<float> probability{0.0f, 1.0f, 0.5f, 0.25f, 1e-6f, 0.999999f};
  const std::vector<std::uint8_t> file = encode_png16(probability, 3, 2);
  int width = 0, height = 0, channels = 0;
  stbi_us* values = stbi_load_16_from_memory(file.data(), static_cast<int>(file.size()), &width, &height, &channels, 0);
  REQUIRE(values != nullptr);
  CHECK(stbi_is_16_bit_from_memory(file.data(), static_cast<int>(file.size())) == 1);
  REQUIRE((width == 3 && height == 2 && channels == 1));
  const int expected[] = {0, 65535, 32768, 16384, 0, 65535};
  for (std::size_t i = 0; i < 6; ++i) CHECK(values[i] == expected[i]);
  stbi_image_free(values);
}

TEST_CASE("probability as .npy") {
  const std::vector<float> probability{0.0f, 1.0f, 0.5f, 0.25f, 1e-6f, 0.1f};
  const std::vector<std::uint8_t> file = encode_npy(probability, 3, 2);
  CHECK(file.size() % 64 == 6 * 4);
  const std::string header(file.begin() + 10, file.end() - 24);
  CHECK(std::memcmp(file.data(), "\x93NUMPY\x01\x00", 8) == 0);
  CHECK(file[8] + 256u * file[9] == header.size());
  CHECK(header.find("'fortran_order': False, 'shape': (2, 3)") != std::string::npos);
  CHECK(header.back() == '\n');
  CHECK(std::memcmp(file.data() + file.size() - 24, probability.data(), 24) == 0);
}

TEST_CASE("JPEG: what is written looks the same") {
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < 40; ++y) {
    for (int x = 0; x < 50; ++x) pixels.insert(pixels.end(), {std::uint8_t(x * 5), std::uint8_t(y * 6), std::uint8_t(100)});
  }
  const Photo photo = decode_photo(encode_jpeg(pixels, 50, 40));
  REQUIRE(photo.pixels.size() == pixels.size());
  for (std::size_t i = 0; i < pixels.size(); ++i) REQUIRE(std::abs(photo.pixels[i] - pixels[i]) <= 12);
}

}  // namespace mfs::tools
