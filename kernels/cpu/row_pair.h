// What the last steps of a run share: from row to row of a photo, the two rows of a coarse grid around it.
#pragma once

#include <utility>

#include "kernels/resize_bilinear.h"

namespace mfs::core {

// The grid's rows, expanded to the photo's width, in two buffers that are kept as long as they are of use.
class RowPair {
 public:
  RowPair(float* one, float* other) : rows_{one, other} {}

  // expand(grid_row, buffer)
  template <typename Expand>
  void move_to(const Lerp& at, const Expand& expand) {
    if (held_[1] == at.lo) std::swap(held_[0], held_[1]), std::swap(rows_[0], rows_[1]);
    hold(0, at.lo, expand);
    hold(1, at.hi, expand);
  }
  const float* lo() const { return rows_[0]; }
  const float* hi() const { return rows_[1]; }

 private:
  template <typename Expand>
  void hold(int slot, int row, const Expand& expand) {
    if (held_[slot] == row) return;
    expand(row, rows_[slot]);
    held_[slot] = row;
  }

  float* rows_[2];
  int held_[2] = {-1, -1};
};

}  // namespace mfs::core
