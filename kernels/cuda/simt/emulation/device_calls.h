// What emulated device code did at the border to the host: tests count calls that a steady state must not make.
#pragma once

namespace mfs::core::simt::emulation {

struct DeviceCalls {
  long allocations = 0, frees = 0, synchronizations = 0, uploads = 0, copies = 0, graphs_made = 0, graphs_launched = 0;
  long streams_made = 0, events_made = 0;
};

DeviceCalls& device_calls();

// Of the emulated GPU: 10 x major + minor, 80 unless a test says otherwise.
int& device_capability();

// Whether kernels_wait(): true unless a test says otherwise.
bool& device_code_waits();

// The allocation number `nth` from now on fails, counted from 0, and with `all` every later one; -1: none.
void fail_device_allocation(long nth, bool all);

}  // namespace mfs::core::simt::emulation
