// How oneDNN is called: inside onednn*.cpp, which alone know its interface, both the 2.x of Debian 12 and the 3.x of newer
// systems.
#pragma once

#include <omp.h>

#include <array>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <utility>

#include "kernels/conv.h"
#include "kernels/error.h"

namespace mfs::core::onednn {

using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

const dnnl::engine& engine();
Type type_of(DType t);

// oneDNN takes its thread count from OpenMP's setting of the calling thread.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~ThreadScope() { omp_set_num_threads(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

// Two layouts are the same when their descriptors are; the bytes of a descriptor are a key.
std::string layout_key(const dnnl::memory::desc& d);

// What a primitive is executed with. Through oneDNN's C interface, whose allocations are oneDNN's alone: the C++ one would make
// reference counts and a hash table for every call.
class Arguments {
 public:
  Arguments() = default;
  ~Arguments();
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  void add(int index, const dnnl::memory& m) { list_[count_++] = {index, m.get()}; }
  void add(int index, const dnnl::memory::desc& layout, const void* at);
  Status execute(const Cpu& cpu, const dnnl::primitive& primitive) const;

 private:
  dnnl_status_t try_execute(const dnnl::primitive& primitive) const;

  static constexpr std::size_t kMost = 6;
  std::array<dnnl_exec_arg_t, kMost> list_{};
  std::array<dnnl_memory_t, kMost> memories_{};
  std::size_t count_ = 0, made_ = 0;
  dnnl_status_t status_ = dnnl_success;
};

// Copies into another layout or element type.
void reorder(dnnl::memory& from, dnnl::memory& to);

// Runs `make`, with oneDNN's errors as ours.
template <typename Make>
auto translated(const std::string& name, const Make& make) {
  try {
    return make();
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_out_of_memory) throw Error(Code::kOutOfMemory, "out of memory while packing " + name);
    throw Error(Code::kUnsupported, "oneDNN cannot do " + name + ": " + e.what());
  }
}

}  // namespace mfs::core::onednn
