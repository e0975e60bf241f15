#include "tools/segmenter.h"

#include <algorithm>
#include <deque>
#include <new>

#include "tools/atomic_file.h"
#include "tools/clicks.h"
#include "tools/encode.h"
#include "tools/image_header.h"
#include "tools/interrupt.h"

namespace mfs::tools {
namespace {

// Thrown between two stages after Ctrl-C; nothing of the photo has been written yet.
struct Interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};

void stop_if_interrupted() {
  if (interrupting_signal() != 0) throw Interrupted();
}

struct TapError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void log_to_console(void* console, const char* message) { static_cast<Console*>(console)->detail(message); }

double median(const std::vector<Timings>& runs, double Timings::*stage) {
  std::vector<double> ms;
  for (const Timings& run : runs) ms.push_back(run.*stage);
  return quantiles(ms).median;
}

bool is_jpeg(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  return dot != std::string::npos && (path[dot + 1] == 'j' || path[dot + 1] == 'J');
}

}  // namespace

int exit_status(mfs_status status) {
  switch (status) {
    case MFS_INVALID_ARGUMENT:
      return 2;
    case MFS_BAD_WEIGHTS:
      return 3;
    case MFS_NO_DEVICE:
    case MFS_UNSUPPORTED:
    case MFS_OUT_OF_MEMORY:
      return 4;
    default:
      return 1;
  }
}

Segmenter::Segmenter(const Options& o, Console& console)
    : options_(o),
      console_(console),
      model_(o.weights.empty() ? find_weights() : o.weights, {o.device, o.precision, o.threads, log_to_console, &console}),
      session_(model_, o.session),
      info_(model_.info()) {
  session_.set_profiling(o.profile || !o.trace.empty());
  console.detail(std::string(info_.variant) + ", " + info_.device + ", " + info_.precision + ", " +
                 std::to_string(info_.threads) + " threads, trained at " + std::to_string(info_.network_width) + "x" +
                 std::to_string(info_.network_height));
}

void Segmenter::check_taps(const PhotoResult& result) const {
  if (info_.uses_taps == 0) return;
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

void Segmenter::segment(const Photo& photo, bool with_probability, PhotoResult& result) {
  const std::size_t pixels = static_cast<std::size_t>(photo.width) * photo.height;
  mask_.resize(pixels);
  if (with_probability) probability_.resize(pixels);
  mfs_outputs outputs{};
  outputs.struct_size = sizeof outputs;
  outputs.mask = mask_.data();
  outputs.probability = with_probability ? probability_.data() : nullptr;
  outputs.threshold = options_.threshold;
  const int warm_up = options_.repeat > 1 ? 1 : 0;
  for (int run = -warm_up; run < options_.repeat; ++run) {
    stop_if_interrupted();
    session_.run(photo.view(), result.taps, outputs);
    if (run >= 0) result.runs.push_back(session_.timings());
  }
  result.ms.prepare = median(result.runs, &Timings::prepare);
  result.ms.infer = median(result.runs, &Timings::infer);
  result.ms.finish = median(result.runs, &Timings::finish);
  result.mask_area = std::count(mask_.begin(), mask_.end(), std::uint8_t{255});
}

std::vector<Segmenter::Written> Segmenter::encode(const Photo& photo, const Job& job, const PhotoResult& result) {
  const int width = photo.width, height = photo.height;
  const std::size_t pixels = static_cast<std::size_t>(width) * height;
  const Image image = photo.view();
  const Map map{probability_.data(), width, height, 0};
  const OutputPaths& to = job.outputs;
  const auto encode_rgb = [&](const std::string& path) {
    return is_jpeg(path) ? encode_jpeg(pixels_, width, height) : encode_png(pixels_, width, height, 3);
  };
  mfs_error error{};
  std::vector<Written> files;
  if (!to[kMask].empty()) files.push_back({to[kMask], encode_png(mask_, width, height, 1)});
  if (!to[kProbability].empty()) {
    const bool npy = to[kProbability].ends_with(".npy") || to[kProbability].ends_with(".NPY");
    files.push_back(
        {to[kProbability], npy ? encode_npy(probability_, width, height) : encode_png16(probability_, width, height)});
  }
  if (!to[kCutOut].empty()) {
    pixels_.resize(pixels * 4);
    detail::require(mfs_cut_out(&image, &map, options_.threads, pixels_.data(), 0, &error), error);
    files.push_back({to[kCutOut], encode_png(pixels_, width, height, 4)});
  }
  if (!to[kBlur].empty()) {
    pixels_.resize(pixels * 3);
    const float radius = options_.blur_radius.value_or(std::max(1.0f, 0.015f * static_cast<float>(std::max(width, height))));
    detail::require(mfs_blur_background(&image, &map, radius, options_.threads, pixels_.data(), 0, &error), error);
    files.push_back({to[kBlur], encode_rgb(to[kBlur])});
  }
  if (!to[kOverlay].empty()) {
    pixels_.resize(pixels * 3);
    detail::require(mfs_overlay(&image, &map, options_.threshold, result.taps.data(), result.taps.size(), options_.threads,
                                pixels_.data(), 0, &error),
                    error);
    files.push_back({to[kOverlay], encode_rgb(to[kOverlay])});
  }
  return files;
}

void Segmenter::process(const Job& job, Trace* trace, PhotoResult& result) {
  if (!job.problem.empty()) throw FileError(job.problem);
  const auto ms = [](Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
  };
  const auto read = Clock::now();
  const std::vector<std::uint8_t> file = read_file(job.input);
  const Photo photo = decode_photo(file);
  const auto decoded = Clock::now();
  result.width = photo.width;
  result.height = photo.height;
  result.ms.decode = ms(read, decoded);
  if (photo.orientation != 1) {
    console_.detail(job.input + ": EXIF orientation " + std::to_string(photo.orientation) + " applied");
  }
  check_taps(result);
  const OutputPaths& to = job.outputs;
  const bool with_probability =
      std::any_of(to.begin() + kProbability, to.end(), [](const std::string& s) { return !s.empty(); });
  segment(photo, with_probability, result);
  stop_if_interrupted();
  const auto segmented = Clock::now();
  const std::vector<Written> contents = encode(photo, job, result);
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
  const auto written = Clock::now();
  result.ms.encode = ms(segmented, written);

  if (trace != nullptr) {
    const Timings last = session_.timings();
    const double finish = microseconds(segmented) - 1e3 * last.finish, infer = finish - 1e3 * last.infer;
    trace->add_stage("decode", job.input, microseconds(read), 1e3 * result.ms.decode);
    trace->add_stage("prepare", job.input, infer - 1e3 * last.prepare, 1e3 * last.prepare);
    trace->add_stage("infer", job.input, infer, 1e3 * last.infer);
    trace->add_stage("finish", job.input, finish, 1e3 * last.finish);
    trace->add_stage("encode", job.input, microseconds(segmented), 1e3 * result.ms.encode);
    trace->add_operations(session_.profile(), infer);
  }
}

PhotoResult Segmenter::process(const Job& job, std::vector<Point> taps, Trace* trace) {
  PhotoResult result{.input = job.input};
  if (info_.uses_taps != 0) result.taps = std::move(taps);
  if (job.finished) {
    result.status = PhotoResult::Status::kSkipped;
    return result;
  }
  const auto failed = [&](const char* what, int status) {
    result.status = PhotoResult::Status::kFailed;
    result.error = what;
    result.exit_status = status;
  };
  try {
    process(job, trace, result);
  } catch (const TapError& error) {
    failed(error.what(), 2);
  } catch (const Error& error) {
    failed(error.what(), exit_status(error.status()));
  } catch (const std::bad_alloc&) {
    failed("out of memory", exit_status(MFS_OUT_OF_MEMORY));
  } catch (const std::exception& error) {
    failed(error.what(), 1);
  }
  return result;
}

}  // namespace mfs::tools
