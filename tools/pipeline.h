// A batch of photos through four stages: read, decode, segment, write. The thread that calls run_pipeline() segments, one
// photo after the other; helper threads do the rest beside it. Photos in flight, and so memory, are limited.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "tools/image_header.h"
#include "tools/jobs.h"
#include "tools/photo.h"
#include "tools/report.h"

namespace mfs::tools {

// One photo on its way from its file to its outputs.
struct PhotoWork {
  const Job* job = nullptr;
  PhotoResult result;
  bool over = false;     // failed, skipped or dropped: the stages that are left are left out
  bool dropped = false;  // given up because of an interrupt: not to be reported
  std::chrono::steady_clock::time_point started{};

  std::vector<std::uint8_t> file;
  ImageHeader header;
  Photo photo;
  std::vector<std::uint8_t> mask;
  std::vector<float> probability;
};

// What happens to a photo. Must not throw for a reason that lies in the photo; read, decode and write run in several threads
// at once.
class PhotoStages {
 public:
  virtual ~PhotoStages() = default;
  virtual void read(PhotoWork& work) = 0;    // file, header
  virtual void decode(PhotoWork& work) = 0;  // file to photo
  virtual void segment(PhotoWork& work) = 0;
  virtual void write(PhotoWork& work) = 0;
};

struct PipelineLimits {
  int helpers = 0;          // 0: one photo after the other, all in the calling thread
  std::size_t photos = 1;   // in flight
  std::int64_t pixels = 1;  // of the decoded ones among them; a larger photo goes alone
};

// Calls `report` in the order of the jobs, in the calling thread. Stops early when interrupted (interrupt.h): what is not being
// written yet is dropped.
void run_pipeline(const std::vector<Job>& jobs, PhotoStages& stages, const PipelineLimits& limits,
                  const std::function<void(const PhotoWork&)>& report);

}  // namespace mfs::tools
