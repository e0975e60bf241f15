// The wgmma instruction in all its sizes; included by wgmma.h under nvcc only.
#pragma once

#include <type_traits>

#include "kernels/cuda/simt/mma.h"
#include "kernels/cuda/simt/wgmma_registers.h"

namespace mfs::core::simt {
inline namespace MFS_SIMT_BACKEND {

#define MFS_WGMMA(n, type, constraint, ia, ib, ip, flags)                                                               \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" ip ", 0;\nwgmma.mma_async.sync.aligned.m64n" #n type " {" MFS_R_##n \
               "}, %" ia ", %" ib ", p" flags ";\n}"                                                                    \
               : MFS_D_##n(constraint)                                                                                  \
               : "l"(a), "l"(b), "r"(static_cast<int>(accumulate))                                                      \
               : "memory")
#define MFS_WGMMA_SIZE(n, ia, ib, ip)                                      \
  if constexpr (kColumns == n) {                                           \
    if constexpr (std::is_same_v<T, Half>) {                               \
      MFS_WGMMA(n, "k16.f32.f16.f16", "+f", ia, ib, ip, ", 1, 1, 0, 0");   \
    } else if constexpr (std::is_same_v<T, BFloat16>) {                    \
      MFS_WGMMA(n, "k16.f32.bf16.bf16", "+f", ia, ib, ip, ", 1, 1, 0, 0"); \
    } else if constexpr (std::is_same_v<T, E4m3>) {                        \
      MFS_WGMMA(n, "k32.f32.e4m3.e4m3", "+f", ia, ib, ip, ", 1, 1");       \
    } else if constexpr (std::is_same_v<T, int8_t>) {                      \
      MFS_WGMMA(n, "k32.s32.s8.s8", "+r", ia, ib, ip, "");                 \
    } else {                                                               \
      MFS_WGMMA(n, "k32.s32.u8.s8", "+r", ia, ib, ip, "");                 \
    }                                                                      \
  }

template <class T, int kColumns>
MFS_DEVICE void wgmma(Accumulator<T> (&d)[kColumns / 2], uint64_t a, uint64_t b, bool accumulate) {
  static_assert(kWgmmaHasSize<T, kColumns>);
  MFS_WGMMA_SIZE(8, "4", "5", "6")
  MFS_WGMMA_SIZE(16, "8", "9", "10")
  MFS_WGMMA_SIZE(24, "12", "13", "14")
  MFS_WGMMA_SIZE(32, "16", "17", "18")
  MFS_WGMMA_SIZE(40, "20", "21", "22")
  MFS_WGMMA_SIZE(48, "24", "25", "26")
  MFS_WGMMA_SIZE(56, "28", "29", "30")
  MFS_WGMMA_SIZE(64, "32", "33", "34")
  MFS_WGMMA_SIZE(72, "36", "37", "38")
  MFS_WGMMA_SIZE(80, "40", "41", "42")
  MFS_WGMMA_SIZE(88, "44", "45", "46")
  MFS_WGMMA_SIZE(96, "48", "49", "50")
  MFS_WGMMA_SIZE(104, "52", "53", "54")
  MFS_WGMMA_SIZE(112, "56", "57", "58")
  MFS_WGMMA_SIZE(120, "60", "61", "62")
  MFS_WGMMA_SIZE(128, "64", "65", "66")
  MFS_WGMMA_SIZE(136, "68", "69", "70")
  MFS_WGMMA_SIZE(144, "72", "73", "74")
  MFS_WGMMA_SIZE(152, "76", "77", "78")
  MFS_WGMMA_SIZE(160, "80", "81", "82")
  MFS_WGMMA_SIZE(168, "84", "85", "86")
  MFS_WGMMA_SIZE(176, "88", "89", "90")
  MFS_WGMMA_SIZE(184, "92", "93", "94")
  MFS_WGMMA_SIZE(192, "96", "97", "98")
  MFS_WGMMA_SIZE(200, "100", "101", "102")
  MFS_WGMMA_SIZE(208, "104", "105", "106")
  MFS_WGMMA_SIZE(216, "108", "109", "110")
  MFS_WGMMA_SIZE(224, "112", "113", "114")
  MFS_WGMMA_SIZE(232, "116", "117", "118")
  MFS_WGMMA_SIZE(240, "120", "121", "122")
  MFS_WGMMA_SIZE(248, "124", "125", "126")
  MFS_WGMMA_SIZE(256, "128", "129", "130")
}
#undef MFS_WGMMA_SIZE
#undef MFS_WGMMA

MFS_DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
MFS_DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kLeft>
MFS_DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
