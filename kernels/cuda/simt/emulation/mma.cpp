#include "kernels/cuda/simt/mma.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/multiversion.h"
#include "kernels/cuda/simt/emulation/elements.h"
#include "kernels/cuda/simt/emulation/rendezvous.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {
namespace {

constexpr int kRows = 16, kColumns = 8, kRowBytes = 32;  // of one row of `a`, of one column of `b`

template <class T>
struct Fragments {
  Accumulator<T>* d;
  const uint32_t* a;
  const uint32_t* b;
};

// sums (kRows x kColumns) = left (kRows x depth) * right (depth x kColumns), K in its order.
MFS_MULTIVERSION void multiply(const double* left, const double* right, int depth, double* sums) {
  for (int row = 0; row < kRows; ++row) {
    double sum[kColumns] = {};
    for (int k = 0; k < depth; ++k) {
      for (int column = 0; column < kColumns; ++column) sum[column] += left[row * depth + k] * right[k * kColumns + column];
    }
    std::copy_n(sum, kColumns, sums + row * kColumns);
  }
}

}  // namespace

template <class T>
void mma(Accumulator<T> (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Site site) {
  constexpr int kDepth = kRowBytes / sizeof(T);
  emulation::check_aligned_call("mma", site);
  Fragments<T> own{d, a, b};
  emulation::meet("mma", site, 0xffffffffu, true, false, &own, [](const emulation::Rendezvous& meeting) {
    const auto lane = [&](int i) -> const Fragments<T>& { return *static_cast<const Fragments<T>*>(meeting.slots[i]); };
    // A register holds four bytes of a row.
    unsigned char rows[kRows][kRowBytes], columns[kColumns][kRowBytes];
    for (int l = 0; l < 32; ++l) {
      const int group = l / 4, first = l % 4 * 4;
      for (int r = 0; r < 4; ++r) std::memcpy(&rows[group + 8 * (r % 2)][first + 16 * (r / 2)], &lane(l).a[r], 4);
      for (int r = 0; r < 2; ++r) std::memcpy(&columns[group][first + 16 * r], &lane(l).b[r], 4);
    }
    double left[kRows * kDepth], right_rows[kColumns * kDepth], right[kDepth * kColumns], sums[kRows * kColumns];
    emulation::widen<T>(rows[0], kRows * kDepth, left);
    emulation::widen<T>(columns[0], kColumns * kDepth, right_rows);
    for (int column = 0; column < kColumns; ++column) {
      for (int k = 0; k < kDepth; ++k) right[k * kColumns + column] = right_rows[column * kDepth + k];
    }
    multiply(left, right, kDepth, sums);
    for (int l = 0; l < 32; ++l) {
      for (int i = 0; i < 4; ++i) {
        Accumulator<T>& result = lane(l).d[i];
        const int row = l / 4 + 8 * (i / 2), column = l % 4 * 2 + i % 2;
        result = static_cast<Accumulator<T>>(static_cast<double>(result) + sums[row * kColumns + column]);
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
