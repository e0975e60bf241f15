#include "tools/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
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

// Waits until the content would survive a loss of power. Full or broken storage may be noticed only here.
bool on_storage(int fd) {
  return ::fdatasync(fd) == 0 || errno == EINVAL || errno == ENOSYS;  // some file systems know no such thing
}

std::vector<std::uint8_t> read_all(const Descriptor& file, const std::string& name) {
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

}  // namespace

std::vector<std::uint8_t> read_file(const std::string& path) {
  const bool is_stdin = path == "-";
  const Descriptor file(is_stdin ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return read_all(file, is_stdin ? "standard input" : path);
}

std::vector<std::uint8_t> read_regular_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // opening a pipe may wait forever, too
  struct stat info {};
  if (file.get() >= 0 && ::fstat(file.get(), &info) == 0 && !S_ISREG(info.st_mode)) {
    const char* const kind = S_ISDIR(info.st_mode) ? "a folder" : S_ISFIFO(info.st_mode) ? "a pipe" : "a device";
    throw FileError(path + ": is " + kind + ", not a file");
  }
  return read_all(file, path);
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
  temporary += ".tmp";
  temporary_ = temporary.string();
  open_temporary();
  if (!write_all(fd_, content) || !on_storage(fd_)) {
    const int reason = errno;
    close_temporary();
    errno = reason;
    fail(path_, "written");
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) close_temporary();
}

// The name is always the same, so that nothing piles up however often a run is killed. The lock tells a live writer from a
// dead one's leftovers; it ends with the process.
void AtomicFile::open_temporary() {
  for (;;) {
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd_ < 0) fail(path_, "written");
    const bool locked = ::flock(fd_, LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno == EWOULDBLOCK) {
      ::close(std::exchange(fd_, -1));
      throw FileError(path_ + ": cannot be written (another process is writing it)");
    }
    // A writer that finished between open and flock has given the file its final name: that one must not be touched.
    struct stat opened {
    }, named{};
    if (::fstat(fd_, &opened) == 0 && ::stat(temporary_.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
        opened.st_dev == named.st_dev) {
      if (::ftruncate(fd_, 0) == 0) return;
      const int reason = errno;
      close_temporary();
      errno = reason;
      fail(path_, "written");
    }
    ::close(std::exchange(fd_, -1));
  }
}

void AtomicFile::close_temporary() {
  ::unlink(temporary_.c_str());
  ::close(std::exchange(fd_, -1));
}

void AtomicFile::commit() {
  if (temporary_.empty()) {
    Descriptor file(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.get() < 0 || !write_all(file.get(), special_content_)) fail(path_, "written");
    return;
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_, "written");
  ::close(std::exchange(fd_, -1));
}

void write_to_stdout(Bytes content) {
  if (!write_all(STDOUT_FILENO, content)) fail("standard output", "written");
}

}  // namespace mfs::tools
