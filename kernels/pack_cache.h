// Weights as kernels want them, shared.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace mfs::core {

// Packed weights by name and layout, so that sessions of different image sizes share one copy, and a session that changes its
// size packs nothing twice. Thread-safe.
struct PackedWeights {
  virtual ~PackedWeights() = default;
};
class PackCache {
 public:
  std::shared_ptr<const PackedWeights> get(const std::string& key,
                                           const std::function<std::shared_ptr<const PackedWeights>()>& make);

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const PackedWeights>> entries_;
};

}  // namespace mfs::core
