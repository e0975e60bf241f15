#include "tools/image_header.h"

#include <algorithm>
#include <cstdio>

#include "tools/pnm_file.h"

namespace mfs::tools {
namespace {

struct Magic {
  std::size_t at;
  std::string_view bytes, name;
};

using namespace std::string_view_literals;

// Files people hand over by mistake or in good faith; the more specific entry comes first.
constexpr Magic kForeign[] = {
    {0, "GIF8"sv, "a GIF image"},
    {8, "WEBP"sv, "a WebP image"},
    {4, "ftypavif"sv, "an AVIF image"},
    {4, "ftyphei"sv, "a HEIC image"},
    {4, "ftyphev"sv, "a HEIC image"},
    {4, "ftypmif1"sv, "a HEIF image"},
    {4, "ftypmsf1"sv, "a HEIF image"},
    {4, "ftypcrx"sv, "a Canon CR3 raw photo"},
    {4, "ftyp"sv, "a video (MP4 or QuickTime)"},
    {0, "II*\0"sv, "a TIFF image or a camera's raw photo"},
    {0, "MM\0*"sv, "a TIFF image or a camera's raw photo"},
    {0, "\xFF\x0A"sv, "a JPEG XL image"},
    {4, "JXL \r\n"sv, "a JPEG XL image"},
    {4, "jP  \r\n"sv, "a JPEG 2000 image"},
    {0, "8BPS"sv, "a Photoshop document"},
    {0, "P7\n"sv, "a PAM image"},
    {0, "PF\n"sv, "a PFM image"},
    {0, "#?RADIANCE"sv, "a Radiance HDR image"},
    {0, "v/1\x01"sv, "an OpenEXR image"},
    {0, "qoif"sv, "a QOI image"},
    {0, "DDS "sv, "a DDS texture"},
    {0, "\x93NUMPY"sv, "a NumPy array"},
    {0, "%PDF"sv, "a PDF document"},
    {0, "<svg"sv, "an SVG drawing"},
    {0, "PK\x03\x04"sv, "a ZIP archive"},
    {0, "\x1F\x8B"sv, "a gzip archive"},
    {0,
     "\x7F"
     "ELF"sv,
     "a program"},
};

bool is_text(Bytes file) {
  const Bytes head = file.first(std::min<std::size_t>(file.size(), 256));
  return std::all_of(head.begin(), head.end(),
                     [](std::uint8_t c) { return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c != 0x7F); });
}

[[noreturn]] void refuse(const std::string& found) {
  throw ImageError("this is " + found + "; only JPEG, PNG, BMP, TGA and PNM images can be read");
}

[[noreturn]] void refuse_foreign(Bytes file) {
  for (const Magic& magic : kForeign) {
    if (has_text(file, magic.at, magic.bytes)) refuse(std::string(magic.name));
  }
  if (is_text(file)) refuse("a text file");
  std::string bytes;
  for (const std::uint8_t byte : file.first(std::min<std::size_t>(file.size(), 4))) {
    char hex[4];
    std::snprintf(hex, sizeof hex, " %02X", byte);
    bytes += hex;
  }
  refuse("a file of unknown format (it starts with" + bytes + ")");
}

ImageHeader read_header_of_format(Bytes file) {
  if (has_text(file, 0, "\xFF\xD8\xFF"sv)) return read_jpeg_header(file);
  if (has_text(file, 0, "\x89PNG\r\n\x1A\n"sv)) return read_png_header(file);
  if (has_text(file, 0, "BM"sv) && !is_text(file)) return read_bmp_header(file);
  if (looks_like_pnm(file)) return read_pnm_header(file);
  if (looks_like_tga(file)) return read_tga_header(file);
  refuse_foreign(file);
}

}  // namespace

void check_image_size(std::int64_t width, std::int64_t height) {
  const std::string size = std::to_string(width) + "x" + std::to_string(height);
  if (width <= 0 || height <= 0) throw ImageError("the image has no pixels (" + size + ")");
  if (width > kMaxSide || height > kMaxSide || width * height > kMaxPixels) {
    throw ImageError("the image is too large (" + size + "; the limits are " + std::to_string(kMaxSide) +
                     " pixels a side and " + std::to_string(kMaxPixels / 1'000'000) + " megapixels)");
  }
}

ImageHeader read_image_header(Bytes file) {
  if (file.empty()) throw ImageError("the file is empty");
  const ImageHeader header = read_header_of_format(file);
  check_image_size(header.width, header.height);
  return header;
}

}  // namespace mfs::tools
