// The lanes of a warp meet, the last one does the work for all.
#pragma once

#include "kernels/cuda/simt/emulation/scheduler.h"

namespace mfs::core::simt::emulation {

// Joins the meeting of the lanes in `mask`; true for the last lane, which must call dismiss() after its work. The others return
// after that.
bool join_meeting(const char* what, const Site& site, uint32_t mask, bool same_site, bool orders_memory, void* slot,
                  Rendezvous*& meeting);
void dismiss(const Rendezvous& meeting);

// `work(meeting)` sees every lane's slot. same_site: report lanes that come from another call site.
template <class Work>
void meet(const char* what, const Site& site, uint32_t mask, bool same_site, bool orders_memory, void* slot, const Work& work) {
  Rendezvous* meeting = nullptr;
  if (!join_meeting(what, site, mask, same_site, orders_memory, slot, meeting)) return;
  work(*meeting);
  dismiss(*meeting);
}

}  // namespace mfs::core::simt::emulation
