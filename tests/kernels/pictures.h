// Photos, probability maps and backends for the tests of the effects.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/effects.h"
#include "tests/support/backends.h"
#include "tests/support/checks.h"

namespace mfs::core::test {

inline constexpr PixelFormat kFormats[] = {PixelFormat::kRgb, PixelFormat::kRgba, PixelFormat::kBgr, PixelFormat::kGrey};
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Size {
  int width, height;
};
// One pixel, a row, a column, odd sizes, and rows longer than the pieces kernels work in.
inline constexpr Size kSizes[] = {{1, 1}, {9, 1}, {1, 7}, {37, 23}, {1043, 3}};

inline Cost dearest_effect(Size size) {
  Overlay overlay;
  overlay.image.width = size.width, overlay.image.height = size.height;
  return cost(overlay);
}

// Those worth a picture of this size. On the CPU also far more threads than there are rows in some pictures.
inline std::vector<Backend> backends_for(Size size) {
  std::vector<Backend> all;
  for (const Backend& backend : backends()) {
    if (backend.takes(dearest_effect(size))) all.push_back(backend);
  }
  return all;
}
inline std::vector<Backend> more_backends_for(Size size) {
  std::vector<Backend> all = backends_for(size);
#if !MFS_TEST_CUDA
  all.push_back({"7 threads", Cpu{7}, all.front().most_flops});
  all.push_back({"64 threads", Cpu{64}, all.front().most_flops});
#endif
  return all;
}

// Pixels with `gap` bytes after every row and a row of guard bytes at either end; all of these must survive.
class Picture {
 public:
  Picture(int width, int height, PixelFormat format, int gap = 5)
      : width_(width),
        height_(height),
        format_(format),
        stride_(width * channels_of(format) + gap),
        bytes_(static_cast<std::size_t>(stride_) * (height + 2)) {
    std::memset(bytes_.data(), kGuard, bytes_.size());
  }
  Picture(Size size, PixelFormat format, unsigned seed) : Picture(size.width, size.height, format) {
    std::mt19937 random(seed);
    for (int y = 0; y < height_; ++y) {
      for (int i = 0; i < width_ * channels_of(format_); ++i) row(y)[i] = static_cast<std::uint8_t>(random() >> 24);
    }
  }

  std::uint8_t* row(int y) { return begin() + static_cast<std::ptrdiff_t>(stride_) * (y + 1); }
  const std::uint8_t* at(int x, int y) const {
    return begin() + static_cast<std::ptrdiff_t>(stride_) * (y + 1) + x * channels_of(format_);
  }
  // Channel 0..2 = red, green, blue; 3 = alpha (255 where there is none).
  int get(int x, int y, int channel) const {
    const std::uint8_t* p = at(x, y);
    if (format_ == PixelFormat::kGrey) return channel < 3 ? p[0] : 255;
    if (channel == 3) return format_ == PixelFormat::kRgba ? p[3] : 255;
    return p[format_ == PixelFormat::kBgr ? 2 - channel : channel];
  }
  void set(int x, int y, int r, int g, int b) {
    std::uint8_t* p = row(y) + x * channels_of(format_);
    const int rgb[3] = {r, g, b};
    if (format_ == PixelFormat::kGrey) p[0] = static_cast<std::uint8_t>(g);
    if (format_ == PixelFormat::kGrey) return;
    for (int c = 0; c < 3; ++c) p[format_ == PixelFormat::kBgr ? 2 - c : c] = static_cast<std::uint8_t>(rgb[c]);
  }
  bool guards_intact() const {
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      const auto y = static_cast<std::ptrdiff_t>(i) / stride_ - 1, x = static_cast<std::ptrdiff_t>(i) % stride_;
      const bool inside = y >= 0 && y < height_ && x < width_ * channels_of(format_);
      if (!inside && begin()[i] != kGuard) return false;
    }
    return bytes_.canaries_intact();
  }
  ImageView view() const { return {at(0, 0), width_, height_, stride_, format_}; }
  MutImageView out() { return {row(0), width_, height_, stride_, format_}; }
  int width() const { return width_; }
  int height() const { return height_; }
  bool operator==(const Picture& o) const {
    return bytes_.size() == o.bytes_.size() && std::memcmp(bytes_.data(), o.bytes_.data(), bytes_.size()) == 0;
  }

 private:
  static constexpr std::uint8_t kGuard = 0xa5;
  std::uint8_t* begin() { return reinterpret_cast<std::uint8_t*>(bytes_.data()); }
  const std::uint8_t* begin() const { return reinterpret_cast<const std::uint8_t*>(bytes_.data()); }
  int width_, height_;
  PixelFormat format_;
  int stride_;
  GuardedBytes bytes_;
};

// A probability map with NaN between its rows.
class Probability {
 public:
  explicit Probability(Size size, float fill = 0)
      : size_(size), values_(static_cast<std::size_t>(pitch()) * size.height * sizeof(float)) {
    for (int y = 0; y < size.height; ++y) std::fill_n(&at(0, y), size.width, fill);
  }
  float& at(int x, int y) { return reinterpret_cast<float*>(values_.data())[static_cast<std::size_t>(pitch()) * y + x]; }
  float at(int x, int y) const { return row(y)[x]; }
  MapView view() const { return {row(0), size_.width, size_.height, std::int64_t{4} * pitch()}; }

 private:
  int pitch() const { return size_.width + 3; }
  const float* row(int y) const {
    return reinterpret_cast<const float*>(values_.data()) + static_cast<std::size_t>(pitch()) * y;
  }
  Size size_;
  GuardedBytes values_;  // NaN until written
};

inline Probability awkward_probability(Size size, unsigned seed) {
  Probability p(size);
  std::mt19937 random(seed);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      const unsigned pick = random() % 16;
      const float extremes[] = {0, 1, 0.25f, 0.75f, 0.5f, kNan, kInfinity, -kInfinity};
      p.at(x, y) = pick < 8 ? extremes[pick] : static_cast<float>(random() % 1000001) * 1e-6f;
    }
  }
  return p;
}

// Opacity before rounding.
inline double opacity(float probability) {
  return std::isnan(probability) ? 0 : std::clamp((probability - 0.25) * 510, 0.0, 255.0);
}

// A subject with an edge `softness` pixels wide left of column `edge`.
inline Probability ramp(Size size, double edge, double softness) {
  Probability p(size);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) p.at(x, y) = static_cast<float>(std::clamp(0.5 + (edge - x) / softness, 0.0, 1.0));
  }
  return p;
}

inline Picture uniform(Size size, int r, int g, int b, PixelFormat format = PixelFormat::kRgb) {
  Picture picture(size.width, size.height, format);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) picture.set(x, y, r, g, b);
  }
  return picture;
}

}  // namespace mfs::core::test
