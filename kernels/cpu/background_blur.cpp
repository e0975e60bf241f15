// Disc blur of the background on a grid of square blocks of the photo, streamed: each thread turns its rows of the photo into
// grid rows, keeps just the rows a disc spans, and lays the blurred grid (bilinear) under the subject.
//
// Weight of a photo pixel: 1 - 2 * opacity, so that a pixel more likely subject than background gives no colour; but at least
// 1/255 where it is not fully opaque, so that every pixel that shows background has some in reach (itself, if nothing else).
// Colours are squared before averaging and rooted after: close to linear light, where bright spots stay bright.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/pixels.h"
#include "kernels/effects.h"

namespace mfs::core {
namespace {

constexpr int kPlanes = 4;  // red, green and blue times weight; weight

struct Grid : BlurGrid {
  int pad = 0;             // columns beside every row of sums
  std::int64_t pitch = 0;  // elements between the planes of a row
  std::int64_t photo_pitch = 0;

  Grid(const ImageView& image, float photo_radius) : BlurGrid(image.width, image.height, photo_radius) {
    pad = reach + 1;
    pitch = (width + 1 + 2 * pad + 15) / 16 * 16;
    photo_pitch = (std::int64_t{width} * block + 15) / 16 * 16;
  }

  int ring_rows() const { return 2 * reach + 1; }
  std::int64_t row() const { return kPlanes * pitch; }
  // Per thread: rows of prefix sums and one of zeros, two blurred rows and their mixture, a block row's column sums.
  std::int64_t elements() const { return row() * (ring_rows() + 1 + 3) + kPlanes * photo_pitch; }
};

MFS_MULTIVERSION void add_photo_piece(PixelFormat format, const std::uint8_t* src, const float* probability, int n, float* sums,
                                      std::int64_t pitch) {
  PixelPlanes px;
  load_pixels(format, src, n, px);
  alignas(64) std::int32_t weights[kPiece];
  float* __restrict total = sums + 3 * pitch;
  for (int i = 0; i < n; ++i) {
    weights[i] = background_weight(soft_alpha(probability[i]));
    total[i] += static_cast<float>(weights[i]);
  }
  const std::uint8_t* const channels[3] = {px.r, px.g, px.b};
  for (int p = 0; p < 3; ++p) {
    const std::uint8_t* channel = channels[p];
    float* __restrict sum = sums + p * pitch;
    for (int i = 0; i < n; ++i) sum[i] += static_cast<float>(weights[i] * channel[i] * channel[i]);
  }
}

// Sums over the columns of every block, in place.
void reduce_columns(const Grid& grid, float* sums) {
  for (int x = 0; x < grid.width; ++x) {
    float total = 0;
    for (int k = 0; k < grid.block; ++k) total += sums[x * grid.block + k];
    sums[x] = total;
  }
}

// Mean weight of every block, rounded up so that no background is lost, and its mean colours times that weight: integers
// below 2^24, written behind the first element of the row.
MFS_MULTIVERSION void quantise(const float* sums, std::int64_t sums_pitch, int n, float block_area, std::uint32_t* row,
                               std::int64_t pitch) {
  const float* totals = sums + 3 * sums_pitch;
  std::uint32_t* __restrict weights = row + 3 * pitch + 1;
  for (int i = 0; i < n; ++i)
    weights[i] = static_cast<std::uint32_t>(static_cast<int>((totals[i] + block_area - 1) / block_area));
  for (int p = 0; p < 3; ++p) {
    const float* sum = sums + p * sums_pitch;
    std::uint32_t* __restrict colours = row + p * pitch + 1;
    for (int i = 0; i < n; ++i) {
      const float mean = sum[i] / std::max(totals[i], 1.0f);
      colours[i] = static_cast<std::uint32_t>(static_cast<int>(mean * static_cast<float>(static_cast<int>(weights[i])) + 0.5f));
    }
  }
}

// row[i] becomes the sum of the i elements behind row[0], modulo 2^32: differences over a chord are exact all the same.
void accumulate(const Grid& grid, std::uint32_t* row) {
  std::uint32_t total[kPlanes] = {};
  for (int i = 0; i <= grid.width; ++i) {
    for (int p = 0; p < kPlanes; ++p) row[p * grid.pitch + i] = total[p] += i ? row[p * grid.pitch + i] : 0;
  }
  for (int p = 0; p < kPlanes; ++p) {
    std::uint32_t* plane = row + p * grid.pitch;
    std::fill_n(plane - grid.pad, grid.pad, 0u);
    std::fill_n(plane + grid.width + 1, grid.pad, total[p]);
  }
}

MFS_MULTIVERSION void add_chords(const std::uint32_t* up, const std::uint32_t* down, int n, int full, float inner, float outer,
                                 float* sum) {
  const std::uint32_t *up_end = up + full + 1, *up_begin = up - full;
  const std::uint32_t *down_end = down + full + 1, *down_begin = down - full;
  for (int i = 0; i < n; ++i) {
    const std::uint32_t whole = up_end[i] - up_begin[i] + down_end[i] - down_begin[i];
    const std::uint32_t wider = up_end[i + 1] - up_begin[i - 1] + down_end[i + 1] - down_begin[i - 1];
    sum[i] += inner * static_cast<float>(static_cast<std::int32_t>(whole)) +
              outer * static_cast<float>(static_cast<std::int32_t>(wider));
  }
}

MFS_MULTIVERSION void mix_rows(const float* a, const float* b, float t, std::int64_t n, float* dst) {
  for (std::int64_t i = 0; i < n; ++i) dst[i] = a[i] + t * (b[i] - a[i]);
}

// Blurred colours of photo pixels first ... first + n - 1 from one row at the photo's height, under the subject.
MFS_MULTIVERSION void compose_piece(PixelFormat format, const std::uint8_t* src, const float* probability, const float* blurred,
                                    std::int64_t pitch, int block, int first, int n, std::uint8_t* dst) {
  PixelPlanes px;
  load_pixels(format, src, n, px);
  alignas(64) float under[kPlanes][kPiece];
  const float per_block = 1 / static_cast<float>(block);
  for (int p = 0; p < kPlanes; ++p) {
    const float* plane = blurred + p * pitch;
    if (block == 1) {
      std::memcpy(under[p], plane + first, sizeof(float) * static_cast<std::size_t>(n));
      continue;
    }
    const int origin = first / block;  // small distances from it keep their fractions exact enough in any photo
    const float offset = static_cast<float>(first - origin * block) + 0.5f;
    for (int i = 0; i < n; ++i) {
      const float position = (static_cast<float>(i) + offset) * per_block + 0.5f;  // 1 more than the block left of it
      const int left = static_cast<int>(position);
      const float t = position - static_cast<float>(left);
      const float v = plane[origin + left - 1];
      under[p][i] = v + t * (plane[origin + left] - v);
    }
  }
  alignas(64) float opacity[kPiece], scale[kPiece];
  for (int i = 0; i < n; ++i) {
    opacity[i] = static_cast<float>(soft_alpha(probability[i])) * (1 / 255.0f);
    scale[i] = 1 / std::max(under[3][i], 1e-6f);  // nothing is in reach only of opaque pixels
  }
  std::uint8_t* const channels[3] = {px.r, px.g, px.b};
  for (int p = 0; p < 3; ++p) {
    std::uint8_t* channel = channels[p];
    for (int i = 0; i < n; ++i) {
      const float behind = std::sqrt(std::max(under[p][i], 0.0f) * scale[i]);
      const float value = behind + (static_cast<float>(channel[i]) - behind) * opacity[i];
      channel[i] = static_cast<std::uint8_t>(static_cast<int>(std::min(value, 255.0f) + 0.5f));
    }
  }
  for (int i = 0; i < n; ++i) dst[3 * i] = px.r[i], dst[3 * i + 1] = px.g[i], dst[3 * i + 2] = px.b[i];
}

// One thread's rows.
class Band {
 public:
  Band(const BackgroundBlur& effect, const Grid& grid, std::byte* memory) : e_(effect), grid_(grid) {
    ring_ = reinterpret_cast<std::uint32_t*>(memory);
    zeros_ = ring_ + grid.ring_rows() * grid.row();
    blurred_ = reinterpret_cast<float*>(zeros_ + grid.row());
    mixed_ = blurred_ + 2 * grid.row();
    sums_ = mixed_ + grid.row();
    std::fill_n(zeros_, grid.row(), 0u);
    std::fill_n(blurred_, 3 * grid.row(), 0.0f);  // weight 0 beside the grid: the outermost blocks continue to the border
  }

  void run(int begin, int end) {
    const float per_block = 1 / static_cast<float>(grid_.block);
    for (int y = begin; y < end; ++y) {
      const float position = (static_cast<float>(y % grid_.block) + 0.5f) * per_block + 0.5f;  // as in compose_piece()
      const int step = static_cast<int>(position), upper = y / grid_.block + step - 1;
      const float t = position - static_cast<float>(step);
      const int lo = std::max(upper, 0), hi = std::min(upper + 1, grid_.height - 1);
      if (y == begin) made_ = std::max(lo - grid_.reach, 0), done_ = lo;
      for (; done_ <= hi; ++done_) blur_row(done_);
      compose_row(y, blurred(lo), blurred(hi), t);
    }
  }

 private:
  std::uint32_t* ring(int y) { return ring_ + y % grid_.ring_rows() * grid_.row() + grid_.pad; }
  float* blurred(int y) { return blurred_ + y % 2 * grid_.row() + grid_.pad; }

  void make_grid_row(int y) {
    std::fill_n(sums_, kPlanes * grid_.photo_pitch, 0.0f);
    const int channels = channels_of(e_.image.format), width = e_.image.width;
    for (int row = y * grid_.block; row < std::min((y + 1) * grid_.block, e_.image.height); ++row) {
      for (int x = 0; x < width; x += kPiece) {
        add_photo_piece(e_.image.format, e_.image.row(row) + std::int64_t{x} * channels, e_.probability.row(row) + x,
                        std::min(kPiece, width - x), sums_ + x, grid_.photo_pitch);
      }
    }
    if (grid_.block > 1) {
      for (int p = 0; p < kPlanes; ++p) reduce_columns(grid_, sums_ + p * grid_.photo_pitch);
    }
    quantise(sums_, grid_.photo_pitch, grid_.width, static_cast<float>(grid_.block * grid_.block), ring(y), grid_.pitch);
    accumulate(grid_, ring(y));
  }

  void blur_row(int y) {
    for (; made_ <= std::min(y + grid_.reach, grid_.height - 1); ++made_) make_grid_row(made_);
    float* dst = blurred(y);
    for (int p = 0; p < kPlanes; ++p) {
      float* plane = dst + p * grid_.pitch;
      std::fill_n(plane, grid_.width, 0.0f);
      for (int dy = 0; dy <= grid_.reach; ++dy) {
        const std::uint32_t* up = (y - dy >= 0 ? ring(y - dy) : zeros_ + grid_.pad) + p * grid_.pitch;
        const std::uint32_t* down = (y + dy < grid_.height ? ring(y + dy) : zeros_ + grid_.pad) + p * grid_.pitch;
        const Chord chord = grid_.chords[dy];
        const float share = dy == 0 ? 0.5f : 1.0f;  // the middle row is its own mirror image
        add_chords(up, down, grid_.width, chord.full, share * (1 - chord.part), share * chord.part, plane);
      }
    }
  }

  void compose_row(int y, const float* upper, const float* lower, float t) {
    const float* row = upper;
    if (grid_.block > 1) {
      mix_rows(upper - 1, lower - 1, t, grid_.row() - grid_.pad + 1, mixed_ + grid_.pad - 1);
      row = mixed_ + grid_.pad;
    }
    const int channels = channels_of(e_.image.format), width = e_.image.width;
    for (int x = 0; x < width; x += kPiece) {
      compose_piece(e_.image.format, e_.image.row(y) + std::int64_t{x} * channels, e_.probability.row(y) + x, row, grid_.pitch,
                    grid_.block, x, std::min(kPiece, width - x), e_.dst.row(y) + std::int64_t{x} * 3);
    }
  }

  const BackgroundBlur& e_;
  const Grid& grid_;
  std::uint32_t *ring_, *zeros_;
  float *blurred_, *mixed_, *sums_;
  int made_ = 0, done_ = 0;  // the next grid row to make, the next to blur
};

constexpr std::size_t kAlignment = 64;

std::size_t band_bytes(const Grid& grid) { return static_cast<std::size_t>(grid.elements()) * sizeof(float); }

}  // namespace

std::size_t scratch_bytes(const Cpu& cpu, const BackgroundBlur& e) {
  return band_bytes(Grid(e.image, e.radius)) * static_cast<std::size_t>(std::max(cpu.threads, 1)) + kAlignment;
}

Status run(const Cpu& cpu, const BackgroundBlur& e) {
  if (Status s = check(e); !s) return s;
  if (e.scratch.size() < scratch_bytes(cpu, e)) return invalid("the scratch memory of the background blur is too small");
  const Grid grid(e.image, e.radius);
  const auto address = reinterpret_cast<std::uintptr_t>(e.scratch.data());
  std::byte* memory = e.scratch.data() + (kAlignment - address % kAlignment) % kAlignment;
  parallel_ranges(cpu, e.image.height, [&](std::int64_t begin, std::int64_t end, int thread) {
    Band(e, grid, memory + static_cast<std::size_t>(thread) * band_bytes(grid))
        .run(static_cast<int>(begin), static_cast<int>(end));
  });
  return {};
}

}  // namespace mfs::core
