// The stages of a photo: read, decode, segment, draw and encode and write.
#pragma once

#include <chrono>
#include <vector>

#include "tools/console.h"
#include "tools/options.h"
#include "tools/pipeline.h"
#include "tools/profile.h"

namespace mfs::tools {

class Segmenter : public PhotoStages {
 public:
  // Loads the weights and plans the network. Throws mfs::Error.
  Segmenter(const Options& options, const Jobs& jobs, Console& console);

  const ModelInfo& info() const { return info_; }
  std::vector<ProfileEntry> profile() const { return session_.profile(); }
  // How many photos may be under way: several in a batch, one where times are measured.
  PipelineLimits limits() const;
  // Receives the stages of every photo from now on; only without helper threads.
  void trace_to(Trace* trace) { trace_ = trace; }

  void read(PhotoWork& work) override;
  void decode(PhotoWork& work) override;
  void segment(PhotoWork& work) override;
  void write(PhotoWork& work) override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Written {
    std::string path;
    std::vector<std::uint8_t> content;
  };

  void check_taps(const PhotoWork& work) const;
  std::vector<Written> encode(const PhotoWork& work) const;
  double microseconds(Clock::time_point t) const { return std::chrono::duration<double, std::micro>(t - start_).count(); }
  void add_to_trace(const PhotoWork& work, Clock::time_point written);

  const Options& options_;
  const bool batch_;
  const int effect_threads_;
  const Clock::time_point start_ = Clock::now();
  Model model_;
  Session session_;
  ModelInfo info_;
  Trace* trace_ = nullptr;
};

}  // namespace mfs::tools
