#include "tools/photo.h"

#include <algorithm>
#include <memory>

#include "tools/pnm_file.h"
#include "tools/stb.h"

namespace mfs::tools {
namespace {

std::uint8_t to_8_bit(std::uint8_t value) { return value; }
std::uint8_t to_8_bit(std::uint16_t value) { return static_cast<std::uint8_t>((value + 128u) / 257u); }

// Grey, grey + alpha, RGB or RGBA samples to RGB or RGBA bytes.
template <class T>
std::vector<std::uint8_t> to_colour(const T* samples, int channels, std::size_t pixels) {
  const bool grey = channels <= 2, alpha = channels % 2 == 0;
  std::vector<std::uint8_t> out(pixels * (alpha ? 4 : 3));
  std::uint8_t* to = out.data();
  for (const T* from = samples; from != samples + pixels * channels; from += channels) {
    *to++ = to_8_bit(from[0]);
    *to++ = to_8_bit(from[grey ? 0 : 1]);
    *to++ = to_8_bit(from[grey ? 0 : 2]);
    if (alpha) *to++ = to_8_bit(from[channels - 1]);
  }
  return out;
}

template <class T, class Load>
void decode_with_stb(Bytes file, Load load, Photo& photo) {
  int width = 0, height = 0, channels = 0;
  // What grows are copies of the file's data and the samples, at most 8 bytes a pixel; growing doubles.
  const std::size_t most_sample_bytes = static_cast<std::size_t>(photo.width) * photo.height * 8;
  mfs_stb_limit_growth(2 * std::max(most_sample_bytes, file.size()) + (std::size_t{1} << 16));
  const std::unique_ptr<T, void (*)(void*)> samples(
      load(file.data(), static_cast<int>(file.size()), &width, &height, &channels, 0), stbi_image_free);
  if (!samples) throw ImageError(std::string("the image data are damaged (") + stbi_failure_reason() + ")");
  if (width != photo.width || height != photo.height || channels < 1 || channels > 4) {
    throw ImageError("the image data are damaged (they contradict the header)");
  }
  photo.channels = channels % 2 == 0 ? 4 : 3;
  photo.pixels = to_colour(samples.get(), channels, static_cast<std::size_t>(width) * height);
}

// EXIF orientations 2 to 8: where the upright photo's pixel (0, 0) lies in the stored one, and where its x and y axes lead.
void make_upright(Photo& photo) {
  const int o = photo.orientation;
  if (o == 1) return;
  const bool transposed = o >= 5;
  const std::ptrdiff_t stored_width = photo.width, stored_height = photo.height;
  const bool from_right = o == 2 || o == 3 || o == 7 || o == 8, from_bottom = o == 3 || o == 4 || o == 6 || o == 7;
  const std::ptrdiff_t across = from_right ? -1 : 1, down = from_bottom ? -stored_width : stored_width;
  const std::ptrdiff_t origin = (from_right ? stored_width - 1 : 0) + (from_bottom ? (stored_height - 1) * stored_width : 0);
  const std::ptrdiff_t step_x = transposed ? down : across, step_y = transposed ? across : down;
  if (transposed) std::swap(photo.width, photo.height);

  const std::size_t channels = photo.channels;
  std::vector<std::uint8_t> upright(photo.pixels.size());
  constexpr int kTile = 32;  // keeps the lines that a transposition reads column by column in the cache
  for (int y0 = 0; y0 < photo.height; y0 += kTile) {
    for (int x0 = 0; x0 < photo.width; x0 += kTile) {
      for (int y = y0; y < std::min(y0 + kTile, photo.height); ++y) {
        std::uint8_t* to = upright.data() + (static_cast<std::size_t>(y) * photo.width + x0) * channels;
        for (int x = x0; x < std::min(x0 + kTile, photo.width); ++x, to += channels) {
          std::copy_n(photo.pixels.data() + (origin + x * step_x + y * step_y) * photo.channels, channels, to);
        }
      }
    }
  }
  photo.pixels = std::move(upright);
}

}  // namespace

Photo decode_photo(Bytes file) { return decode_photo(file, read_image_header(file)); }

Photo decode_photo(Bytes file, const ImageHeader& header) {
  constexpr std::size_t kMaxFileBytes = 0x7FFFFFFF;  // stb counts in int
  if (file.size() > kMaxFileBytes) throw ImageError("the file is larger than 2 GiB");
  Photo photo{.width = static_cast<int>(header.width),
              .height = static_cast<int>(header.height),
              .orientation = header.orientation,
              .pixels = {}};
  if (header.format == ImageFormat::kPnm) {
    photo.pixels = decode_pnm(file);
  } else if (stbi_is_16_bit_from_memory(file.data(), static_cast<int>(file.size())) != 0) {
    decode_with_stb<stbi_us>(file, stbi_load_16_from_memory, photo);  // its own 8-bit conversion would drop the low byte
  } else {
    decode_with_stb<stbi_uc>(file, stbi_load_from_memory, photo);
  }
  make_upright(photo);
  return photo;
}

}  // namespace mfs::tools
