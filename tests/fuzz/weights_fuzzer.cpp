// Any bytes as a weights file: they are accepted or refused with a sentence, and every tensor that passes can be read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "kernels/error.h"
#include "weights/safetensors_header.h"
#include "weights/weights_file.h"

namespace {

void read_all(const std::byte* bytes, std::size_t size) {
  for (const mfs::core::StoredTensor& tensor : mfs::core::parse_safetensors(bytes, size).tensors) {
    std::vector<float> values(static_cast<std::size_t>(tensor.elements));
    tensor.read(values.data());
  }
}

template <typename Action>
void expect_success_or_sentence(const Action& action) {
  try {
    action();
  } catch (const mfs::core::Error& error) {
    if (error.code() != mfs::core::Code::kBadWeights || error.what()[0] == '\0') std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  expect_success_or_sentence([&] { read_all(bytes, size); });
  expect_success_or_sentence([&] { mfs::core::check_weights(bytes, size); });
  return 0;
}
