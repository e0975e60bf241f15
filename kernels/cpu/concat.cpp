#include "kernels/concat.h"

#include <cstring>

#include "kernels/cpu/parallel.h"

namespace mfs::core {

Status run(const Cpu& cpu, const Concat& op) {
  if (Status s = check(op); !s) return s;
  const std::size_t element = size_of(op.dst.dtype);
  parallel_ranges(cpu, op.dst.shape.pixels(), [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t p = begin; p < end; ++p) {
      std::byte* dst = static_cast<std::byte*>(op.dst.data) + p * op.dst.pitch * element;
      for (const View& src : op.srcs) {
        const std::size_t bytes = src.shape.c * element;
        std::memcpy(dst, static_cast<const std::byte*>(src.data) + p * src.pitch * element, bytes);
        dst += bytes;
      }
    }
  });
  return {};
}

}  // namespace mfs::core
