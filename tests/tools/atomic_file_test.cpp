#include "tools/atomic_file.h"

#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace {

int sync_calls = 0, sync_error = 0;

}  // namespace

// In place of libc's.
extern "C" int fdatasync(int fd) {
  ++sync_calls;
  if (sync_error == 0) return static_cast<int>(::syscall(SYS_fdatasync, fd));
  errno = sync_error;
  return -1;
}

namespace mfs::tools::test {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::temp_directory_path() / ("mfs-atomic-file-" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
};

const std::vector<std::uint8_t> kOld{1, 2, 3}, kNew{4, 5, 6, 7};

TEST_CASE_FIXTURE(Folder, "a file is on storage before it has its name") {
  const std::string name = path / "folder" / "mask.png";
  const int before = sync_calls;
  AtomicFile file(name, kNew);
  CHECK(sync_calls == before + 1);
  CHECK(!fs::exists(name));
  file.commit();
  CHECK(read_file(name) == kNew);
}

TEST_CASE_FIXTURE(Folder, "storage that fails at the end is an error, and the file of before stays") {
  const std::string name = path / "mask.png";
  AtomicFile(name, kOld).commit();
  sync_error = ENOSPC;
  CHECK_THROWS_WITH_AS(AtomicFile(name, kNew), (name + ": cannot be written (No space left on device)").c_str(), FileError);
  sync_error = 0;
  CHECK(read_file(name) == kOld);
  CHECK(std::distance(fs::directory_iterator(path), {}) == 1);
}

TEST_CASE_FIXTURE(Folder, "a file system without synchronisation is no error") {
  const std::string name = path / "mask.png";
  sync_error = EINVAL;
  AtomicFile(name, kNew).commit();
  sync_error = 0;
  CHECK(read_file(name) == kNew);
}

TEST_CASE_FIXTURE(Folder, "without commit nothing remains") {
  { const AtomicFile file(path / "mask.png", kNew); }
  CHECK(fs::is_empty(path));
}

}  // namespace
}  // namespace mfs::tools::test
