#include "kernels/cpu/onednn_call.h"

#include <vector>

namespace mfs::core::onednn {
namespace {

#if DNNL_VERSION_MAJOR >= 3
const_dnnl_memory_desc_t raw(const dnnl::memory::desc& d) { return d.get(); }
#else
const dnnl_memory_desc_t* raw(const dnnl::memory::desc& d) { return &d.data; }
#endif

}  // namespace

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

Type type_of(DType t) { return t == DType::kBF16 ? Type::bf16 : t == DType::kU8 ? Type::u8 : Type::f32; }

std::string layout_key(const dnnl::memory::desc& d) {
#if DNNL_VERSION_MAJOR >= 3
  const std::vector<std::uint8_t> blob = const_cast<dnnl::memory::desc&>(d).get_blob();
  return {blob.begin(), blob.end()};
#else
  return {reinterpret_cast<const char*>(&d.data), sizeof d.data};
#endif
}

Arguments::~Arguments() {
  for (std::size_t i = 0; i < made_; ++i) dnnl_memory_destroy(memories_[i]);
}

void Arguments::add(int index, const dnnl::memory::desc& layout, const void* at) {
  if (status_ != dnnl_success) return;
  status_ = dnnl_memory_create(&memories_[made_], raw(layout), engine().get(), const_cast<void*>(at));
  if (status_ == dnnl_success) list_[count_++] = {index, memories_[made_++]};
}

dnnl_status_t Arguments::try_execute(const dnnl::primitive& primitive) const {
  if (status_ != dnnl_success) return status_;
  dnnl_stream_t stream = nullptr;
  if (const dnnl_status_t s = dnnl_stream_create(&stream, engine().get(), dnnl_stream_default_flags); s != dnnl_success)
    return s;
  dnnl_status_t s = dnnl_primitive_execute(primitive.get(), stream, static_cast<int>(count_), list_.data());
  if (s == dnnl_success) s = dnnl_stream_wait(stream);
  dnnl_stream_destroy(stream);
  return s;
}

Status Arguments::execute(const Cpu& cpu, const dnnl::primitive& primitive) const {
  const ThreadScope threads(cpu.threads);
  const dnnl_status_t s = try_execute(primitive);
  if (s == dnnl_success) return {};
  if (s == dnnl_out_of_memory) return {Code::kOutOfMemory, {}};
  return {Code::kInternal, "oneDNN: status " + std::to_string(static_cast<int>(s))};
}

void reorder(dnnl::memory& from, dnnl::memory& to) {
  dnnl::stream stream(engine());
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
}

}  // namespace mfs::core::onednn
