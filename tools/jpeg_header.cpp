#include <algorithm>
#include <array>

#include "tools/exif.h"
#include "tools/image_header.h"

namespace mfs::tools {
namespace {

constexpr std::uint8_t kSof0 = 0xC0, kDht = 0xC4, kJpg = 0xC8, kDac = 0xCC, kSof15 = 0xCF, kRst0 = 0xD0, kRst7 = 0xD7,
                       kSoi = 0xD8, kEoi = 0xD9, kSos = 0xDA, kApp1 = 0xE1, kTem = 0x01;
// A progressive photo has about ten; every scan costs a pass over the image.
constexpr int kMaxScans = 500;

[[noreturn]] void truncated() { throw ImageError("the JPEG file ends before its end marker (truncated?)"); }
[[noreturn]] void damaged(const std::string& what) { throw ImageError("the JPEG file is damaged (" + what + ")"); }

bool is_frame(std::uint8_t marker) {
  return marker >= kSof0 && marker <= kSof15 && marker != kDht && marker != kJpg && marker != kDac;
}

void read_frame(std::uint8_t marker, Bytes segment, ImageHeader& header) {
  if (segment.size() < 6) damaged("its frame header is too short");
  if (marker > kSof0 + 2) {
    throw ImageError(marker == kSof0 + 3   ? "this is a lossless JPEG; only baseline and progressive ones can be read"
                     : marker >= kSof0 + 9 ? "this JPEG uses arithmetic coding; only Huffman-coded ones can be read"
                                           : "this is a hierarchical JPEG; only baseline and progressive ones can be read");
  }
  if (segment[0] != 8) {
    throw ImageError("this JPEG has " + std::to_string(segment[0]) + " bits per sample; only 8 can be read");
  }
  header.height = big16(segment, 1);
  header.width = big16(segment, 3);
  const std::size_t components = segment[5];
  if (components == 4) throw ImageError("this is a CMYK JPEG (4 components); convert it to RGB first");
  if (components != 1 && components != 3) {
    throw ImageError("this JPEG has " + std::to_string(components) + " components; only grey (1) and colour (3) can be read");
  }
  if (segment.size() != 6 + 3 * components) damaged("its frame header has the wrong length");
  int max_h = 0, max_v = 0;
  for (std::size_t i = 0; i < components; ++i) {
    max_h = std::max(max_h, segment[7 + 3 * i] >> 4);
    max_v = std::max(max_v, segment[7 + 3 * i] & 15);
  }
  // stb_image 2.27 reads past a component's rows when the factors do not divide each other.
  for (std::size_t i = 0; i < components; ++i) {
    const int h = segment[7 + 3 * i] >> 4, v = segment[7 + 3 * i] & 15;
    if (h < 1 || v < 1 || h > 4 || v > 4) damaged("a sampling factor is not 1 to 4");
    if (max_h % h != 0 || max_v % v != 0) throw ImageError("this JPEG uses fractional subsampling, which cannot be read");
  }
}

// stb_image 2.27 writes past its table when the counts add up to more than 256.
void check_huffman_tables(Bytes segment) {
  constexpr std::size_t kTableHeader = 17;
  while (!segment.empty()) {
    if (segment.size() < kTableHeader) damaged("a Huffman table is cut short");
    std::size_t symbols = 0;
    for (std::size_t i = 1; i < kTableHeader; ++i) symbols += segment[i];
    if (symbols > 256 || kTableHeader + symbols > segment.size()) damaged("a Huffman table has too many symbols");
    segment = segment.subspan(kTableHeader + symbols);
  }
}

// Position of the marker that ends the entropy-coded data starting at `at`.
std::size_t skip_entropy_coded_data(Bytes file, std::size_t at) {
  for (; at + 1 < file.size(); ++at) {
    if (file[at] != 0xFF) continue;
    const std::uint8_t next = file[at + 1];
    if (next != 0 && next != 0xFF && !(next >= kRst0 && next <= kRst7)) return at;
  }
  truncated();
}

}  // namespace

ImageHeader read_jpeg_header(Bytes file) {
  ImageHeader header{.format = ImageFormat::kJpeg};
  bool has_frame = false, has_exif = false;
  int scans = 0;
  std::size_t scan_bytes = 0, at = 2;
  for (;;) {
    while (at < file.size() && file[at] != 0xFF) ++at;  // some cameras pad between segments
    while (at < file.size() && file[at] == 0xFF) ++at;
    if (at >= file.size()) truncated();
    const std::uint8_t marker = file[at++];
    if (marker == kEoi) break;
    if (marker == 0 || marker == kTem || (marker >= kRst0 && marker <= kSoi)) damaged("a marker is out of place");
    if (file.size() - at < 2) truncated();
    const std::size_t length = big16(file, at);
    if (length < 2) damaged("a segment has no length");
    if (file.size() - at < length) truncated();
    const Bytes segment = file.subspan(at + 2, length - 2);
    at += length;
    if (is_frame(marker)) {
      if (has_frame) damaged("it has two frame headers");
      has_frame = true;
      read_frame(marker, segment, header);
      check_image_size(header.width, header.height);
    } else if (marker == kDht) {
      check_huffman_tables(segment);
    } else if (marker == kApp1 && !has_exif && has_text(segment, 0, {"Exif\0\0", 6})) {
      has_exif = true;
      header.orientation = exif_orientation(segment.subspan(6));
    } else if (marker == kSos) {
      if (!has_frame) damaged("its data come before its frame header");
      if (++scans > kMaxScans) damaged("more than " + std::to_string(kMaxScans) + " scans");
      const std::size_t end = skip_entropy_coded_data(file, at);
      scan_bytes += end - at;
      at = end;
    }
  }
  if (scans == 0) damaged("it holds no image data");
  // Every 8x8 block of the finest component takes at least one bit: a few bytes cannot ask for hours of decoding.
  if (header.width * header.height / 64 > static_cast<std::int64_t>(scan_bytes) * 8) {
    damaged("it has too little data for its size");
  }
  return header;
}

}  // namespace mfs::tools
