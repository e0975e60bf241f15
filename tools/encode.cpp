#include "tools/encode.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "tools/crc32.h"
#include "tools/stb.h"

namespace mfs::tools {
namespace {

void append_big32(std::vector<std::uint8_t>& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

void append_chunk(std::vector<std::uint8_t>& out, std::string_view type, Bytes content) {
  append_big32(out, static_cast<std::uint32_t>(content.size()));
  const std::size_t checked = out.size();
  out.insert(out.end(), type.begin(), type.end());
  out.insert(out.end(), content.begin(), content.end());
  append_big32(out, crc32(Bytes(out).subspan(checked)));
}

std::uint8_t paeth(int left, int up, int up_left) {
  const int estimate = left + up - up_left;
  const int by_left = std::abs(estimate - left), by_up = std::abs(estimate - up), by_corner = std::abs(estimate - up_left);
  return static_cast<std::uint8_t>(by_left <= by_up && by_left <= by_corner ? left : by_up <= by_corner ? up : up_left);
}

// Larger levels take several times as long to save a tenth.
constexpr int kLevel = 3;

enum Filter : std::uint8_t { kUp = 2, kPaeth = 4 };

// One filter for every row: nearly the size of choosing per row, in a fraction of the time.
std::vector<std::uint8_t> filter_rows(Bytes pixels, std::size_t row_bytes, int height, std::size_t pixel_bytes, Filter filter) {
  std::vector<std::uint8_t> out((row_bytes + 1) * height);
  const std::vector<std::uint8_t> above_first(row_bytes, 0);
  const std::uint8_t* up = above_first.data();
  std::uint8_t* to = out.data();
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* row = pixels.data() + y * row_bytes;
    *to++ = filter;
    // Without a left neighbour both filters are the same.
    const std::size_t plain = filter == kUp ? row_bytes : std::min(pixel_bytes, row_bytes);
    for (std::size_t i = 0; i < plain; ++i) to[i] = static_cast<std::uint8_t>(row[i] - up[i]);
    for (std::size_t i = plain; i < row_bytes; ++i) {
      to[i] = static_cast<std::uint8_t>(row[i] - paeth(row[i - pixel_bytes], up[i], up[i - pixel_bytes]));
    }
    to += row_bytes;
    up = row;
  }
  return out;
}

std::vector<std::uint8_t> deflate(Bytes content, int level, int strategy) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, MAX_WBITS, MAX_MEM_LEVEL, strategy) != Z_OK) throw std::bad_alloc();
  std::vector<std::uint8_t> out(deflateBound(&stream, content.size()));
  stream.next_in = const_cast<std::uint8_t*>(content.data());  // zlib does not write there
  stream.next_out = out.data();
  // Sizes of one call are 32 bit. Limits on photos keep both below that: 256 megapixels of 4 channels.
  stream.avail_in = static_cast<uInt>(content.size());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::vector<std::uint8_t> png(Bytes pixels, int width, int height, int channels, int bits) {
  const std::size_t pixel_bytes = static_cast<std::size_t>(channels) * bits / 8, row_bytes = width * pixel_bytes;
  // A mask is long runs, which the rows above predict best.
  const bool mask = pixel_bytes == 1;
  const std::vector<std::uint8_t> data =
      deflate(filter_rows(pixels, row_bytes, height, pixel_bytes, mask ? kUp : kPaeth), kLevel, mask ? Z_RLE : Z_FILTERED);

  std::vector<std::uint8_t> header;
  append_big32(header, width);
  append_big32(header, height);
  const std::uint8_t colour_type = channels == 1 ? 0 : channels == 3 ? 2 : 6;
  header.insert(header.end(), {static_cast<std::uint8_t>(bits), colour_type, 0, 0, 0});

  constexpr std::uint8_t kSignature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  std::vector<std::uint8_t> out(std::begin(kSignature), std::end(kSignature));
  out.reserve(data.size() + 64);
  append_chunk(out, "IHDR", header);
  append_chunk(out, "IDAT", data);
  append_chunk(out, "IEND", {});
  return out;
}

}  // namespace

std::vector<std::uint8_t> encode_png(Bytes pixels, int width, int height, int channels) {
  return png(pixels, width, height, channels, 8);
}

std::vector<std::uint8_t> encode_png16(std::span<const float> probability, int width, int height) {
  std::vector<std::uint8_t> samples(probability.size() * 2);
  for (std::size_t i = 0; i < probability.size(); ++i) {
    const auto value = static_cast<std::uint32_t>(std::lround(std::clamp(probability[i], 0.0f, 1.0f) * 65535.0));
    samples[2 * i] = static_cast<std::uint8_t>(value >> 8);
    samples[2 * i + 1] = static_cast<std::uint8_t>(value);
  }
  return png(samples, width, height, 1, 16);
}

std::vector<std::uint8_t> encode_jpeg(Bytes rgb, int width, int height) {
  constexpr int kQuality = 92;  // above 90 stb keeps the chroma at full resolution
  std::vector<std::uint8_t> out;
  const auto append = [](void* context, void* data, int size) {
    auto& to = *static_cast<std::vector<std::uint8_t>*>(context);
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    to.insert(to.end(), bytes, bytes + size);
  };
  if (stbi_write_jpg_to_func(append, &out, width, height, 3, rgb.data(), kQuality) == 0) throw std::bad_alloc();
  return out;
}

std::vector<std::uint8_t> encode_npy(std::span<const float> probability, int width, int height) {
  const char order = std::endian::native == std::endian::little ? '<' : '>';
  std::string header = std::string("{'descr': '") + order + "f4', 'fortran_order': False, 'shape': (" + std::to_string(height) +
                       ", " + std::to_string(width) + "), }";
  constexpr std::size_t kPrefix = 10, kAlignment = 64;  // magic, version 1.0, 16-bit length; the data start aligned
  const std::size_t total = (kPrefix + header.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  header.resize(total - kPrefix - 1, ' ');
  header += '\n';
  const std::uint8_t prefix[kPrefix] = {0x93,
                                        'N',
                                        'U',
                                        'M',
                                        'P',
                                        'Y',
                                        1,
                                        0,
                                        static_cast<std::uint8_t>(header.size()),
                                        static_cast<std::uint8_t>(header.size() >> 8)};
  std::vector<std::uint8_t> out(total + probability.size_bytes());
  std::memcpy(out.data(), prefix, kPrefix);
  std::memcpy(out.data() + kPrefix, header.data(), header.size());
  std::memcpy(out.data() + total, probability.data(), probability.size_bytes());
  return out;
}

}  // namespace mfs::tools
