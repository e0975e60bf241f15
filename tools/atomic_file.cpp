#include "tools/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace mfs::tools {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& path, const char* action) {
  throw FileError(path + ": cannot be " + action + " (" + std::strerror(errno) + ")");
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }  // false: the last write failed (network file systems)

 private:
  int fd_;
};

bool write_all(int fd, Bytes content) {
  constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), std::min(content.size(), kMostAtOnce));
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) content = content.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::string& path) {
  const bool is_stdin = path == "-";
  const std::string name = is_stdin ? "standard input" : path;
  Descriptor file(is_stdin ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) fail(name, "read");
  constexpr std::size_t kMaxBytes = std::size_t{1} << 31, kStep = std::size_t{1} << 20;
  std::vector<std::uint8_t> content(S_ISREG(info.st_mode) ? std::min(static_cast<std::size_t>(info.st_size), kMaxBytes) + 1
                                                          : kStep);
  std::size_t size = 0;
  for (;;) {
    const ssize_t got = ::read(file.get(), content.data() + size, content.size() - size);
    if (got < 0) fail(name, "read");
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size > kMaxBytes) throw FileError(name + ": is larger than 2 GiB");
    if (size == content.size()) content.resize(size + std::max(size, kStep));
  }
  content.resize(size);
  return content;
}

AtomicFile::AtomicFile(const std::string& path, Bytes content) : path_(path) {
  std::error_code error;
  const fs::path target = fs::weakly_canonical(path, error);
  if (!error) path_ = target.string();
  struct stat info {};
  if (::stat(path_.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    errno = EISDIR;
    if (S_ISDIR(info.st_mode)) fail(path_, "written");
    special_content_ = content;
    return;
  }
  if (const fs::path folder = fs::path(path_).parent_path(); !folder.empty()) fs::create_directories(folder, error);
  fs::path temporary = fs::path(path_).parent_path() / ".";
  temporary += fs::path(path_).filename();
  temporary_ = temporary.string() + "." + std::to_string(::getpid()) + ".tmp";
  // A killed process of the same id may have left such a file behind.
  Descriptor file(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) {
    temporary_.clear();
    fail(path_, "written");
  }
  if (!write_all(file.get(), content) || !file.close()) {
    const int reason = errno;
    ::unlink(temporary_.c_str());
    errno = reason;
    fail(path_, "written");
  }
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::commit() {
  if (temporary_.empty()) {
    Descriptor file(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.get() < 0 || !write_all(file.get(), special_content_)) fail(path_, "written");
    return;
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_, "written");
  temporary_.clear();
}

void write_to_stdout(Bytes content) {
  if (!write_all(STDOUT_FILENO, content)) fail("standard output", "written");
}

}  // namespace mfs::tools
