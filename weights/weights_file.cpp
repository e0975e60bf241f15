#include "weights/weights_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "kernels/cpu/multiversion.h"
#include "kernels/cpu/parallel.h"
#include "kernels/error.h"
#include "weights/safetensors_header.h"
#include "weights/strict_json.h"

namespace mfs::core {
namespace {

constexpr const char* kFormat = "1";

[[noreturn]] void fail(const std::string& sentence) { throw Error(Code::kBadWeights, sentence); }

const std::string& metadata_entry(const SafetensorsContent& content, const char* key) {
  const auto found = content.metadata.find(key);
  if (found == content.metadata.end()) fail(std::string("the metadata have no ") + key + " (convert with weights/convert.py)");
  return found->second;
}

struct Parsed {
  std::vector<StoredTensor> tensors;
  NetworkDescription network;
  PreprocessDescription preprocess;
};

Parsed parse_weights(const std::byte* data, std::size_t size) {
  SafetensorsContent content = parse_safetensors(data, size);
  const std::string& format = metadata_entry(content, "mfs.format");
  if (format != kFormat) fail("mfs.format is " + in_quotes(format) + ", this version reads '" + kFormat + "'");
  Parsed parsed;
  parsed.network = parse_network(metadata_entry(content, "mfs.network"));
  parsed.preprocess = parse_preprocess(metadata_entry(content, "mfs.preprocess"), parsed.network);
  parsed.tensors = std::move(content.tensors);
  return parsed;
}

// The float with the largest magnitude has the largest bits without the sign; infinities and NaNs are larger still.
MFS_MULTIVERSION std::int32_t largest_bits32(const std::byte* data, std::int64_t count) {
  std::int32_t largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    std::int32_t bits;
    std::memcpy(&bits, data + 4 * i, sizeof bits);
    largest = std::max(largest, bits & 0x7fffffff);
  }
  return largest;
}

MFS_MULTIVERSION std::int32_t largest_bits16(const std::byte* data, std::int64_t count) {
  std::int16_t largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    std::int16_t bits;
    std::memcpy(&bits, data + 2 * i, sizeof bits);
    largest = std::max(largest, static_cast<std::int16_t>(bits & 0x7fff));
  }
  return largest;
}

// A piece of a tensor's values (or scales) whose largest_bits must stay below `limit`.
struct Piece {
  const StoredTensor* tensor;
  const std::byte* data;
  std::int64_t count;
  int width;
  std::int32_t limit;
};

void add_pieces(std::vector<Piece>& pieces, const StoredTensor& tensor) {
  constexpr std::int64_t kPieceElements = 1 << 16;
  const auto add = [&](const std::byte* data, std::int64_t count, int width, std::int32_t limit) {
    for (std::int64_t i = 0; i < count; i += kPieceElements) {
      pieces.push_back({&tensor, data + i * width, std::min(kPieceElements, count - i), width, limit});
    }
  };
  switch (tensor.dtype) {
    case DType::kF16:
      return add(tensor.data, tensor.elements, 2, 0x7c00);
    case DType::kBF16:
      return add(tensor.data, tensor.elements, 2, 0x7f80);
    case DType::kI8:
      return add(tensor.scale, tensor.dims[0], 4, 0x7f800000 - (7 << 23));  // so that -128 times the scale is finite as well
    default:
      return add(tensor.data, tensor.elements, 4, 0x7f800000);
  }
}

void check_finite(const std::vector<StoredTensor>& tensors, int threads) {
  std::vector<Piece> pieces;
  for (const StoredTensor& tensor : tensors) add_pieces(pieces, tensor);
  const auto count = static_cast<std::int64_t>(pieces.size());
  std::atomic<std::int64_t> first_bad = count;
  parallel_ranges(Cpu{threads}, count, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Piece& p = pieces[static_cast<std::size_t>(i)];
      if ((p.width == 4 ? largest_bits32(p.data, p.count) : largest_bits16(p.data, p.count)) < p.limit) continue;
      std::int64_t seen = first_bad;
      while (i < seen && !first_bad.compare_exchange_weak(seen, i)) {
      }
      return;  // the rest of the range comes later in the order of names
    }
  });
  if (first_bad == count) return;
  const StoredTensor& bad = *pieces[static_cast<std::size_t>(first_bad.load())].tensor;
  fail("tensor " + in_quotes(bad.name + (bad.dtype == DType::kI8 ? ".scale" : "")) + " holds a NaN or an infinity");
}

std::string system_message() { return std::generic_category().message(errno); }

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

std::shared_ptr<const WeightsFile> WeightsFile::open(const std::string& path) try {
  const std::shared_ptr<WeightsFile> file(new WeightsFile);
  file->path_ = path;
  // Non-blocking: opening a pipe must fail below, not wait for a writer.
  const Descriptor descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (descriptor.fd < 0) fail("cannot open the file: " + system_message());
  struct stat info {};
  if (::fstat(descriptor.fd, &info) != 0) fail("cannot read the file: " + system_message());
  if (!S_ISREG(info.st_mode)) fail(S_ISDIR(info.st_mode) ? "this is a folder, not a file" : "this is not a regular file");
  if (info.st_size == 0) fail("the file is empty");

  const auto size = static_cast<std::size_t>(info.st_size);
  void* map = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor.fd, 0);
  if (map == MAP_FAILED) fail("cannot map the file: " + system_message());
  file->map_ = static_cast<const std::byte*>(map);
  file->size_ = size;

  Parsed parsed = parse_weights(file->map_, file->size_);
  file->tensors_ = std::move(parsed.tensors);
  file->network_ = parsed.network;
  file->preprocess_ = parsed.preprocess;
  return file;
} catch (const Error& error) {
  throw Error(error.code(), path + ": " + error.what());
}

WeightsFile::~WeightsFile() {
  if (map_) ::munmap(const_cast<std::byte*>(map_), size_);
}

const StoredTensor* WeightsFile::find(std::string_view name) const {
  const auto found = std::lower_bound(tensors_.begin(), tensors_.end(), name, [](const auto& t, auto n) { return t.name < n; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

void WeightsFile::check_finite(int threads) const try { core::check_finite(tensors_, threads); } catch (const Error& error) {
  throw Error(error.code(), path_ + ": " + error.what());
}

void WeightsFile::release(const StoredTensor& tensor) const {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(tensor.data) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(tensor.data) + tensor.bytes) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void check_weights(const std::byte* data, std::size_t size) { check_finite(parse_weights(data, size).tensors, 1); }

}  // namespace mfs::core
