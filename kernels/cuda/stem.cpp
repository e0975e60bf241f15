#include "kernels/stem.h"

#include <algorithm>

#include "kernels/cuda/hopper.h"
#include "kernels/cuda/stem_hopper_plan.h"
#include "kernels/error.h"

namespace mfs::core {

bool has_stem(const Cuda& cuda, const Stem& s) {
  constexpr std::int64_t kMostPixels = std::int64_t{1} << 28;
  const bool sizes = s.src.c == 4 && s.src.n >= 1 && s.src.h >= 4 && s.src.w >= 4 && s.src.h % 4 == 0 && s.src.w % 4 == 0 &&
                     s.src.pixels() <= kMostPixels;
  const bool parts =
      !s.parts.empty() && s.parts.size() <= kMostStemParts && std::ranges::all_of(s.parts, [](const StemPart& p) {
        return p.channels >= 8 && p.channels % 8 == 0 && (p.pool == 2 || p.pool == 3);
      });
  return has_hopper(cuda) && cuda.convolutions != ConvFamily::kPortable && sizes && parts &&
         (s.dtype == DType::kF16 || s.dtype == DType::kBF16);
}

std::shared_ptr<const PreparedStem> prepare_stem(const Cuda& cuda, const Stem& stem, const ConvParameters& parameters,
                                                 const std::string& name, PackCache& cache) {
#if MFS_HAVE_HOPPER
  if (has_stem(cuda, stem)) return prepare_stem_hopper(cuda, stem, parameters, name, cache);
#endif
  throw Error(Code::kUnsupported, "stem: no kernel for " + to_string(stem.src) + " on capability " +
                                      std::to_string(cuda.capability) + " (" + name + ")");
}

}  // namespace mfs::core
