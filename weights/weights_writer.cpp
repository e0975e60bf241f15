#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "kernels/error.h"
#include "weights/strict_json.h"
#include "weights/weights_file.h"

namespace mfs::core {
namespace {

constexpr std::size_t kHeaderAlignment = 8;
constexpr int kMaxAttempts = 100;
constexpr const char* kCalibrationKey = "mfs.calibration";

[[noreturn]] void fail(const std::string& path, const std::string& complaint) {
  throw Error(Code::kIo, path + ": " + complaint);
}

[[noreturn]] void fail_with_errno(const std::string& path, const char* action) {
  fail(path, std::string(action) + ": " + std::generic_category().message(errno));
}

std::size_t bytes_of(const TensorToWrite& tensor) {
  std::size_t bytes = size_of(tensor.dtype);
  for (const std::int64_t dim : tensor.dims) bytes *= static_cast<std::size_t>(dim);
  return bytes;
}

const char* dtype_name(const std::string& path, const TensorToWrite& tensor) {
  switch (tensor.dtype) {
    case DType::kF32:
      return "F32";
    case DType::kF16:
      return "F16";
    case DType::kBF16:
      return "BF16";
    case DType::kI8:
      return "I8";
    default:
      fail(path, "tensor " + tensor.name + " has the dtype " + name_of(tensor.dtype) + ", which weights files do not know");
  }
}

// Length and JSON, padded with spaces so that the data begin aligned.
std::string framed(std::string text) {
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  std::string length;
  for (std::size_t i = 0; i < 8; ++i) length += static_cast<char>((text.size() >> (8 * i)) & 0xff);
  return length + text;
}

std::string header_of(const std::string& path, const std::vector<TensorToWrite>& tensors,
                      const std::vector<std::pair<std::string, std::string>>& metadata) {
  nlohmann::ordered_json json;
  for (const auto& [key, value] : metadata) json["__metadata__"][key] = value;
  std::size_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    if (json.contains(tensor.name)) fail(path, "tensor " + tensor.name + " is given twice");
    const std::size_t end = offset + bytes_of(tensor);
    json[tensor.name] = {{"dtype", dtype_name(path, tensor)}, {"shape", tensor.dims}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  return framed(json.dump());
}

std::string in_json(const std::string& text) { return nlohmann::json(text).dump(); }

// `items` as members of a JSON object.
std::string object_of(const std::vector<std::string>& items) {
  std::string text = "{";
  for (const std::string& item : items) text += (text.size() > 1 ? "," : "") + item;
  return text + "}";
}

// As text: the destructor of a JSON object of nlohmann's that was made here would not survive running out of memory.
std::string with_calibration(std::string_view header, const Calibration& calibration) {
  std::vector<std::string> ranges, metadata, members;
  for (const auto& [name, range] : calibration.ranges) ranges.push_back(in_json(name) + ":" + nlohmann::json(range).dump());
  const JsonDocument document(header, "the header");
  for (const auto& [name, member] : document.root().items()) {
    if (name != "__metadata__") {
      members.push_back(in_json(name) + ":" + member.dump());
      continue;
    }
    for (const auto& [key, value] : member.items())
      if (key != kCalibrationKey) metadata.push_back(in_json(key) + ":" + value.dump());
  }
  const std::string value = object_of({"\"photos\":" + std::to_string(calibration.photos), "\"ranges\":" + object_of(ranges)});
  metadata.push_back(in_json(kCalibrationKey) + ":" + in_json(value));
  members.insert(members.begin(), "\"__metadata__\":" + object_of(metadata));
  return object_of(members);
}

// A new file next to `target`; it takes the target's name on commit() and disappears without it.
class PartialFile {
 public:
  explicit PartialFile(const std::string& target) : target_(target) {
    namespace fs = std::filesystem;
    std::error_code error;
    if (const fs::path resolved = fs::weakly_canonical(target, error); !error) target_ = resolved.string();  // a link's target
    if (fs::exists(target_, error) && !fs::is_regular_file(target_, error)) fail(target, "is not a regular file");
    for (int attempt = 0; fd_ < 0; ++attempt) {
      path_ = target_ + ".partial" + std::to_string(attempt);
      fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd_ < 0 && (errno != EEXIST || attempt == kMaxAttempts)) fail_with_errno(target, "cannot create the file");
    }
  }
  ~PartialFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!committed_) ::unlink(path_.c_str());
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  void write(const void* data, std::size_t size) {
    const char* rest = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t written = ::write(fd_, rest, size);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_with_errno(target_, "cannot write the file");
      rest += written;
      size -= static_cast<std::size_t>(written);
    }
  }

  void commit() {
    // Some file systems know no such thing.
    if (::fsync(fd_) != 0 && errno != EINVAL && errno != ENOSYS) fail_with_errno(target_, "cannot write the file");
    const int closed = ::close(fd_);
    fd_ = -1;
    if (closed != 0) fail_with_errno(target_, "cannot write the file");
    if (std::rename(path_.c_str(), target_.c_str()) != 0) fail_with_errno(target_, "cannot rename the finished file");
    committed_ = true;
  }

 private:
  std::string target_, path_;
  int fd_ = -1;
  bool committed_ = false;
};

}  // namespace

void write_weights(const std::string& path, const std::vector<TensorToWrite>& tensors,
                   const std::vector<std::pair<std::string, std::string>>& metadata) {
  std::string header;
  try {
    header = header_of(path, tensors, metadata);
  } catch (const nlohmann::json::exception&) {
    fail(path, "a tensor name or a metadata entry is not UTF-8");
  }
  PartialFile file(path);
  file.write(header.data(), header.size());
  for (const TensorToWrite& tensor : tensors) file.write(tensor.data, bytes_of(tensor));
  file.commit();
}

// The tensors' bytes stay as they are and where they are in the order of the file.
void write_calibrated(const WeightsFile& file, const Calibration& calibration, const std::string& path) {
  const std::string header = framed(with_calibration(file.header(), calibration));

  struct Piece {
    const StoredTensor* tensor;
    const std::byte* data;
    std::size_t bytes;
  };
  std::vector<Piece> pieces;
  for (const StoredTensor& t : file.tensors()) {
    pieces.push_back({&t, t.data, t.bytes});
    if (t.scale) pieces.push_back({&t, t.scale, static_cast<std::size_t>(t.dims[0]) * sizeof(float)});
  }
  std::ranges::sort(pieces, {}, &Piece::data);
  PartialFile out(path);
  out.write(header.data(), header.size());
  for (const Piece& piece : pieces) {
    const auto loaded = file.load(*piece.tensor);
    out.write(piece.data, piece.bytes);
  }
  out.commit();
}

}  // namespace mfs::core
