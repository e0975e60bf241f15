#include "weights/calibration.h"

#include "weights/strict_json.h"

namespace mfs::core {

Calibration parse_calibration(const std::string& json) {
  constexpr int kMostPhotos = 1 << 30;
  const JsonDocument document(json, "mfs.calibration");
  Fields fields(document.root(), "mfs.calibration");
  Calibration calibration;
  calibration.photos = static_cast<int>(fields.integer("photos", 1, kMostPhotos));
  const nlohmann::json& object = fields.value("ranges");
  if (!object.is_object()) fields.fail("ranges", "is not a JSON object");
  fields.finish();
  Fields ranges(object, "mfs.calibration: ranges");
  for (const auto& [name, value] : object.items()) {
    const float range = ranges.number(name.c_str());
    if (!(range >= kLeastRange && range <= kLargestRange)) ranges.fail(name.c_str(), "is not between 2^-20 and 2^60");
    calibration.ranges[name] = range;
  }
  return calibration;
}

}  // namespace mfs::core
