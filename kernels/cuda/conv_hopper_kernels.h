// The Hopper family's kernels with one end of a tile, by type and tile. Compiled for sm_90a only.
#pragma once

#include <array>
#include <iterator>
#include <type_traits>
#include <utility>

#include "kernels/cuda/conv_hopper.h"
#include "kernels/cuda/conv_hopper_convolution.h"

namespace mfs::core {
inline namespace MFS_SIMT_BACKEND {

template <class T, HopperEnd kEnd, std::size_t kModel>
constexpr HopperKernel kernel_of() {
  constexpr HopperTileModel kTile = kHopperTiles[kModel];
  if constexpr (hopper_has_tile(std::is_same_v<T, simt::E4m3>, kTile) && (kEnd != HopperEnd::kGate || hopper_has_gate(kTile))) {
    return {conv_hopper_kernel<T, kModel, kEnd>, HopperTile<kModel>::kSharedBytes, kEnd == HopperEnd::kGate};
  } else {
    return {};
  }
}
template <class T, HopperEnd kEnd, std::size_t... kModels>
constexpr std::array<HopperKernel, sizeof...(kModels)> kernels_of(std::index_sequence<kModels...>) {
  return {kernel_of<T, kEnd, kModels>()...};
}
template <HopperEnd kEnd>
HopperKernel hopper_kernel(DType dtype, const HopperPlan& plan) {
  constexpr auto kAll = std::make_index_sequence<std::size(kHopperTiles)>();
  const auto tile = static_cast<std::size_t>(plan.tile);
  if (dtype == DType::kU8) return kernels_of<std::uint8_t, kEnd>(kAll)[tile];
  if (dtype == DType::kE4m3) return kernels_of<simt::E4m3, kEnd>(kAll)[tile];
  return dtype == DType::kF16 ? kernels_of<simt::Half, kEnd>(kAll)[tile] : kernels_of<simt::BFloat16, kEnd>(kAll)[tile];
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core
