// One weights file over instances: tap, segment, compare, tap again.
#pragma once

#include "tools/console.h"
#include "tools/eval_journal.h"
#include "tools/eval_options.h"

namespace mfs::tools {

class Evaluator {
 public:
  // Loads the weights and plans the network. Throws mfs::Error or FileError. `journal` may be null.
  Evaluator(const EvalOptions& options, const std::string& weights, Journal* journal, Console& console);

  const ModelInfo& info() const { return info_; }

  // Never throws for a reason that lies in the instance: the result tells. Throws FileError for the journal.
  InstanceResult evaluate(const std::string& dataset, const Instance& instance);

  // The mask at these taps, for pictures.
  Mask segment(const Photo& photo, const std::vector<Point>& taps);

 private:
  std::uint64_t key(const Instance& instance, const InstanceFiles& files) const;
  void run(const Scene& scene, InstanceResult& result);

  const EvalOptions& options_;
  const std::string weights_;
  Journal* const journal_;
  Model model_;
  Session session_;
  ModelInfo info_;
  std::uint64_t settings_ = 0;  // fingerprint of weights and options
};

}  // namespace mfs::tools
