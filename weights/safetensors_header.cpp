#include "weights/safetensors_header.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include "kernels/error.h"
#include "weights/strict_json.h"

namespace mfs::core {
namespace {

using nlohmann::json;

constexpr std::size_t kLengthBytes = kSafetensorsLengthBytes;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation
constexpr std::size_t kMaxDims = 8;
constexpr const char* kScaleSuffix = ".scale";

[[noreturn]] void fail(const std::string& sentence) { throw Error(Code::kBadWeights, sentence); }

std::uint64_t header_length(const std::byte* data) {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length |= std::to_integer<std::uint64_t>(data[i]) << (8 * i);
  return length;
}

std::string_view header_text(const std::byte* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.starts_with("PK\x03\x04"))
    fail("this is a PyTorch checkpoint (or another zip file): convert it with weights/convert.py");
  if (size < kLengthBytes) fail("the file is too short to be a safetensors file");
  const std::uint64_t length = header_length(data);
  if (length > kMaxHeaderBytes) fail("not a safetensors file (its header would have " + std::to_string(length) + " bytes)");
  if (length > size - kLengthBytes) fail("the file ends inside its header (truncated, or not a safetensors file)");
  const std::string_view header = text.substr(kLengthBytes, static_cast<std::size_t>(length));
  if (!header.starts_with('{')) fail("not a safetensors file (its header does not begin with a brace)");
  return header;
}

std::optional<DType> dtype_of(const std::string& name) {
  if (name == "F32") return DType::kF32;
  if (name == "F16") return DType::kF16;
  if (name == "BF16") return DType::kBF16;
  if (name == "I8") return DType::kI8;
  return std::nullopt;
}

// Everything but the scale; `begin` and `end` are checked against each other, the shape and the size of the data.
StoredTensor parse_tensor(const std::string& name, const json& entry, const std::byte* data, std::size_t data_size) {
  constexpr auto kAny = std::numeric_limits<std::int64_t>::max();
  const std::string where = "tensor " + in_quotes(name);
  Fields fields(entry, where);
  const std::string dtype_name = fields.text("dtype");
  const std::optional<DType> dtype = dtype_of(dtype_name);
  if (!dtype) fields.fail("dtype", "is " + in_quotes(dtype_name) + ", not one of F32, F16, BF16, I8");

  StoredTensor tensor;
  tensor.name = name;
  tensor.dtype = *dtype;
  tensor.dims = fields.integers("shape", 0, kMaxDims, 1, kAny);
  const std::vector<std::int64_t> offsets = fields.integers("data_offsets", 2, 2, 0, kAny);
  fields.finish();

  tensor.elements = 1;
  std::int64_t bytes = 0;
  for (const std::int64_t dim : tensor.dims) {
    if (__builtin_mul_overflow(tensor.elements, dim, &tensor.elements)) fields.fail("shape", "is too large");
  }
  if (__builtin_mul_overflow(tensor.elements, static_cast<std::int64_t>(size_of(tensor.dtype)), &bytes)) {
    fields.fail("shape", "is too large");
  }
  if (offsets[1] < offsets[0]) fields.fail("data_offsets", "end before they begin");
  if (offsets[1] - offsets[0] != bytes) {
    fail(where + " has " + std::to_string(offsets[1] - offsets[0]) + " bytes, its shape and dtype need " +
         std::to_string(bytes));
  }
  if (static_cast<std::uint64_t>(offsets[1]) > data_size) fail(where + " reaches beyond the end of the file (truncated?)");
  tensor.data = data + offsets[0];
  tensor.bytes = static_cast<std::size_t>(bytes);
  return tensor;
}

void check_no_gaps(const std::vector<StoredTensor>& tensors, const std::byte* data, std::size_t data_size) {
  std::vector<const StoredTensor*> by_place;
  for (const StoredTensor& tensor : tensors) by_place.push_back(&tensor);
  std::sort(by_place.begin(), by_place.end(), [](const auto* a, const auto* b) { return a->data < b->data; });
  const std::byte* end = data;
  const StoredTensor* previous = nullptr;
  for (const StoredTensor* tensor : by_place) {
    if (tensor->data < end) fail("tensors " + in_quotes(previous->name) + " and " + in_quotes(tensor->name) + " overlap");
    if (tensor->data > end) fail("the bytes before tensor " + in_quotes(tensor->name) + " belong to no tensor");
    end += tensor->bytes;
    previous = tensor;
  }
  if (end != data + data_size) {
    fail(std::to_string(data + data_size - end) + " bytes at the end of the file belong to no tensor");
  }
}

// Gives every I8 tensor its scale and drops the scales from the list.
void attach_scales(std::vector<StoredTensor>& tensors) {
  std::vector<std::string> attached;
  for (StoredTensor& tensor : tensors) {
    if (tensor.dtype != DType::kI8) continue;
    const std::string name = tensor.name + kScaleSuffix;
    const auto scale =
        std::lower_bound(tensors.begin(), tensors.end(), name, [](const auto& t, const auto& n) { return t.name < n; });
    if (scale == tensors.end() || scale->name != name)
      fail("tensor " + in_quotes(tensor.name) + " is I8 but has no " + in_quotes(name));
    if (scale->dtype != DType::kF32 || tensor.dims.empty() || scale->dims != std::vector{tensor.dims[0]}) {
      fail("tensor " + in_quotes(name) + " does not hold one F32 scale per output channel of " + in_quotes(tensor.name));
    }
    tensor.scale = scale->data;
    attached.push_back(name);  // sorted, but not exactly as the tensors are: "a.b" < "a.scale", "a" < "a.b"
  }
  std::sort(attached.begin(), attached.end());
  std::erase_if(tensors, [&](const auto& t) { return std::binary_search(attached.begin(), attached.end(), t.name); });
}

std::map<std::string, std::string> parse_metadata(const json& object) {
  if (!object.is_object()) fail("the header's __metadata__ is not a JSON object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) fail("the header's __metadata__ entry " + in_quotes(key) + " is not a string");
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

}  // namespace

std::size_t safetensors_header_bytes(const std::byte* data, std::size_t size) {
  if (size < kLengthBytes) return size;
  return kLengthBytes + static_cast<std::size_t>(std::min<std::uint64_t>(header_length(data), size - kLengthBytes));
}

SafetensorsContent parse_safetensors(const std::byte* data, std::size_t size) {
  const std::string_view text = header_text(data, size);
  const JsonDocument document(text, "the header");
  const json& header = document.root();
  const std::byte* tensor_data = data + kLengthBytes + text.size();
  const std::size_t data_size = size - kLengthBytes - text.size();

  SafetensorsContent content;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      content.metadata = parse_metadata(value);
    } else {
      content.tensors.push_back(parse_tensor(name, value, tensor_data, data_size));
    }
  }
  std::sort(content.tensors.begin(), content.tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  check_no_gaps(content.tensors, tensor_data, data_size);
  attach_scales(content.tensors);
  return content;
}

}  // namespace mfs::core
