#include "kernels/cuda/simt/matrix_load.h"

#include <algorithm>
#include <cstring>

#include "kernels/cuda/simt/emulation/rendezvous.h"

namespace mfs::core::simt {
namespace emulation {
namespace {

struct LaneRows {
  unsigned char* row;
  uint32_t* registers;
};

// 32 banks of 4 bytes; each tile takes one cycle, unless its rows share banks.
uint64_t conflicts(const Rendezvous& meeting, int tiles) {
  uint64_t extra = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    std::array<unsigned, 8> rows_in_bank{};  // of 16 bytes
    for (int i = 0; i < 8; ++i) {
      const auto address = reinterpret_cast<uintptr_t>(static_cast<const LaneRows*>(meeting.slots[tile * 8 + i])->row);
      ++rows_in_bank[address / 16 % 8];
    }
    extra += *std::max_element(rows_in_bank.begin(), rows_in_bank.end()) - 1;
  }
  return extra;
}

void move(bool load, uint32_t* registers, int tiles, bool transposed, const void* row, const Site& site) {
  const char* what = load ? "load_matrix" : "store_matrix";
  check_aligned_call(what, site);
  const unsigned lane = current().number % 32;
  LaneRows own{static_cast<unsigned char*>(const_cast<void*>(row)), registers};
  if (lane < static_cast<unsigned>(tiles) * 8) {
    check_address(row, 16, what, site);
    check_shared(row, 16, what, site);
    touch(row, 16, load ? Touch::kRead : Touch::kWrite, site);
  }
  meet(what, site, 0xffffffffu, true, false, &own, [&](const Rendezvous& meeting) {
    state().bank_conflicts += conflicts(meeting, tiles);
    for (int tile = 0; tile < tiles; ++tile) {
      for (int l = 0; l < 32; ++l) {
        for (int e = 0; e < 2; ++e) {
          const int r = transposed ? l % 4 * 2 + e : l / 4, c = transposed ? l / 4 : l % 4 * 2 + e;
          unsigned char* place = static_cast<const LaneRows*>(meeting.slots[tile * 8 + r])->row + 2 * c;
          auto* value =
              reinterpret_cast<unsigned char*>(static_cast<const LaneRows*>(meeting.slots[l])->registers + tile) + 2 * e;
          std::memcpy(load ? value : place, load ? place : value, 2);
        }
      }
    }
  });
}

}  // namespace
}  // namespace emulation

inline namespace MFS_SIMT_BACKEND {

void load_matrix(uint32_t* r, int tiles, bool transposed, const void* row, Site site) {
  emulation::move(true, r, tiles, transposed, row, site);
}

void store_matrix(void* row, const uint32_t* r, int tiles, bool transposed, Site site) {
  emulation::move(false, const_cast<uint32_t*>(r), tiles, transposed, row, site);
}

}  // namespace MFS_SIMT_BACKEND
}  // namespace mfs::core::simt
