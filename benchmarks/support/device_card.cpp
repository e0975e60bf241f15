#include "benchmarks/support/device_card.h"

#include <algorithm>
#include <sstream>

namespace mfs::bench {

double DeviceCard::least_seconds(const core::Cost& cost, core::DType t) const {
  const double bytes = static_cast<double>(cost.bytes_read + cost.bytes_written);
  return std::max(bytes / copy_gb_per_s, static_cast<double>(cost.flops) / peak_gflop_per_s(t)) * 1e-9;
}

std::string to_string(const DeviceCard& card) {
  std::ostringstream s;
  s.precision(3);
  s << "device     " << card.device << "\n           " << card.details << "\n"
    << "measured   copy " << card.copy_gb_per_s << " GB/s, f32 " << card.f32_gflop_per_s * 1e-3 << " TFLOP/s, 16 bits "
    << card.half_gflop_per_s * 1e-3 << " TFLOP/s (" << card.half_by << ")\n";
  return s.str();
}

}  // namespace mfs::bench
