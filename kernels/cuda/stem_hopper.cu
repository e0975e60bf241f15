// The stem's kernel: packing and launch. Compiled for sm_90a only.
#include "kernels/cuda/stem_hopper.h"

#include <utility>

#include "kernels/bfloat16.h"
#include "kernels/check.h"
#include "kernels/cuda/conv_weights.h"
#include "kernels/float16.h"

namespace mfs::core {
namespace {

// All chunks of all parts, one after the other; pair q of a window's row holds its columns 2 q - 1 and 2 q.
template <typename Element>
std::shared_ptr<const ConvWeights> packed_stem(const Stem& stem, const ConvParameters& parameters) {
  Conv conv{.src = stem.src, .dst = {1, 1, 1, 0}, .kernel = kStemTaps};
  for (const StemPart& part : stem.parts) conv.dst.c += part.channels;
  const ConvF32Parameters from(conv, parameters);
  std::vector<Element> weights;
  std::vector<float> bias;
  int first = 0;
  for (const StemPart& part : stem.parts) {
    const int columns = stem_columns(part), whole = stem_chunks(part) * columns;
    for (int chunk = 0; chunk < stem_chunks(part); ++chunk) {
      for (int k = 0; k < kStemChunks * columns * 8; ++k) {
        const int e = k % 8, channel = chunk * columns + k / 8 % columns, tap = k / 8 / columns;
        const int x = tap % kStemPairs * 2 + e / 4 - 1;
        const bool zero = x < 0 || channel >= part.channels;
        const std::int64_t filter = (std::int64_t{first} + channel) * 4 + e % 4;
        weights.push_back(Element(
            zero ? 0.0f : from.weights[static_cast<std::size_t>((filter * kStemTaps + tap / kStemPairs) * kStemTaps + x)]));
      }
    }
    const auto begin = from.bias.begin() + first;
    bias.insert(bias.end(), begin, begin + part.channels);
    bias.resize(bias.size() + static_cast<std::size_t>(whole - part.channels));
    first += part.channels;
  }
  return on_device(weights, bias);
}

class HopperStem final : public PreparedStem {
 public:
  HopperStem(const Cuda& cuda, const Stem& stem, const ConvParameters& parameters, const std::string& name, PackCache& cache)
      : stem_(stem), plan_(stem_plan(stem, cuda.multiprocessors)) {
    const bool f16 = stem.dtype == DType::kF16;
    weights_ = std::static_pointer_cast<const ConvWeights>(cache.get(name + "#stem " + name_of(stem.dtype), [&] {
      return f16 ? packed_stem<Float16>(stem, parameters) : packed_stem<BFloat16>(stem, parameters);
    }));
    algorithm_ = "hopper, " + std::to_string(plan_.rows) + (plan_.rows == 1 ? " row" : " rows");
  }

  const std::string& algorithm() const override { return algorithm_; }

  Status run(const Cuda& cuda, const View& src, std::span<const MutView> dst) const override {
    if (Status s = check_arguments(src, dst); !s) return s;
    StemHopperParams p{};
    p.src = static_cast<const unsigned char*>(src.data);
    p.images = stem_.src.n, p.h = stem_.src.h, p.w = stem_.src.w / 2;
    p.out_h = stem_.src.h / 4, p.out_w = stem_.src.w / 4;
    p.rows = plan_.rows, p.slots = plan_.slots;
    p.row_tiles = (p.out_h + p.rows - 1) / p.rows, p.tiles = (p.w + kStemPixels - 1) / kStemPixels;
    auto* weights = reinterpret_cast<const unsigned char*>(weights_->weights.data());
    auto* bias = reinterpret_cast<const float*>(weights_->bias.data());
    int chunks = 0;
    for (std::size_t i = 0; i < stem_.parts.size(); ++i) {
      const StemPart& part = stem_.parts[i];
      const int columns = stem_columns(part), whole = stem_chunks(part) * columns;
      p.parts[i] = {dst[i].data, weights, bias, dst[i].pitch, part.channels, part.pool, columns, stem_chunks(part)};
      weights += std::int64_t{whole} * kStemChunks * 16, bias += whole, chunks += stem_chunks(part);
    }
    simt::LaunchShape shape;
    shape.name = "stem";
    shape.grid = {static_cast<unsigned>(chunks * p.slots), 1, 1};
    shape.block = {kStemThreads, 1, 1};
    shape.shared_bytes = kStemSharedBytes;
    return simt::launch(stream_of(cuda), shape,
                        stem_.dtype == DType::kF16 ? stem_hopper_kernel<simt::Half> : stem_hopper_kernel<simt::BFloat16>, p);
  }

 private:
  Status check_arguments(const View& src, std::span<const MutView> dst) const {
    const auto fits = [&](const char* name, const View& v, const Shape& shape) -> Status {
      if (Status s = check_tensor("stem", name, v); !s) return s;
      if (Status s = check_shape("stem", name, v, shape); !s) return s;
      if (v.dtype != stem_.dtype) return refuse("stem", std::string(name) + " is of another type than the problem");
      if (reinterpret_cast<std::uintptr_t>(v.data) % 16 != 0 || v.pitch % 4 != 0)
        return refuse("stem", std::string(name) + " is not aligned to 16 bytes");
      return {};
    };
    if (Status s = fits("src", src, stem_.src); !s) return s;
    if (!src.dense()) return refuse("stem", "src is not dense");
    if (dst.size() != stem_.parts.size()) return refuse("stem", "one result for every part is needed");
    for (std::size_t i = 0; i < dst.size(); ++i) {
      if (Status s = fits("dst", dst[i], stem_shape(stem_, i)); !s) return s;
      if (dst[i].pitch % 8 != 0) return refuse("stem", "dst is not aligned to 16 bytes");
    }
    return {};
  }

  Stem stem_;
  StemPlan plan_;
  std::shared_ptr<const ConvWeights> weights_;
  std::string algorithm_;
};

}  // namespace

std::shared_ptr<const PreparedStem> prepare_stem_hopper(const Cuda& cuda, const Stem& stem, const ConvParameters& parameters,
                                                        const std::string& name, PackCache& cache) {
  return std::make_shared<HopperStem>(cuda, stem, parameters, name, cache);
}

}  // namespace mfs::core
