// Damaged files: an image or a sentence, never a crash. Run under AddressSanitizer and UBSan, this is the proof.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>

#include "tests/tools/files.h"
#include "tools/crc32.h"
#include "tools/encode.h"
#include "tools/image_header.h"
#include "tools/photo.h"

namespace mfs::tools {
namespace {

using File = std::vector<std::uint8_t>;

struct Outcome {
  bool decoded = false;
  Photo photo;
};

Outcome decode(const File& file) {
  try {
    Outcome outcome{true, decode_photo(file)};
    const Photo& p = outcome.photo;
    REQUIRE(p.pixels.size() == std::size_t(p.width) * std::size_t(p.height) * std::size_t(p.channels));
    return outcome;
  } catch (const ImageError& error) {
    REQUIRE(std::string(error.what()).size() > 10);
    return {};
  }
}

// Makes the checksums of a PNG right again, so that its damage reaches the decoder.
void repair_checksums(File& png) {
  for (std::size_t at = 8; at + 12 <= png.size();) {
    const std::size_t length = big32(png, at);
    if (png.size() - at - 12 < length) return;
    const std::uint32_t crc = crc32(Bytes(png).subspan(at + 4, length + 4));
    for (std::size_t i = 0; i < 4; ++i) png[at + 8 + length + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
    at += 12 + length;
  }
}

void damage(File& file, std::mt19937& random) {
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  const std::size_t kind = below(6), at = below(file.size());
  const auto position = file.begin() + static_cast<std::ptrdiff_t>(at);
  const std::size_t length = std::min(file.size() - at, below(16) + 1);
  const auto last = position + static_cast<std::ptrdiff_t>(length);
  switch (kind) {
    case 0:
      file.erase(position, file.end());
      break;
    case 1:
      for (std::size_t i = 0; i <= below(8); ++i) file[below(file.size())] ^= static_cast<std::uint8_t>(1u << below(8));
      break;
    case 2:
      for (auto byte = position; byte != last; ++byte) *byte = static_cast<std::uint8_t>(below(256));
      break;
    case 3:
      file.erase(position, last);
      break;
    case 4: {
      const File copy(position, last);
      file.insert(file.begin() + static_cast<std::ptrdiff_t>(below(file.size())), copy.begin(), copy.end());
      break;
    }
    default: {  // the bytes that hold sizes and offsets lie near the start
      constexpr std::uint8_t kExtremes[] = {0, 1, 0x7F, 0x80, 0xFE, 0xFF};
      file[below(std::min<std::size_t>(file.size(), 64))] = kExtremes[below(std::size(kExtremes))];
    }
  }
}

std::vector<File> originals() {
  std::vector<File> files;
  for (const char* name : test::kReadable) files.push_back(test::image_file(name));
  for (const char* name : {"cmyk.jpg", "colour.gif", "colour.webp", "colour.tif"}) files.push_back(test::image_file(name));
  File noise(64 * 48 * 3);
  std::mt19937 random(1);
  for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(random());
  files.push_back(encode_jpeg(noise, 64, 48));
  files.push_back(encode_png(noise, 48, 48, 4));
  return files;
}

}  // namespace

TEST_CASE("a file cut short anywhere gives a sentence, or the whole image") {
  for (const char* name : test::kReadable) {
    CAPTURE(name);
    const File whole = test::image_file(name);
    const Outcome expected = decode(whole);
    REQUIRE(expected.decoded);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(size);
      const Outcome cut = decode(File(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
      if (cut.decoded) REQUIRE(cut.photo.pixels == expected.photo.pixels);
    }
  }
}

TEST_CASE("10,000 damaged images give an image or a sentence each") {
  constexpr int kFiles = 10'000;
  const std::vector<File> files = originals();
  int decoded = 0;
  for (int i = 0; i < kFiles; ++i) {
    CAPTURE(i);
    std::mt19937 random(static_cast<unsigned>(i));
    File file = files[static_cast<std::size_t>(i) % files.size()];
    for (unsigned k = 0; k <= random() % 3 && !file.empty(); ++k) damage(file, random);
    if (random() % 4 != 0 && file.size() > 8 && file[1] == 'P') repair_checksums(file);
    decoded += decode(file).decoded ? 1 : 0;
  }
  // Both ways out are taken often, or the damage is too mild or too wild to test anything.
  CHECK(decoded > kFiles / 20);
  CHECK(decoded < kFiles * 19 / 20);
}

TEST_CASE("the same damaged file decodes to the same pixels") {
  const std::vector<File> files = originals();
  for (unsigned i = 0; i < 500; ++i) {
    CAPTURE(i);
    std::mt19937 random(i);
    File file = files[i % files.size()];
    damage(file, random);
    if (file.size() > 8 && file[1] == 'P') repair_checksums(file);
    CHECK(decode(file).photo.pixels == decode(file).photo.pixels);
  }
}

TEST_CASE("image data that swell beyond the size in the header are refused") {
  constexpr int kSide = 4096;
  File bomb = encode_png(File(std::size_t{kSide} * kSide), kSide, kSide, 1);  // 16 MiB out of a few kilobytes
  REQUIRE(bomb.size() < 100'000);
  for (const std::size_t side : {16, 20}) {
    bomb[side + 2] = 0;
    bomb[side + 3] = 100;
  }
  repair_checksums(bomb);
  CHECK_FALSE(decode(bomb).decoded);
}

TEST_CASE("JPEG tables that stb_image 2.27 would trust are refused") {
  const auto after = [](const File& file, std::uint8_t marker) {
    for (std::size_t at = 2; at + 4 < file.size(); at += 2 + big16(file, at + 2)) {
      if (file[at + 1] == marker) return at + 4;
    }
    FAIL("no such segment");
    return std::size_t{0};
  };
  const File whole = test::image_file("rotated.jpg");
  File counts = whole;  // 16 x 255 symbols in a table for 256
  for (std::size_t i = 1; i <= 16; ++i) counts[after(whole, 0xC4) + i] = 255;
  CHECK_FALSE(decode(counts).decoded);
  File factors = whole;  // 3x1 next to 2x1
  factors[after(whole, 0xC0) + 7] = 0x31;
  factors[after(whole, 0xC0) + 10] = 0x21;
  CHECK_FALSE(decode(factors).decoded);
}

}  // namespace mfs::tools
