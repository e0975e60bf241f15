#include "kernels/cuda/simt/launch_shape.h"

namespace mfs::core::simt {
namespace {

std::string text(const Dim3& d) { return std::to_string(d.x) + "x" + std::to_string(d.y) + "x" + std::to_string(d.z); }

}  // namespace

Status check(const LaunchShape& shape) {
  const std::string name = shape.name ? shape.name : "unnamed kernel";
  const auto refuse = [&name](const std::string& why) { return invalid(name + ": " + why); };
  if (!shape.name) return refuse("a launch needs a name");
  if (shape.grid.count() == 0 || shape.block.count() == 0 || shape.cluster.count() == 0)
    return refuse("a launch dimension is zero");
  if (shape.grid.x > 0x7fffffffu || shape.grid.y > 65535 || shape.grid.z > 65535)
    return refuse("grid " + text(shape.grid) + " exceeds 2147483647x65535x65535");
  if (shape.block.x > 1024 || shape.block.y > 1024 || shape.block.z > 64 || shape.block.count() > kMaxThreads)
    return refuse("block " + text(shape.block) + " exceeds 1024 threads or 1024x1024x64");
  if (shape.cluster.count() > kMaxClusterBlocks)
    return refuse("cluster " + text(shape.cluster) + " exceeds " + std::to_string(kMaxClusterBlocks) + " blocks");
  if (shape.grid.x % shape.cluster.x || shape.grid.y % shape.cluster.y || shape.grid.z % shape.cluster.z)
    return refuse("grid " + text(shape.grid) + " is not divisible by cluster " + text(shape.cluster));
  if (shape.shared_bytes > kMaxSharedBytes)
    return refuse(std::to_string(shape.shared_bytes) + " bytes of shared memory exceed " + std::to_string(kMaxSharedBytes));
  if (shape.registers_per_thread > 255) return refuse("more than 255 registers per thread");
  // Registers are handed out per warp, in steps of 8 per thread.
  const uint64_t warps = (shape.block.count() + 31) / 32;
  if (warps * 32 * ((shape.registers_per_thread + 7) / 8 * 8) > kRegistersPerSm)
    return refuse("the block needs more registers than the 65536 of a multiprocessor");
  return {};
}

}  // namespace mfs::core::simt
