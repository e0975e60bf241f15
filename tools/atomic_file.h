// Files that exist completely or not at all.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "tools/bytes.h"

namespace mfs::tools {

// One sentence that names the file and the reason.
struct FileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The whole file; "-" is standard input.
std::vector<std::uint8_t> read_file(const std::string& path);
// The same, but never waits for a pipe or terminal: what is not a regular file is an error.
std::vector<std::uint8_t> read_regular_file(const std::string& path);

// Writes `content` under a temporary name beside `path`, creating the folders it needs, and waits for the storage to have it,
// so that not even a loss of power leaves a file that is cut; commit() renames it to `path`, replacing a file of that name
// (through a symbolic link: its target). Without commit() nothing remains. What a killed process left under the temporary name
// is written over; a live process that is writing there is an error. A device or pipe is written by commit(), without the
// detour.
class AtomicFile {
 public:
  AtomicFile(const std::string& path, Bytes content);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void commit();

 private:
  void open_temporary();
  void close_temporary();

  std::string path_, temporary_;
  int fd_ = -1;  // of the temporary file, locked
  Bytes special_content_;
};

void write_to_stdout(Bytes content);

}  // namespace mfs::tools
