#include "weights/weights_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>

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
  std::optional<Calibration> calibration;
};

Parsed parse_weights(const std::byte* data, std::size_t size) {
  SafetensorsContent content = parse_safetensors(data, size);
  const std::string& format = metadata_entry(content, "mfs.format");
  if (format != kFormat) fail("mfs.format is " + in_quotes(format) + ", this version reads '" + kFormat + "'");
  Parsed parsed;
  parsed.network = parse_network(metadata_entry(content, "mfs.network"));
  parsed.preprocess = parse_preprocess(metadata_entry(content, "mfs.preprocess"), parsed.network);
  if (const auto found = content.metadata.find("mfs.calibration"); found != content.metadata.end())
    parsed.calibration = parse_calibration(found->second);
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
  const std::byte* data;
  std::int64_t count;
  int width;
  std::int32_t limit;
};

void add_pieces(std::vector<Piece>& pieces, const StoredTensor& tensor) {
  constexpr std::int64_t kPieceElements = 1 << 16;
  const auto add = [&](const std::byte* data, std::int64_t count, int width, std::int32_t limit) {
    for (std::int64_t i = 0; i < count; i += kPieceElements) {
      pieces.push_back({data + i * width, std::min(kPieceElements, count - i), width, limit});
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

void check_finite(const StoredTensor& tensor, int threads) {
  std::vector<Piece> pieces;
  add_pieces(pieces, tensor);
  std::atomic<bool> finite = true;
  parallel_ranges(Cpu{threads}, static_cast<std::int64_t>(pieces.size()), [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Piece& p = pieces[static_cast<std::size_t>(i)];
      if ((p.width == 4 ? largest_bits32(p.data, p.count) : largest_bits16(p.data, p.count)) >= p.limit) finite = false;
    }
  });
  if (finite) return;
  fail("tensor " + in_quotes(tensor.name + (tensor.dtype == DType::kI8 ? ".scale" : "")) + " holds a NaN or an infinity");
}

std::string system_message() { return std::generic_category().message(errno); }

// Two changes within one tick of the system's clock look like one. A file this young is left to age before it is read.
void let_age(const struct stat& info) {
  using namespace std::chrono;
  constexpr nanoseconds kTick = milliseconds(20);
  const nanoseconds written = seconds(info.st_mtim.tv_sec) + nanoseconds(info.st_mtim.tv_nsec);
  const nanoseconds age = system_clock::now().time_since_epoch() - written;
  if (age >= nanoseconds(0) && age < kTick) std::this_thread::sleep_for(kTick - age);
}

}  // namespace

WeightsFile::Descriptor::~Descriptor() {
  if (fd >= 0) ::close(fd);
}

std::shared_ptr<const WeightsFile> WeightsFile::open(const std::string& path) try {
  const std::shared_ptr<WeightsFile> file(new WeightsFile);
  file->path_ = path;
  // Non-blocking: opening a pipe must fail below, not wait for a writer.
  const int fd = file->descriptor_.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail("cannot open the file: " + system_message());
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail("cannot read the file: " + system_message());
  if (!S_ISREG(info.st_mode)) fail(S_ISDIR(info.st_mode) ? "this is a folder, not a file" : "this is not a regular file");
  if (info.st_size == 0) fail("the file is empty");
  let_age(info);
  file->identity_ = file->identity();

  const auto size = static_cast<std::size_t>(file->identity_.size);
  void* place = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) fail("cannot reserve " + std::to_string(size) + " bytes of address space: " + system_message());
  file->place_ = static_cast<std::byte*>(place);
  file->size_ = size;

  const std::size_t length_bytes = std::min(size, kSafetensorsLengthBytes);
  file->read_checked(file->place_, length_bytes);
  file->read_checked(file->place_ + length_bytes, safetensors_header_bytes(file->place_, size) - length_bytes);
  Parsed parsed = parse_weights(file->place_, file->size_);
  file->tensors_ = std::move(parsed.tensors);
  file->loaded_.resize(file->tensors_.size());
  file->network_ = parsed.network;
  file->preprocess_ = parsed.preprocess;
  file->calibration_ = std::move(parsed.calibration);
  return file;
} catch (const Error& error) {
  throw Error(error.code(), path + ": " + error.what());
}

WeightsFile::~WeightsFile() {
  if (place_) ::munmap(place_, size_);
}

std::string_view WeightsFile::header() const {
  const auto* first = reinterpret_cast<const char*>(place_) + kSafetensorsLengthBytes;
  return {first, safetensors_header_bytes(place_, size_) - kSafetensorsLengthBytes};
}

WeightsFile::Identity WeightsFile::identity() const {
  struct stat info {};
  if (::fstat(descriptor_.fd, &info) != 0) fail("cannot read the file: " + system_message());
  return {info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

// Into its place. What was read before the file was found unchanged is what open() saw.
void WeightsFile::read_checked(const std::byte* place, std::size_t bytes) const {
  std::size_t offset = static_cast<std::size_t>(place - place_);
  for (const std::size_t end = offset + bytes; offset < end;) {
    const ssize_t got = ::pread(descriptor_.fd, place_ + offset, end - offset, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read the file: " + system_message());
    if (got == 0) break;  // truncated
    offset += static_cast<std::size_t>(got);
  }
  if (identity() != identity_) fail("the file was changed after it had been loaded; load it again");
}

WeightsFile::Loaded::Loaded(const WeightsFile& file, const StoredTensor& tensor) try : file_(file), tensor_(tensor) {
  const std::lock_guard lock(file.mutex_);
  int& count = file.loaded_[static_cast<std::size_t>(&tensor - file.tensors_.data())];
  if (count == 0) {
    file.read_checked(tensor.data, tensor.bytes);
    if (tensor.scale) file.read_checked(tensor.scale, static_cast<std::size_t>(tensor.dims[0]) * sizeof(float));
  }
  ++count;
} catch (const Error& error) {
  throw Error(error.code(), file.path() + ": " + error.what());
}

// Whole pages go back to the system; what shares a page with a neighbour stays.
WeightsFile::Loaded::~Loaded() {
  const std::lock_guard lock(file_.mutex_);
  if (--file_.loaded_[static_cast<std::size_t>(&tensor_ - file_.tensors_.data())] > 0) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(tensor_.data) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(tensor_.data) + tensor_.bytes) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

const StoredTensor* WeightsFile::find(std::string_view name) const {
  const auto found = std::lower_bound(tensors_.begin(), tensors_.end(), name, [](const auto& t, auto n) { return t.name < n; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

void WeightsFile::check_finite(int threads) const {
  for (const StoredTensor& tensor : tensors_) {
    const Loaded loaded = load(tensor);
    try {
      core::check_finite(tensor, threads);
    } catch (const Error& error) {
      throw Error(error.code(), path_ + ": " + error.what());
    }
  }
}

void check_weights(const std::byte* data, std::size_t size) {
  for (const StoredTensor& tensor : parse_weights(data, size).tensors) check_finite(tensor, 1);
}

}  // namespace mfs::core
