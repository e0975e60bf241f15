// One photo from its file to its outputs: read, decode, segment, draw, encode, write.
#pragma once

#include <chrono>
#include <vector>

#include "tools/console.h"
#include "tools/jobs.h"
#include "tools/photo.h"
#include "tools/profile.h"
#include "tools/report.h"

namespace mfs::tools {

class Segmenter {
 public:
  // Loads the weights and plans the network. Throws mfs::Error.
  Segmenter(const Options& options, Console& console);

  const ModelInfo& info() const { return info_; }
  std::vector<ProfileEntry> profile() const { return session_.profile(); }

  // Never throws for a reason that lies in the photo: the result tells. `trace` may be null.
  PhotoResult process(const Job& job, std::vector<Point> taps, Trace* trace);

 private:
  using Clock = std::chrono::steady_clock;
  struct Written {
    std::string path;
    std::vector<std::uint8_t> content;
  };

  void process(const Job& job, Trace* trace, PhotoResult& result);
  void check_taps(const PhotoResult& result) const;
  void segment(const Photo& photo, bool with_probability, PhotoResult& result);
  std::vector<Written> encode(const Photo& photo, const Job& job, const PhotoResult& result);
  double microseconds(Clock::time_point t) const { return std::chrono::duration<double, std::micro>(t - start_).count(); }

  const Options& options_;
  Console& console_;
  const Clock::time_point start_ = Clock::now();
  Model model_;
  Session session_;
  ModelInfo info_;
  std::vector<std::uint8_t> mask_, pixels_;  // of the photo in work; kept for the next one
  std::vector<float> probability_;
};

// What the program returns for a failure with this status.
int exit_status(mfs_status status);

}  // namespace mfs::tools
