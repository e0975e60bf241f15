#include "tools/segmenter.h"

#include <algorithm>
#include <deque>
#include <new>
#include <utility>

#include "tools/atomic_file.h"
#include "tools/clicks.h"
#include "tools/encode.h"
#include "tools/interrupt.h"
#include "tools/load_model.h"

namespace mfs::tools {
namespace {

using Clock = std::chrono::steady_clock;

// Thrown between two steps after Ctrl-C; nothing of the photo has been written yet.
struct Interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};

void stop_if_interrupted() {
  if (interrupting_signal() != 0) throw Interrupted();
}

struct TapError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Runs a stage; what it throws becomes the result of the photo. Returns milliseconds.
template <class Stage>
double run_stage(PhotoWork& work, const Stage& stage) {
  const auto failed = [&](const char* what, int status) {
    work.over = true;
    work.dropped = interrupting_signal() != 0;  // files that are read while the signal arrives fail for that reason
    work.result.status = PhotoResult::Status::kFailed;
    work.result.error = what;
    work.result.exit_status = status;
  };
  const auto start = Clock::now();
  try {
    stage();
  } catch (const TapError& error) {
    failed(error.what(), 2);
  } catch (const Error& error) {
    failed(error.what(), exit_status(error.status()));
  } catch (const std::bad_alloc&) {
    failed("out of memory", exit_status(MFS_OUT_OF_MEMORY));
  } catch (const std::exception& error) {
    failed(error.what(), 1);
  }
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(const std::vector<Timings>& runs, double Timings::*stage) {
  std::vector<double> ms;
  for (const Timings& run : runs) ms.push_back(run.*stage);
  return quantiles(ms).median;
}

bool is_jpeg(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  return dot != std::string::npos && (path[dot + 1] == 'j' || path[dot + 1] == 'J');
}

bool measures(const Options& o) { return o.repeat > 1 || o.profile || !o.trace.empty(); }

}  // namespace

// Helper threads share the processors: each draws with one thread of its own.
Segmenter::Segmenter(const Options& o, const Jobs& jobs, Console& console)
    : options_(o),
      batch_(jobs.batch),
      effect_threads_(jobs.batch && !measures(o) ? 1 : o.network.threads),
      model_(load_model(o.weights.empty() ? find_weights() : o.weights, o.network, console)),
      session_(model_, o.session),
      info_(model_.info()) {
  session_.set_profiling(o.profile || !o.trace.empty());
}

PipelineLimits Segmenter::limits() const {
  if (!batch_ || measures(options_)) return {};
  // Two photos a helper, so that the network never waits for one that is late; pixels: two photos of a telephone a helper.
  constexpr int kMostHelpers = 32;
  constexpr std::int64_t kPixelsPerHelper = 24'000'000;
  const int helpers = std::min(info_.threads, kMostHelpers);
  return {helpers, 2 * static_cast<std::size_t>(helpers) + 2, kPixelsPerHelper * helpers};
}

void Segmenter::read(PhotoWork& work) {
  const Job& job = *work.job;
  work.started = Clock::now();
  work.result.input = job.input;
  if (info_.uses_taps != 0 && job.taps != nullptr) work.result.taps = *job.taps;
  if (job.finished) {
    work.over = true;
    work.result.status = PhotoResult::Status::kSkipped;
    return;
  }
  work.result.ms.decode = run_stage(work, [&] {
    if (!job.problem.empty()) throw FileError(job.problem);
    work.file = batch_ ? read_regular_file(job.input) : read_file(job.input);
    work.header = read_image_header(work.file);
  });
}

void Segmenter::check_taps(const PhotoWork& work) const {
  if (info_.uses_taps == 0) return;
  const PhotoResult& result = work.result;
  if (result.taps.empty()) {
    throw TapError(options_.clicks_file.empty() ? "no tap: where is the object? (--click X,Y)"
                                                : "has no taps in '" + options_.clicks_file + "'");
  }
  for (const Point& tap : result.taps) {
    if (!is_inside(tap, result.width, result.height)) {
      throw TapError("the tap " + to_string(tap) + " lies outside the photo (" + std::to_string(result.width) + "x" +
                     std::to_string(result.height) + ")");
    }
  }
}

void Segmenter::decode(PhotoWork& work) {
  work.result.ms.decode += run_stage(work, [&] {
    work.photo = decode_photo(work.file, work.header);
    work.file = {};
    work.result.width = work.photo.width;
    work.result.height = work.photo.height;
    work.result.orientation = work.photo.orientation;
    check_taps(work);
    const std::size_t pixels = static_cast<std::size_t>(work.photo.width) * work.photo.height;
    const OutputPaths& to = work.job->outputs;
    work.mask.resize(pixels);
    if (std::any_of(to.begin() + kProbability, to.end(), [](const std::string& path) { return !path.empty(); })) {
      work.probability.resize(pixels);
    }
  });
}

void Segmenter::segment(PhotoWork& work) {
  PhotoResult& result = work.result;
  run_stage(work, [&] {
    mfs_outputs outputs{};
    outputs.struct_size = sizeof outputs;
    outputs.mask = work.mask.data();
    outputs.probability = work.probability.empty() ? nullptr : work.probability.data();
    outputs.threshold = options_.threshold;
    const int warm_up = options_.repeat > 1 ? 1 : 0;
    for (int run = -warm_up; run < options_.repeat; ++run) {
      stop_if_interrupted();
      session_.run(work.photo.view(), result.taps, outputs);
      if (run >= 0) result.runs.push_back(session_.timings());
    }
    result.ms.prepare = median(result.runs, &Timings::prepare);
    result.ms.infer = median(result.runs, &Timings::infer);
    result.ms.finish = median(result.runs, &Timings::finish);
  });
}

std::vector<Segmenter::Written> Segmenter::encode(const PhotoWork& work) const {
  const int width = work.photo.width, height = work.photo.height;
  const std::size_t count = static_cast<std::size_t>(width) * height;
  const Image image = work.photo.view();
  const Map map{work.probability.data(), width, height, 0};
  const OutputPaths& to = work.job->outputs;
  const std::vector<Point>& taps = work.result.taps;
  std::vector<std::uint8_t> pixels;
  const auto encode_rgb = [&](const std::string& path) {
    return is_jpeg(path) ? encode_jpeg(pixels, width, height) : encode_png(pixels, width, height, 3);
  };
  mfs_error error{};
  std::vector<Written> files;
  if (!to[kMask].empty()) files.push_back({to[kMask], encode_png(work.mask, width, height, 1)});
  if (!to[kProbability].empty()) {
    const bool npy = to[kProbability].ends_with(".npy") || to[kProbability].ends_with(".NPY");
    files.push_back(
        {to[kProbability], npy ? encode_npy(work.probability, width, height) : encode_png16(work.probability, width, height)});
  }
  if (!to[kCutOut].empty()) {
    pixels.resize(count * 4);
    detail::require(mfs_cut_out(&image, &map, effect_threads_, pixels.data(), 0, &error), error);
    files.push_back({to[kCutOut], encode_png(pixels, width, height, 4)});
  }
  if (!to[kBlur].empty()) {
    pixels.resize(count * 3);
    const float radius = options_.blur_radius.value_or(std::max(1.0f, 0.015f * static_cast<float>(std::max(width, height))));
    detail::require(mfs_blur_background(&image, &map, radius, effect_threads_, pixels.data(), 0, &error), error);
    files.push_back({to[kBlur], encode_rgb(to[kBlur])});
  }
  if (!to[kOverlay].empty()) {
    pixels.resize(count * 3);
    detail::require(
        mfs_overlay(&image, &map, options_.threshold, taps.data(), taps.size(), effect_threads_, pixels.data(), 0, &error),
        error);
    files.push_back({to[kOverlay], encode_rgb(to[kOverlay])});
  }
  return files;
}

void Segmenter::write(PhotoWork& work) {
  PhotoResult& result = work.result;
  result.ms.encode = run_stage(work, [&] {
    stop_if_interrupted();
    result.mask_area = std::count(work.mask.begin(), work.mask.end(), std::uint8_t{255});
    const std::vector<Written> contents = encode(work);
    stop_if_interrupted();
    std::deque<AtomicFile> files;  // all complete on the disk before the first gets its name
    for (const Written& f : contents) {
      if (f.path != "-") files.emplace_back(f.path, f.content);
    }
    for (const Written& f : contents) {
      if (f.path == "-") write_to_stdout(f.content);
    }
    for (AtomicFile& f : files) f.commit();
    for (const Written& f : contents) result.outputs.push_back(f.path);
  });
  if (trace_ != nullptr && !work.over) add_to_trace(work, Clock::now());
}

void Segmenter::add_to_trace(const PhotoWork& work, Clock::time_point written) {
  const PhotoResult& r = work.result;
  const Timings last = session_.timings();
  const double encode = microseconds(written) - 1e3 * r.ms.encode;
  const double finish = encode - 1e3 * last.finish, infer = finish - 1e3 * last.infer, prepare = infer - 1e3 * last.prepare;
  trace_->add_stage("decode", r.input, microseconds(work.started), 1e3 * r.ms.decode);
  trace_->add_stage("prepare", r.input, prepare, 1e3 * last.prepare);
  trace_->add_stage("infer", r.input, infer, 1e3 * last.infer);
  trace_->add_stage("finish", r.input, finish, 1e3 * last.finish);
  trace_->add_stage("encode", r.input, encode, 1e3 * r.ms.encode);
  trace_->add_operations(session_.profile(), infer);
}

}  // namespace mfs::tools
