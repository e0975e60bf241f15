// A network made ready for one device, network size and number of photos: lowered, its weights packed, its memory planned, and,
// once it is placed in an arena, its steps bound to final addresses. What executors, step tests and step benchmarks share.
#pragma once

#include <string>
#include <vector>

#include "runtime/step_binder.h"

namespace mfs::core {

struct NetworkOptions {
  int height = 0, width = 0;       // network size
  DType dtype = DType::kF32;       // of activations and packed weights
  int host_threads = 1;            // for the preparation of weights and, on the CPU, the run
  bool keep_named_values = false;  // every named value stays readable after a run (tests); costs memory
  int batch = 1;                   // photos per run
  // Convolutions in int8 (u8) or fp8 (e4m3; see quantisation.h), with dtype f32 on the CPU, f16 on CUDA.
  const Calibration* calibration = nullptr;
  DType narrow = DType::kU8;
  int streams = 1;          // or 2, see streams.h; one costs less memory
  bool keep_input = false;  // the input stays what it is, so that a run can be repeated without writing it again
};

template <typename Device>
class PlannedNetwork {
 public:
  // Packs the weights, shared through `packs`. Throws Error. `file` must outlive place().
  PlannedNetwork(const WeightsFile& file, PackCache& packs, const Device& device, const NetworkOptions& options);
  PlannedNetwork(const PlannedNetwork&) = delete;
  PlannedNetwork& operator=(const PlannedNetwork&) = delete;

  std::size_t arena_bytes() const { return memory_.bytes; }
  const Lowered& lowered() const { return lowered_; }
  const StreamOrder& order() const { return order_; }
  MutView view(const Place& p) const { return binder_.view(p); }  // without an address before place()
  MutView input() const { return view(lowered_.input); }
  MutView logit() const { return view(lowered_.output); }
  MutView named(const std::string& name) const;  // empty if fusion left no such value

  void place(std::byte* arena);  // once; throws Error
  const std::vector<BoundStep<Device>>& steps() const { return steps_; }

 private:
  Lowered lowered_;
  StreamOrder order_;
  StepBinder<Device> binder_;
  MemoryPlan memory_;
  std::vector<BoundStep<Device>> steps_;
};

}  // namespace mfs::core
