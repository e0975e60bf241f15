// Winograd convolution: transform tiles of the source, multiply point by point (one batched matrix product), transform back.
// A dilated convolution is dilation^2 interleaved dense ones, so tiles simply step by the dilation.
#include "kernels/cpu/conv_winograd.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "kernels/cpu/onednn.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/winograd_transform.h"
#include "kernels/scratch.h"

namespace mfs::core {
namespace {

constexpr int kMaxTileSide = 6;
constexpr int kLargeMap = 8192;  // pixels

// F(4x4) does a quarter of the multiplications of a direct convolution but holds its filters four times over, in f32; that is
// worth it where many pixels share them. F(2x2) does 4/9 with 16/9 the memory, and its transforms are mild enough for bf16.
int tile_outputs(const Conv& c) { return c.dtype == DType::kF32 && c.dst.h * c.dst.w >= kLargeMap ? 4 : 2; }

// Tiles at a time: their points and products take about as many bytes as the filters, so that a chunk and the filters, which
// every chunk reads again, share the caches. (Chosen with benchmarks/conv_bench on 2 cores of a Zen 4 server, November 2026.)
std::size_t working_set(std::size_t filter_bytes) {
  return std::clamp(filter_bytes, std::size_t{1} << 20, std::size_t{20} << 20);
}

struct Tile {
  int image, y, x;  // first output pixel
};

std::vector<Tile> tiles_of(const Conv& c, int m) {
  std::vector<Tile> tiles;
  const int d = c.dilation;
  for (int image = 0; image < c.dst.n; ++image)
    for (int py = 0; py < std::min(d, c.dst.h); ++py)
      for (int px = 0; px < std::min(d, c.dst.w); ++px)
        for (int y = py; y < c.dst.h; y += m * d)
          for (int x = px; x < c.dst.w; x += m * d) tiles.push_back({image, y, x});
  return tiles;
}

// Filters (cout, cin, 3, 3) to points (n * n, cin, cout).
ConvParameters transformed(const Cpu& cpu, const Conv& c, int m, const ConvParameters& parameters) {
  return [cpu, c, m, parameters](float* points, float*, float* bias) {
    const std::int64_t cin = c.src.c, cout = c.dst.c;
    std::vector<float> filters(static_cast<std::size_t>(cout * cin * 9));
    parameters(filters.data(), nullptr, bias);
    parallel_ranges(cpu, cin, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i)
        for (std::int64_t o = 0; o < cout; ++o)
          winograd_filter(m, filters.data() + (o * cin + i) * 9, points + i * cout + o, cin * cout);
    });
  };
}

class WinogradConv final : public PreparedConv<Cpu> {
 public:
  WinogradConv(const Cpu& cpu, const Conv& problem, const ConvParameters& parameters, const std::string& name, PackCache& cache)
      : problem_(problem), m_(tile_outputs(problem)), threads_(cpu.threads), tiles_(tiles_of(problem, m_)) {
    const std::size_t points = static_cast<std::size_t>(m_ + 2) * (m_ + 2);
    const std::size_t per_tile = points * (problem.src.c * size_of(problem.dtype) + problem.dst.c * sizeof(float));
    const std::size_t limit = working_set(points * problem.src.c * problem.dst.c * size_of(problem.dtype));
    const std::size_t tiles = (tiles_.size() + threads_ - 1) / threads_, chunks = (tiles * per_tile + limit - 1) / limit;
    chunk_ = static_cast<int>((tiles + chunks - 1) / chunks);
    matmul_ = prepare_matmul(Cpu{1}, {m_ == 2 ? 16 : 36, chunk_, problem.src.c, problem.dst.c, problem.dtype},
                             transformed(cpu, problem, m_, parameters), name + "#winograd" + std::to_string(m_), cache);
    border_.assign(static_cast<std::size_t>(problem.src.c), 0.0f);
  }

  std::size_t scratch_bytes() const override { return memory(nullptr).bytes * threads_; }
  const std::string& algorithm() const override { return algorithm_; }

  Status run(const Cpu& cpu, const ConvArguments& a) const override {
    if (problem_.dtype == DType::kBF16) return run_as<2, BFloat16>(cpu, a.src, a.residual, a.dst, a.scratch);
    return m_ == 2 ? run_as<2, float>(cpu, a.src, a.residual, a.dst, a.scratch)
                   : run_as<4, float>(cpu, a.src, a.residual, a.dst, a.scratch);
  }

 private:
  // Of one thread.
  struct Memory {
    std::byte* points;
    float* products;
    std::byte* matmul;
    std::size_t bytes;
  };
  Memory memory(std::byte* scratch) const {
    const std::int64_t rows = std::int64_t{chunk_} * (m_ + 2) * (m_ + 2);
    ScratchCutter cut(scratch);
    Memory m{};
    m.points = cut.take<std::byte>(rows * problem_.src.c * static_cast<std::int64_t>(size_of(problem_.dtype)));
    m.products = cut.take<float>(rows * problem_.dst.c);
    m.matmul = cut.take<std::byte>(static_cast<std::int64_t>(matmul_->scratch_bytes()));
    m.bytes = cut.used();
    return m;
  }

  // Every thread takes its share of the tiles through all three steps: the threads meet once per convolution, not per step.
  template <int m, typename T>
  Status run_as(const Cpu& cpu, const View& src, const View& residual, const MutView& dst, std::byte* scratch) const {
    const std::size_t per_thread = memory(nullptr).bytes;
    std::atomic<bool> failed = false;
    Status failure;  // of the thread that sets `failed`
    parallel_ranges(Cpu{std::min(cpu.threads, threads_)}, static_cast<std::int64_t>(tiles_.size()),
                    [&](std::int64_t begin, std::int64_t end, int thread) {
                      const Memory mem = memory(scratch + per_thread * static_cast<std::size_t>(thread));
                      Status s = run_tiles<m, T>(begin, end, src, residual, dst, mem);
                      if (!s && !failed.exchange(true)) failure = std::move(s);
                    });
    return failure;
  }

  template <int m, typename T>
  Status run_tiles(std::int64_t begin, std::int64_t end, const View& src, const View& residual, const MutView& dst,
                   const Memory& mem) const {
    for (std::int64_t first = begin; first < end; first += chunk_) {
      const std::int64_t used = std::min<std::int64_t>(chunk_, end - first);
      for (std::int64_t t = 0; t < used; ++t)
        read_tile<m, T>(src, tiles_[static_cast<std::size_t>(first + t)],
                        reinterpret_cast<T*>(mem.points) + t * problem_.src.c);
      if (Status s = matmul_->run(Cpu{1}, mem.points, mem.products, mem.matmul); !s) return s;
      for (std::int64_t t = 0; t < used; ++t)
        write_tile<m, T>(mem.products + t * problem_.dst.c, tiles_[static_cast<std::size_t>(first + t)], residual, dst);
    }
    return {};
  }

  template <int m, typename T>
  void read_tile(const View& src, const Tile& tile, T* points) const {
    constexpr int n = m + 2;
    const T* pixels[kMaxTileSide * kMaxTileSide];
    const int d = problem_.dilation;
    for (int i = 0; i < n; ++i) {
      const int y = tile.y + d * (i - 1);
      for (int j = 0; j < n; ++j) {
        const int x = tile.x + d * (j - 1);
        const bool inside = y >= 0 && y < src.shape.h && x >= 0 && x < src.shape.w;
        pixels[n * i + j] = inside ? pixel<T>(src, tile.image, y, x) : reinterpret_cast<const T*>(border_.data());
      }
    }
    const std::ptrdiff_t stride = std::ptrdiff_t{chunk_} * problem_.src.c;
    if constexpr (m == 2) {
      winograd_input_2(pixels, problem_.src.c, points, stride);
    } else {
      winograd_input_4(pixels, problem_.src.c, points, stride);
    }
  }

  template <int m, typename T>
  void write_tile(const float* products, const Tile& tile, const View& residual, const MutView& dst) const {
    T* pixels[m * m];
    const T* shortcut[m * m];
    const int d = problem_.dilation;
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < m; ++j) {
        const int y = tile.y + d * i, x = tile.x + d * j;
        const bool inside = y < dst.shape.h && x < dst.shape.w;
        pixels[m * i + j] = inside ? const_cast<T*>(pixel<T>(dst, tile.image, y, x)) : nullptr;
        shortcut[m * i + j] = inside && problem_.residual ? pixel<T>(residual, tile.image, y, x) : nullptr;
      }
    }
    const std::ptrdiff_t stride = std::ptrdiff_t{chunk_} * problem_.dst.c;
    const WinogradOutput<T> out{matmul_->bias(), problem_.residual ? shortcut : nullptr, pixels, problem_.relu};
    if constexpr (m == 2) {
      winograd_output_2(products, stride, problem_.dst.c, out);
    } else {
      winograd_output_4(products, stride, problem_.dst.c, out);
    }
  }

  template <typename T>
  static const T* pixel(const View& v, int image, int y, int x) {
    return static_cast<const T*>(v.data) + ((std::int64_t{image} * v.shape.h + y) * v.shape.w + x) * v.pitch;
  }

  Conv problem_;
  int m_;  // a tile's outputs are m x m
  std::string algorithm_ = m_ == 2 ? "winograd 2x2" : "winograd 4x4";
  int threads_;
  int chunk_ = 0;  // tiles at a time, per thread
  std::vector<Tile> tiles_;
  std::vector<float> border_;  // a pixel of zeros
  std::shared_ptr<const BatchedMatmul> matmul_;
};

}  // namespace

// Below 128 channels the transforms cost more than the multiplications they save; below 16x16 pixels too few tiles share a
// filter. (benchmarks/conv_bench, 2 cores of a Zen 4 server, November 2026.)
bool winograd_pays(const Conv& c) {
  return c.dtype != DType::kU8 && c.kernel == 3 && c.stride == 1 && c.pad == c.dilation && c.src.c >= 128 && c.dst.c >= 128 &&
         c.dst.h * c.dst.w >= 256;
}

std::shared_ptr<const PreparedConv<Cpu>> prepare_winograd(const Cpu& cpu, const Conv& conv, const ConvParameters& parameters,
                                                          const std::string& name, PackCache& cache) {
  return std::make_shared<WinogradConv>(cpu, conv, parameters, name, cache);
}

}  // namespace mfs::core
