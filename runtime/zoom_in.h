// Zoom-in: a run's second look, at the surroundings of what the first one found (the field's name for it, e.g. in f-BRS).
#pragma once

#include <span>
#include <vector>

#include "runtime/executor.h"
#include "weights/network_description.h"

namespace mfs::core {

// Photo pixels.
struct ZoomWindow {
  int left = 0, top = 0, width = 0, height = 0;
  bool operator==(const ZoomWindow&) const = default;
};

// What the second look sees of a photo: the box around all pixels above the request's threshold and, for networks with
// guidance, all taps, with a margin; without either, the whole photo. logit: of the first look, dense f32 (1, h, w, 1) in host
// memory, h and w at least 2.
ZoomWindow zoom_window(const View& logit, const NetworkDescription& network, const RunRequest& request);

class ZoomIn {
 public:
  explicit ZoomIn(std::size_t most_photos);

  // After the first look at `requests`: the second look's, which write into the same outputs and are valid until the next call;
  // none if it would see what the first one saw. Allocates only for more taps than ever before.
  Status second_look(Executor& executor, const NetworkDescription& network, std::span<const RunRequest> requests,
                     std::span<const RunRequest>& closer);

 private:
  std::vector<RunRequest> closer_;
  std::vector<Point> taps_;
};

}  // namespace mfs::core
