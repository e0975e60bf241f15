// How a run ends early.
#pragma once

#include "kernels/cuda/simt/emulation/scheduler.h"

namespace mfs::core::simt::emulation {

struct Abandon {};  // thrown by fail() where no fiber runs

void report_deadlock(State& s);  // who waits for what

}  // namespace mfs::core::simt::emulation
