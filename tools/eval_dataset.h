// Data sets for evaluation: folders with img/ (photos) and gt/ (masks of the same stem).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/photo.h"

namespace mfs::tools {

struct DatasetFolder {
  std::string name, folder;  // the name is a free label
};

struct Instance {
  std::string name;          // the stem of both files
  std::string photo, truth;  // paths; empty when missing
  std::string problem;       // not empty: why it cannot be evaluated, one sentence
};

// Sorted by name; photos without mask and masks without photo are listed with their problem. `limit` > 0: that many, evenly
// spaced. Throws UsageError (options.h) when the folder has no such content at all.
std::vector<Instance> list_instances(const DatasetFolder& dataset, std::size_t limit);

// The files' bytes and fingerprints; decoding is apart since a resumed evaluation needs none.
struct InstanceFiles {
  std::vector<std::uint8_t> photo, truth;
  std::uint64_t photo_hash = 0, truth_hash = 0;
};
InstanceFiles read_instance(const Instance& instance);  // throws FileError

// 255 object, 0 background, 128 ignored; any other pixel is an error. Throws ImageError with one sentence.
Mask decode_truth(Bytes file);

struct Scene {
  Photo photo;
  Mask truth;
  long long object_pixels = 0;  // at least 1
};
// Throws ImageError: a damaged file, differing sizes, an empty mask; the sentence names the file.
Scene decode_instance(const Instance& instance, const InstanceFiles& files);

}  // namespace mfs::tools
