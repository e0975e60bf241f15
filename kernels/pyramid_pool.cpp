#include "kernels/pyramid_pool.h"

#include "kernels/check.h"

namespace mfs::core {

Status check(const PyramidPool& op) {
  constexpr const char* kOp = "pyramid_pool";
  if (Status s = check_tensor(kOp, "src", op.src); !s) return s;
  if (op.grids.empty() || op.grids.size() > kMaxPyramidLevels) {
    return refuse(kOp, "between 1 and " + std::to_string(kMaxPyramidLevels) + " grids are possible, not " +
                           std::to_string(op.grids.size()));
  }
  for (const MutView& grid : op.grids) {
    if (Status s = check_tensor(kOp, "a grid", grid); !s) return s;
    if (grid.dtype != DType::kF32) return refuse(kOp, std::string("a grid is ") + name_of(grid.dtype) + ", not f32");
    const int bins = grid.shape.h;
    if (Status s = check_shape(kOp, "a grid", grid, {op.src.shape.n, bins, bins, op.src.shape.c}); !s) return s;
  }
  return {};
}

Cost cost(const PyramidPool& op) {
  Cost total{op.src.bytes(), 0, op.src.shape.elements()};
  for (const MutView& grid : op.grids) total.bytes_written += grid.bytes();
  return total;
}

}  // namespace mfs::core
