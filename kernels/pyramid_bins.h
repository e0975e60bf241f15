// Where the bins of an adaptive average pooling begin and end.
#pragma once

#include <cstdint>

namespace mfs::core {

inline int bin_begin(int i, int bins, int size) { return static_cast<int>(std::int64_t{i} * size / bins); }
inline int bin_end(int i, int bins, int size) { return static_cast<int>((std::int64_t{i + 1} * size + bins - 1) / bins); }

}  // namespace mfs::core
