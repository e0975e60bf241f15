// The journal that makes an evaluation resumable: one line of JSON per finished instance, appended as soon as it is done.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "mfs/mfs.hpp"

namespace mfs::tools {

// What is known about an evaluated instance.
struct InstanceResult {
  std::string dataset, weights, name, photo;  // photo: the path
  std::string error{};                        // not empty: it failed, and nothing below is known
  int width = 0, height = 0;
  long long object_pixels = 0;
  std::uint64_t photo_hash = 0;
  std::vector<Point> taps{};  // fewer than iou.size() once nothing is missed any more
  std::vector<double> iou{};  // iou[k]: with k + 1 taps
};

// A key stands for everything that a result depends on, so that one file may serve several commands and a changed photo, mask
// or weights file is never mistaken for the old one. Lines that cannot be read, such as one that a crash cut short, are
// skipped.
class Journal {
 public:
  // Reads the file if it exists and opens it for appending. Throws FileError.
  explicit Journal(const std::string& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Fills in the known part of `result` with exactly `taps` numbers; false when there is none for this key and so many taps.
  bool find(std::uint64_t key, std::size_t taps, InstanceResult& result) const;
  void append(std::uint64_t key, const InstanceResult& result);  // throws FileError

  std::size_t size() const { return entries_.size(); }
  std::size_t unreadable_lines() const { return unreadable_; }

 private:
  bool read_line(const std::string& line);

  std::string path_;
  int file_ = -1;
  std::size_t unreadable_ = 0;
  std::map<std::uint64_t, InstanceResult> entries_;
};

}  // namespace mfs::tools
