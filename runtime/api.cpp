// The C border: no exception crosses it, every failure becomes a code and a sentence.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>

#include "kernels/effects.h"
#include "kernels/error.h"
#include "mfs/mfs.h"
#include "runtime/aligned_buffer.h"
#include "runtime/build_info.h"
#include "runtime/model.h"
#include "runtime/session.h"

using namespace mfs::core;  // NOLINT: this file is the border between the two name spaces

struct mfs_model {
  std::shared_ptr<const Model> impl;
};
struct mfs_session {
  Session impl;
};

namespace {

mfs_status to_status(Code code) {
  switch (code) {
    case Code::kOk:
      return MFS_OK;
    case Code::kInvalidArgument:
      return MFS_INVALID_ARGUMENT;
    case Code::kBadWeights:
      return MFS_BAD_WEIGHTS;
    case Code::kNoDevice:
      return MFS_NO_DEVICE;
    case Code::kUnsupported:
      return MFS_UNSUPPORTED;
    case Code::kOutOfMemory:
      return MFS_OUT_OF_MEMORY;
    case Code::kIo:
    case Code::kInternal:
      return MFS_INTERNAL;
  }
  return MFS_INTERNAL;
}

mfs_status report(Code code, const char* message, mfs_error* error) {
  if (code == Code::kOutOfMemory && *message == '\0') message = "out of memory";
  if (error) {
    const std::size_t n = std::min(std::strlen(message), sizeof error->message - 1);
    std::memcpy(error->message, message, n);
    error->message[n] = '\0';
  }
  return to_status(code);
}

mfs_status report(const Status& s, mfs_error* error) { return report(s.code(), s.message().c_str(), error); }

// Runs `body`, which returns a Status or throws.
template <typename Body>
mfs_status guarded(mfs_error* error, const Body& body) noexcept {
  try {
    return report(body(), error);
  } catch (const Error& e) {
    return report(e.code(), e.what(), error);
  } catch (const std::bad_alloc&) {
    return report(Code::kOutOfMemory, "out of memory", error);
  } catch (const std::exception& e) {
    return report(Code::kInternal, e.what(), error);
  } catch (...) {
    return report(Code::kInternal, "an unknown exception", error);
  }
}

// The caller's struct, cut or filled with zeros to the size this version knows. What an older version left as padding at the
// end would be read as a later one's field: the structs have none.
static_assert(offsetof(mfs_model_options, log_user) + sizeof(void*) == sizeof(mfs_model_options));
static_assert(offsetof(mfs_session_options, refine) + sizeof(int32_t) == sizeof(mfs_session_options));
static_assert(offsetof(mfs_outputs, reserved) + sizeof(int32_t) == sizeof(mfs_outputs));
template <typename T>
T options_of(const T* given, const char* what) {
  T known{};
  if (!given) return known;
  if (given->struct_size < sizeof(std::size_t))
    throw Error(Code::kInvalidArgument, std::string(what) + ".struct_size is not set, or too small");
  std::memcpy(&known, given, std::min(given->struct_size, sizeof known));
  return known;
}

void require(bool ok, const char* sentence) {
  if (!ok) throw Error(Code::kInvalidArgument, sentence);
}

ImageView view_of(const mfs_image* image) {
  require(image, "the photo is null");
  require(image->data, "the photo has no data");
  std::uint32_t value;  // C lets an enum hold anything, C++ does not
  static_assert(sizeof image->format == sizeof value);
  std::memcpy(&value, &image->format, sizeof value);
  require(value <= MFS_GREY, "unknown pixel format");
  const auto format = static_cast<PixelFormat>(value);
  const std::int64_t stride = image->row_stride ? image->row_stride : std::int64_t{image->width} * channels_of(format);
  const ImageView view{image->data, image->width, image->height, stride, format};
  if (const Status s = check_photo(view); !s) throw Error(s.code(), s.message());
  return view;
}

MapView view_of(const mfs_map* map) {
  require(map && map->data, "the probability map is null, or has no data");
  const std::int64_t stride = map->row_stride ? map->row_stride : std::int64_t{map->width} * 4;
  return {map->data, map->width, map->height, stride};
}

MutImageView output_of(const mfs_image* image, PixelFormat format, uint8_t* dst, std::int64_t stride) {
  require(dst, "the output is null");
  return {dst, image->width, image->height, stride ? stride : std::int64_t{image->width} * channels_of(format), format};
}

Cpu cpu_of(int32_t threads) { return {threads > 0 ? threads : all_threads()}; }

std::span<const Point> points_of(const mfs_point* taps, size_t count) {
  static_assert(sizeof(Point) == sizeof(mfs_point) && alignof(Point) == alignof(mfs_point));
  require(taps || count == 0, "the taps are null");
  return {reinterpret_cast<const Point*>(taps), count};
}

SessionOptions session_options_of(const mfs_session_options* options) {
  const mfs_session_options c = options_of(options, "mfs_session_options");
  require(c.memory || !c.memory_bytes, "memory_bytes is given without memory");
  require(!c.memory || c.memory_bytes, "memory is given without memory_bytes");
  return {.height = c.network_height,
          .width = c.network_width,
          .native_size = c.native_size != 0,
          .max_batch = c.max_batch,
          .max_height = c.max_height,
          .max_width = c.max_width,
          .device_photos_only = c.device_photos_only != 0,
          .memory = {static_cast<std::byte*>(c.memory), c.memory_bytes},
          .zoom_in = c.zoom_in != 0,
          .refine = c.refine != 0};
}

RunRequest request_of(const mfs_request& request) {
  require(request.outputs, "the outputs are null");
  const mfs_outputs c = options_of(request.outputs, "mfs_outputs");
  RunRequest r{.image = view_of(request.image),
               .taps = points_of(request.taps, request.tap_count),
               .mask = c.mask,
               .mask_stride = c.mask_row_stride,
               .probability = c.probability,
               .probability_stride = c.probability_row_stride};
  if (c.threshold != 0) r.threshold = c.threshold;
  if (!r.mask_stride) r.mask_stride = r.image.width;
  if (!r.probability_stride) r.probability_stride = std::int64_t{r.image.width} * 4;
  return r;
}

// The caller's requests as ours, without memory.
class Requests {
 public:
  Requests(const mfs_request* requests, size_t count) : count_(count) {
    require(requests && count > 0, "there is no photo");
    require(count <= all_.size(), "too many photos in one call");
    for (size_t i = 0; i < count; ++i) all_[i] = request_of(requests[i]);
  }
  std::span<const RunRequest> all() const { return {all_.data(), count_}; }

 private:
  std::array<RunRequest, kMostPhotos> all_;
  size_t count_;
};

}  // namespace

extern "C" {

uint32_t mfs_abi_version(void) { return MFS_ABI_VERSION; }
const char* mfs_version(void) { return MFS_VERSION; }
const char* mfs_build_info(void) { return build_info(); }

mfs_status mfs_model_load(const char* path, const mfs_model_options* options, mfs_model** model, mfs_error* error) {
  return guarded(error, [&]() -> Status {
    require(path && model, "a path and a place for the model are needed");
    const mfs_model_options c = options_of(options, "mfs_model_options");
    ModelOptions o;
    if (c.device) o.device = c.device;
    if (c.precision) o.precision = c.precision;
    require(c.threads >= 0 && c.threads <= 1024, "threads must be 0 (all) to 1024");
    o.threads = c.threads;
    if (c.log) o.log = [log = c.log, user = c.log_user](const std::string& line) { log(user, line.c_str()); };
    *model = new mfs_model{std::make_shared<const Model>(path, o)};
    return {};
  });
}

void mfs_model_destroy(mfs_model* model) { delete model; }

mfs_status mfs_model_get_info(const mfs_model* model, mfs_model_info* info, mfs_error* error) {
  return guarded(error, [&]() -> Status {
    require(model && info, "a model and a place for its description are needed");
    const WeightsFile& w = model->impl->weights();
    *info = {to_string(w.network().variant), model->impl->device(),    model->impl->precision(),
             w.preprocess().width,           w.preprocess().height,    w.preprocess().guidance.kind != Guidance::Kind::kNone,
             model->impl->threads(),         model->impl->parameters()};
    return {};
  });
}

mfs_status mfs_session_create(mfs_model* model, const mfs_session_options* options, mfs_session** session, mfs_error* error) {
  return guarded(error, [&]() -> Status {
    require(model && session, "a model and a place for the session are needed");
    *session = new mfs_session{Session(model->impl, session_options_of(options))};
    return {};
  });
}

void mfs_session_destroy(mfs_session* session) { delete session; }

mfs_status mfs_session_memory_needed(mfs_model* model, const mfs_session_options* options, mfs_memory* memory,
                                     mfs_error* error) {
  return guarded(error, [&]() -> Status {
    require(model && memory, "a model and a place for the answer are needed");
    const SessionBytes bytes = Session::memory_needed(*model->impl, session_options_of(options));
    *memory = {bytes.main, Workspace::kAlignment, bytes.pinned};
    return {};
  });
}

mfs_status mfs_session_warm_up(mfs_session* session, int32_t width, int32_t height, int32_t batch, mfs_error* error) {
  return guarded(error, [&]() -> Status {
    require(session, "a session is needed");
    return session->impl.warm_up(width, height, batch);
  });
}

mfs_status mfs_session_run(mfs_session* session, const mfs_image* image, const mfs_point* taps, size_t tap_count,
                           const mfs_outputs* outputs, mfs_error* error) {
  const mfs_request request{image, taps, tap_count, outputs};
  return mfs_session_run_batch(session, &request, 1, error);
}

mfs_status mfs_session_run_batch(mfs_session* session, const mfs_request* requests, size_t count, mfs_error* error) {
  return guarded(error, [&]() -> Status {
    require(session, "a session is needed");
    const Requests r(requests, count);
    return session->impl.run(r.all());
  });
}

mfs_status mfs_session_enqueue(mfs_session* session, void* stream, const mfs_request* requests, size_t count,
                               mfs_error* error) {
  return guarded(error, [&]() -> Status {
    require(session, "a session is needed");
    const Requests r(requests, count);
    return session->impl.enqueue(stream, r.all());
  });
}

mfs_timings mfs_session_timings(const mfs_session* session) {
  if (!session) return {};
  const Timings& t = session->impl.timings();
  return {t.prepare, t.infer, t.finish};
}

size_t mfs_session_memory_bytes(const mfs_session* session) { return session ? session->impl.memory_bytes() : 0; }

void mfs_session_set_profiling(mfs_session* session, int32_t on) {
  if (session) session->impl.set_profiling(on != 0);
}

size_t mfs_session_profile(const mfs_session* session, mfs_profile_entry* entries, size_t capacity) {
  if (!session || !session->impl.executor()) return 0;
  const Executor& e = *session->impl.executor();
  const std::vector<StepInfo>& steps = e.steps();
  for (std::size_t i = 0; entries && i < std::min(capacity, steps.size()); ++i) {
    const StepInfo& s = steps[i];
    entries[i] = {s.name.c_str(),
                  s.operation.c_str(),
                  s.algorithm.c_str(),
                  e.step_microseconds(i),
                  s.cost.bytes_read + s.cost.bytes_written,
                  s.cost.flops};
  }
  return steps.size();
}

mfs_status mfs_session_set_observing(mfs_session* session, int32_t on, mfs_error* error) {
  return guarded(error, [&]() -> Status {
    require(session, "a session is needed");
    return session->impl.set_observing(on != 0);
  });
}

mfs_status mfs_session_write_calibrated(mfs_session* session, const char* path, mfs_error* error) {
  return guarded(error, [&]() -> Status {
    require(session && path, "a session and a path are needed");
    return session->impl.write_calibrated(path);
  });
}

mfs_status mfs_cut_out(const mfs_image* image, const mfs_map* probability, int32_t threads, uint8_t* dst, int64_t dst_stride,
                       mfs_error* error) {
  return guarded(error, [&] {
    return run(cpu_of(threads),
               CutOut{view_of(image), view_of(probability), output_of(image, PixelFormat::kRgba, dst, dst_stride)});
  });
}

mfs_status mfs_blur_background(const mfs_image* image, const mfs_map* probability, float radius, int32_t threads, uint8_t* dst,
                               int64_t dst_stride, mfs_error* error) {
  return guarded(error, [&]() -> Status {
    BackgroundBlur op{view_of(image), view_of(probability), radius, output_of(image, PixelFormat::kRgb, dst, dst_stride), {}};
    if (Status s = check(op); !s) return s;
    const Cpu cpu = cpu_of(threads);
    const AlignedBuffer scratch(scratch_bytes(cpu, op));
    op.scratch = scratch.span();
    return run(cpu, op);
  });
}

mfs_status mfs_overlay(const mfs_image* image, const mfs_map* probability, float threshold, const mfs_point* taps,
                       size_t tap_count, int32_t threads, uint8_t* dst, int64_t dst_stride, mfs_error* error) {
  return guarded(error, [&] {
    const float between = threshold != 0 ? threshold : 0.5f;
    return run(cpu_of(threads), Overlay{view_of(image), view_of(probability), between, points_of(taps, tap_count),
                                        output_of(image, PixelFormat::kRgb, dst, dst_stride)});
  });
}

}  // extern "C"
