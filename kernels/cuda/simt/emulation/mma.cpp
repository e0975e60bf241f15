#include "kernels/cuda/simt/mma.h"

#include "kernels/cuda/simt/emulation/elements.h"
#include "kernels/cuda/simt/emulation/rendezvous.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {
namespace {

template <class T>
struct Fragments {
  Accumulator<T>* d;
  const uint32_t* a;
  const uint32_t* b;
};

}  // namespace

template <class T>
void mma(Accumulator<T> (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Site site) {
  constexpr int kDepth = 32 / sizeof(T);
  emulation::check_aligned_call("mma", site);
  Fragments<T> own{d, a, b};
  emulation::meet("mma", site, 0xffffffffu, true, false, &own, [](const emulation::Rendezvous& meeting) {
    double left[16][kDepth], right[8][kDepth];
    const auto lane = [&](int i) -> const Fragments<T>& { return *static_cast<const Fragments<T>*>(meeting.slots[i]); };
    for (int l = 0; l < 32; ++l) {
      const int g = l / 4, first = l % 4 * 4;
      for (int r = 0; r < 4; ++r) {
        for (int byte = 0; byte < 4; byte += static_cast<int>(sizeof(T))) {
          const auto* bytes = reinterpret_cast<const unsigned char*>(&lane(l).a[r]);
          left[g + 8 * (r % 2)][(first + 16 * (r / 2) + byte) / static_cast<int>(sizeof(T))] =
              emulation::widen<T>(bytes + byte);
        }
      }
      for (int r = 0; r < 2; ++r) {
        for (int byte = 0; byte < 4; byte += static_cast<int>(sizeof(T))) {
          const auto* bytes = reinterpret_cast<const unsigned char*>(&lane(l).b[r]);
          right[g][(first + 16 * r + byte) / static_cast<int>(sizeof(T))] = emulation::widen<T>(bytes + byte);
        }
      }
    }
    for (int l = 0; l < 32; ++l) {
      for (int i = 0; i < 4; ++i) {
        const int row = l / 4 + 8 * (i / 2), column = l % 4 * 2 + i % 2;
        double sum = 0;
        for (int k = 0; k < kDepth; ++k) sum += left[row][k] * right[column][k];
        Accumulator<T>& result = lane(l).d[i];
        result = static_cast<Accumulator<T>>(static_cast<double>(result) + sum);
      }
    }
  });
}

template void mma<Half>(float (&)[4], const uint32_t (&)[4], const uint32_t (&)[2], Site);
template void mma<BFloat16>(float (&)[4], const uint32_t (&)[4], const uint32_t (&)[2], Site);
template void mma<E4m3>(float (&)[4], const uint32_t (&)[4], const uint32_t (&)[2], Site);
template void mma<int8_t>(int32_t (&)[4], const uint32_t (&)[4], const uint32_t (&)[2], Site);

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
