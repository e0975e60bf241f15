#include "tools/crc32.h"
#include "tools/exif.h"
#include "tools/image_header.h"

namespace mfs::tools {
namespace {

constexpr std::size_t kSignatureBytes = 8, kChunkFrame = 12;  // length, type and checksum around a chunk's content

[[noreturn]] void damaged(const std::string& what) { throw ImageError("the PNG file is damaged (" + what + ")"); }

}  // namespace

ImageHeader read_png_header(Bytes file) {
  ImageHeader header{.format = ImageFormat::kPng};
  std::int64_t data_bytes = 0, bits_per_pixel = 0;
  for (std::size_t at = kSignatureBytes;;) {
    const std::size_t left = file.size() - at;
    const std::size_t length = left < kChunkFrame ? 0 : big32(file, at);
    if (left < kChunkFrame || left - kChunkFrame < length) {
      throw ImageError("the PNG file ends before its end chunk (truncated?)");
    }
    const Bytes content = file.subspan(at + 8, length);
    const auto is = [&](std::string_view type) { return has_text(file, at + 4, type); };
    if (at == kSignatureBytes && is("CgBI")) throw ImageError("this PNG is in Apple's CgBI variant, which cannot be read");
    if (crc32(file.subspan(at + 4, length + 4)) != big32(file, at + 8 + length)) damaged("a checksum does not match");
    if ((at == kSignatureBytes) != is("IHDR")) damaged("its first chunk must be the header, and only that");
    if (is("IHDR")) {
      if (length != 13) damaged("its header has the wrong length");
      header.width = big32(content, 0);
      header.height = big32(content, 4);
      check_image_size(header.width, header.height);
      constexpr int kSamples[] = {1, 0, 3, 1, 2, 0, 4};
      if (content[9] > 6) damaged("unknown colour type");
      bits_per_pixel = kSamples[content[9]] * content[8];
    } else if (is("IDAT")) {
      data_bytes += static_cast<std::int64_t>(length);
    } else if (is("eXIf")) {
      header.orientation = exif_orientation(content);
    } else if (is("IEND")) {
      break;
    }
    at += kChunkFrame + length;
  }
  if (data_bytes == 0) damaged("it holds no image data");
  // Deflate cannot shrink data to less than 1/1032: a few bytes cannot ask for gigabytes.
  if (header.width * header.height * bits_per_pixel / 8 > data_bytes * 1032) damaged("it has too little data for its size");
  return header;
}

}  // namespace mfs::tools
