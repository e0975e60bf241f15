#include <cstdlib>

#include "tools/image_header.h"

namespace mfs::tools {
namespace {

void require(bool condition, const char* sentence) {
  if (!condition) throw ImageError(sentence);
}

constexpr const char *kBmpDamaged = "the BMP file is damaged (its header contradicts itself)",
                     *kBmpTruncated = "the BMP file ends before its last pixel (truncated?)",
                     *kTgaDamaged = "the TGA file is damaged (its header contradicts itself)",
                     *kTgaTruncated = "the TGA file ends before its last pixel (truncated?)";

struct TgaHeader {
  std::size_t id_bytes, palette_entries, palette_bits, bits;
  std::uint8_t palette_type, kind, descriptor;
  std::int64_t width, height;
  bool run_length_coded() const { return kind >= 9; }
  bool indexed() const { return kind == 1 || kind == 9; }
};

constexpr std::size_t kTgaHeaderBytes = 18;

TgaHeader parse_tga(Bytes file) {
  return {.id_bytes = file[0],
          .palette_entries = little16(file, 5),
          .palette_bits = file[7],
          .bits = file[16],
          .palette_type = file[1],
          .kind = file[2],
          .descriptor = file[17],
          .width = little16(file, 12),
          .height = little16(file, 14)};
}

}  // namespace

ImageHeader read_bmp_header(Bytes file) {
  require(file.size() >= 26, kBmpTruncated);
  const std::int64_t offset = little32(file, 10), header_bytes = little32(file, 14);
  const bool core = header_bytes == 12;
  require(core || header_bytes == 40 || header_bytes == 56 || header_bytes == 108 || header_bytes == 124,
          "this BMP file has a header of an unknown version");
  const auto size = static_cast<std::int64_t>(file.size());
  require(size >= 14 + header_bytes, kBmpTruncated);

  ImageHeader header{.format = ImageFormat::kBmp};
  header.width = core ? little16(file, 18) : static_cast<std::int32_t>(little32(file, 18));
  header.height = core ? little16(file, 20) : std::abs(std::int64_t{static_cast<std::int32_t>(little32(file, 22))});
  check_image_size(header.width, header.height);
  const std::uint32_t planes = little16(file, core ? 22 : 26), bits = little16(file, core ? 24 : 28);
  const std::uint32_t compression = core ? 0 : little32(file, 30);
  require(compression != 1 && compression != 2, "this BMP is run-length coded; only uncompressed ones can be read");
  require(compression == 0 || compression == 3, "this BMP is compressed; only uncompressed ones can be read");
  // stb_image 2.27 miscounts these palettes.
  require(!core || bits == 24, "this BMP is in the palette format of OS/2 1.x, which cannot be read");
  require(planes == 1 && (bits == 1 || bits == 4 || bits == 8 || bits == 16 || bits == 24 || bits == 32), kBmpDamaged);
  require(compression == 0 || bits == 16 || bits == 32, kBmpDamaged);

  const std::int64_t masks = compression == 3 && (header_bytes == 40 || header_bytes == 56) ? 12 : 0;
  const std::int64_t palette_bytes = offset - 14 - header_bytes - masks;
  require(palette_bytes >= 0 && (bits > 8 || (palette_bytes >= 4 && palette_bytes / 4 <= 256)), kBmpDamaged);
  const std::int64_t row_bytes = (header.width * bits + 31) / 32 * 4;
  require(size - offset >= row_bytes * header.height, kBmpTruncated);
  return header;
}

// TGA has no magic bytes: every field of the header must make sense.
bool looks_like_tga(Bytes file) {
  if (file.size() < kTgaHeaderBytes) return false;
  const TgaHeader t = parse_tga(file);
  const auto is_colour = [](std::size_t bits) { return bits == 15 || bits == 16 || bits == 24 || bits == 32; };
  const int kind = t.kind & 7;
  if ((t.kind & ~11) != 0 || kind == 0 || t.width == 0 || t.height == 0 || (t.descriptor & 0xC0) != 0) return false;
  if (kind == 1) {
    return t.palette_type == 1 && t.palette_entries > 0 && is_colour(t.palette_bits) && (t.bits == 8 || t.bits == 16);
  }
  return t.palette_type == 0 && (kind == 2 ? is_colour(t.bits) : t.bits == 8 || t.bits == 16);
}

ImageHeader read_tga_header(Bytes file) {
  const TgaHeader t = parse_tga(file);
  check_image_size(t.width, t.height);
  const std::size_t pixel_bytes = (t.bits + 7) / 8, pixels = static_cast<std::size_t>(t.width * t.height);
  std::size_t at = kTgaHeaderBytes + t.id_bytes;
  if (t.indexed()) {
    require(little16(file, 3) == 0, kTgaDamaged);  // a palette that starts later than at entry 0: no program writes that
    at += t.palette_entries * ((t.palette_bits + 7) / 8);
  }
  require(at <= file.size(), kTgaTruncated);
  if (!t.run_length_coded()) {
    require((file.size() - at) / pixel_bytes >= pixels, kTgaTruncated);
  } else {
    for (std::size_t done = 0; done < pixels;) {
      require(at < file.size(), kTgaTruncated);
      const std::size_t count = (file[at] & 127u) + 1, stored = file[at] >= 128 ? 1 : count;
      at += 1 + stored * pixel_bytes;
      done += count;
      require(at <= file.size(), kTgaTruncated);
    }
  }
  return {.format = ImageFormat::kTga, .width = t.width, .height = t.height};
}

}  // namespace mfs::tools
