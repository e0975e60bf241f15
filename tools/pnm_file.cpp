#include "tools/pnm_file.h"

#include <algorithm>

namespace mfs::tools {
namespace {

bool is_space(std::uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

[[noreturn]] void truncated() { throw ImageError("the PNM file ends before its last pixel (truncated?)"); }

// The text parts of a PNM file: numbers between white space and comments.
struct Text {
  Bytes file;
  std::size_t at = 2;  // after "P6"

  void skip_space() {
    while (at < file.size() && (is_space(file[at]) || file[at] == '#')) {
      if (file[at] == '#') {
        while (at < file.size() && file[at] != '\n') ++at;
      } else {
        ++at;
      }
    }
  }
  // At most `max_digits` digits; the bits of P1 need no space between them.
  std::uint32_t number(int max_digits) {
    skip_space();
    if (at >= file.size()) truncated();
    if (file[at] < '0' || file[at] > '9') throw ImageError("the PNM file is damaged (not a number where one must be)");
    std::uint32_t value = 0;
    for (int i = 0; i < max_digits && at < file.size() && file[at] >= '0' && file[at] <= '9'; ++i) {
      value = value * 10 + (file[at++] - std::uint32_t{'0'});
    }
    return value;
  }
};

struct Header {
  int kind = 0;  // the 1..6 of P1..P6
  std::uint32_t width = 0, height = 0, max = 1;
  std::size_t data = 0;
  bool bitmap() const { return kind == 1 || kind == 4; }
  bool binary() const { return kind >= 4; }
  int samples() const { return kind == 3 || kind == 6 ? 3 : 1; }
};

Header parse(Bytes file) {
  Header h{.kind = file[1] - '0'};
  Text text{file};
  h.width = text.number(9);
  h.height = text.number(9);
  check_image_size(h.width, h.height);
  if (!h.bitmap()) h.max = text.number(9);
  if (h.max < 1 || h.max > 65535) throw ImageError("the PNM file is damaged (its maximum value is not 1 to 65535)");
  if (h.binary()) {
    if (text.at >= file.size()) truncated();
    if (!is_space(file[text.at++])) throw ImageError("the PNM file is damaged (no white space before its pixels)");
  }
  h.data = text.at;
  const std::size_t pixels = std::size_t{h.width} * h.height, left = file.size() - h.data;
  const std::size_t least =
      h.kind == 4 ? (h.width + 7) / 8 * std::size_t{h.height} : pixels * h.samples() * (h.binary() && h.max > 255 ? 2 : 1);
  if (left < least) truncated();
  return h;
}

}  // namespace

bool looks_like_pnm(Bytes file) {
  return file.size() > 2 && file[0] == 'P' && file[1] >= '1' && file[1] <= '6' && (is_space(file[2]) || file[2] == '#');
}

ImageHeader read_pnm_header(Bytes file) {
  const Header h = parse(file);
  return {.format = ImageFormat::kPnm, .width = h.width, .height = h.height};
}

std::vector<std::uint8_t> decode_pnm(Bytes file) {
  const Header h = parse(file);
  const auto scaled = [&](std::uint32_t value) {
    return static_cast<std::uint8_t>((std::min(value, h.max) * 255u + h.max / 2) / h.max);
  };
  std::vector<std::uint8_t> rgb(std::size_t{h.width} * h.height * 3);
  Text text{file, h.data};
  std::size_t at = h.data, out = 0;
  const std::size_t bitmap_row = (std::size_t{h.width} + 7) / 8;
  const auto next = [&]() -> std::uint8_t {
    if (h.kind == 1) return text.number(1) == 0 ? 255 : 0;
    if (!h.binary()) return scaled(text.number(9));
    const std::uint32_t value = h.max > 255 ? big16(file, at) : file[at];
    at += h.max > 255 ? 2 : 1;
    return scaled(value);
  };
  for (std::size_t y = 0; y < h.height; ++y) {
    for (std::size_t x = 0; x < h.width; ++x, out += 3) {
      if (h.kind == 4) {
        const bool black = (file[h.data + y * bitmap_row + x / 8] >> (7 - x % 8) & 1) != 0;
        rgb[out] = black ? 0 : 255;
      } else {
        rgb[out] = next();
      }
      rgb[out + 1] = h.samples() == 3 ? next() : rgb[out];
      rgb[out + 2] = h.samples() == 3 ? next() : rgb[out];
    }
  }
  return rgb;
}

}  // namespace mfs::tools
