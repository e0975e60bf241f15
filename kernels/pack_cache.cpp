#include "kernels/pack_cache.h"

namespace mfs::core {

std::shared_ptr<const PackedWeights> PackCache::get(const std::string& key,
                                                    const std::function<std::shared_ptr<const PackedWeights>()>& make) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const PackedWeights>& entry = entries_[key];
  if (!entry) entry = make();
  return entry;
}

}  // namespace mfs::core
