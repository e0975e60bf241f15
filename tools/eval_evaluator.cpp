#include "tools/eval_evaluator.h"

#include <new>

#include "tools/atomic_file.h"
#include "tools/eval_random.h"
#include "tools/eval_statistics.h"
#include "tools/load_model.h"

namespace mfs::tools {
Evaluator::Evaluator(const EvalOptions& o, const std::string& weights, Journal* journal, Console& console)
    : options_(o),
      weights_(weights),
      journal_(journal),
      model_(load_model(weights, o.network, console)),
      session_(model_, o.session),
      info_(model_.info()) {
  if (journal == nullptr) return;
  settings_ = fnv1a(read_file(weights));
  const std::string size = o.network.size + (o.network.zoom_in ? " zoom-in" : "") + (o.network.refine ? " refine" : "");
  for (const std::string& part :
       {std::string(mfs_version()), o.click.text, size, std::string(info_.device), std::string(info_.precision)}) {
    settings_ = fnv1a(part + "\n", settings_);
  }
}

std::uint64_t Evaluator::key(const Instance& instance, const InstanceFiles& files) const {
  const std::string parts = std::to_string(files.photo_hash) + "\n" + std::to_string(files.truth_hash) + "\n" + instance.name;
  return fnv1a(parts, settings_);
}

Mask Evaluator::segment(const Photo& photo, const std::vector<Point>& taps) {
  return info_.uses_taps != 0 ? session_.segment(photo.view(), taps) : session_.segment(photo.view(), {});
}

void Evaluator::run(const Scene& scene, InstanceResult& result) {
  const auto count = static_cast<std::size_t>(options_.taps);
  result.taps = {first_tap(scene.truth, options_.click, result.name)};
  for (;;) {
    const Mask mask = segment(scene.photo, result.taps);
    result.iou.push_back(intersection_over_union(scene.truth, mask));
    if (result.iou.size() == count) return;
    const std::optional<Point> next = info_.uses_taps != 0 ? next_tap(scene.truth, mask) : std::nullopt;
    if (!next) break;
    result.taps.push_back(*next);
  }
  result.iou.resize(count, result.iou.back());  // no further tap would be made
}

InstanceResult Evaluator::evaluate(const std::string& dataset, const Instance& instance) {
  InstanceResult result{.dataset = dataset, .weights = weights_, .name = instance.name, .photo = instance.photo};
  std::uint64_t id = 0;
  try {
    if (!instance.problem.empty()) throw FileError(instance.problem);
    const InstanceFiles files = read_instance(instance);
    result.photo_hash = files.photo_hash;
    id = key(instance, files);
    if (journal_ != nullptr && journal_->find(id, options_.taps, result)) return result;
    const Scene scene = decode_instance(instance, files);
    result.width = scene.photo.width;
    result.height = scene.photo.height;
    result.object_pixels = scene.object_pixels;
    run(scene, result);
  } catch (const Error& error) {
    result.error = instance.photo + ": " + error.what();
  } catch (const std::bad_alloc&) {
    result.error = instance.photo + ": out of memory";
  } catch (const std::exception& error) {
    result.error = error.what();
  }
  if (journal_ != nullptr && result.error.empty()) journal_->append(id, result);
  return result;
}

}  // namespace mfs::tools
