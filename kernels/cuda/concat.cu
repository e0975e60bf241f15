#include "kernels/concat.h"

#include "kernels/cuda/element.h"

namespace mfs::core {
namespace MFS_SIMT_BACKEND {

struct ConcatParams {
  uint32_t words;            // of a pixel
  int src_pitch, dst_pitch;  // in words
  uint32_t items;            // pixels x words
};

constexpr uint32_t kConcatBatch = 4;  // words under way in a thread

// A word is one channel (16 bits) or eight of them.
template <class Word>
MFS_KERNEL void MFS_LAUNCH_BOUNDS(256) concat_kernel(const Word* src, Word* dst, ConcatParams p) {
  simt::grid_dependency_wait();
  const uint32_t first = simt::block_index().x * simt::block_size().x * kConcatBatch + simt::thread_index().x;
  Word word[kConcatBatch];
  int64_t to[kConcatBatch];
  MFS_UNROLL
  for (uint32_t b = 0; b < kConcatBatch; ++b) {
    const uint32_t item = first + b * simt::block_size().x;
    // Past the end the first word is loaded and not stored: a branch would wait for the loads one by one.
    const uint32_t inside = item < p.items ? item : 0, pixel = inside / p.words, at = inside % p.words;
    word[b] = simt::load(src + int64_t{pixel} * p.src_pitch + at);
    to[b] = int64_t{pixel} * p.dst_pitch + at;
  }
  MFS_UNROLL
  for (uint32_t b = 0; b < kConcatBatch; ++b) {
    if (first + b * simt::block_size().x < p.items) simt::store(dst + to[b], word[b]);
  }
}

}  // namespace MFS_SIMT_BACKEND

Status run(const Cuda& cuda, const Concat& op) {
  if (Status s = check(op); !s) return s;
  MutView slice = op.dst;  // where the next source goes
  for (const View& src : op.srcs) {
    slice.shape.c = src.shape.c;
    Status s = with_device_type("concat", src.dtype, vectorises({src, slice}), [&]<class T, int kWidth>() -> Status {
      using Word = std::conditional_t<kWidth == 1, uint16_t, simt::U32x4>;
      static_assert(sizeof(Word) == kWidth * sizeof(T));
      const std::int64_t items = src.shape.elements() / kWidth;
      if (Status status = check_items("concat", items + 256 * kConcatBatch); !status) return status;
      const ConcatParams params{static_cast<uint32_t>(src.shape.c / kWidth), src.pitch / kWidth, slice.pitch / kWidth,
                                static_cast<uint32_t>(items)};
      return simt::launch(stream_of(cuda), threads_for("concat", (items + kConcatBatch - 1) / kConcatBatch),
                          concat_kernel<Word>, static_cast<const Word*>(src.data), static_cast<Word*>(slice.data), params);
    });
    if (!s) return s;
    slice.data = static_cast<std::byte*>(slice.data) + src.shape.c * size_of(src.dtype);
  }
  return {};
}

}  // namespace mfs::core
