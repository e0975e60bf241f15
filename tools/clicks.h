// Taps, from the command line and from a JSON file.
#pragma once

#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "mfs/mfs.hpp"

namespace mfs::tools {

struct ClicksError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// "214,180" or "214.5,180". Throws ClicksError.
Point parse_click(std::string_view text);

// {"dog.jpg": [[214, 180], [230, 95.5]], "sub/cat.jpg": [[12, 40]]}
class ClicksFile {
 public:
  // Throws ClicksError with one sentence: not JSON, not of this form, a name that occurs twice.
  explicit ClicksFile(std::string_view json);

  // The taps of a photo by its `name` (in a folder: relative to it), else by its path, else by its file name; null when it has
  // none.
  const std::vector<Point>* find(const std::string& name, const std::string& path) const;
  // Names that no photo asked for, likely misspelt.
  std::vector<std::string> unused() const;

 private:
  std::map<std::string, std::vector<Point>> taps_;
  mutable std::set<std::string> used_;
};

// Origin at the centre of the top-left pixel: the photo covers -0.5 to width - 0.5.
bool is_inside(Point tap, int width, int height);

std::string to_string(Point tap);  // "214,180"

}  // namespace mfs::tools
