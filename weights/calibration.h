// What int8 and fp8 need to know of a network besides its weights: how large its activations get (metadata `mfs.calibration`).
#pragma once

#include <functional>
#include <map>
#include <string>

namespace mfs::core {

class WeightsFile;

// Ranges lie between these, so that neither a step of one nor anything divided by it leaves f32.
inline constexpr float kLeastRange = 0x1p-20f, kLargestRange = 0x1p60f;

// {"photos": 64, "ranges": {"pooled": 14.4, "layer1.0.conv1": 6.7, ...}}
struct Calibration {
  int photos = 0;  // that the ranges come from
  // Of what an operation writes, by its name: values from 0 to this are told apart, larger ones become this.
  std::map<std::string, float, std::less<>> ranges;
};

// Throws Error(kBadWeights) with one sentence naming the field.
Calibration parse_calibration(const std::string& json);

// A copy of the file with this calibration in place of its own, if any; atomically, replacing what is there. Throws Error:
// kIo, kBadWeights when the file was changed since it was opened.
void write_calibrated(const WeightsFile& file, const Calibration& calibration, const std::string& path);

}  // namespace mfs::core
