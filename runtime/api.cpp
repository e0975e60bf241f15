// The C border: no exception crosses it, every failure becomes a code and a sentence.
#include <algorithm>
#include <cstring>
#include <exception>
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
  Model impl;
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
  }
}

// The caller's struct, cut or filled with zeros to the size this version knows.
template <typename T>
T options_of(const T* given, const char* what) {
  T known{};
  if (!given) return known;
  if (given->struct_size < sizeof(std::size_t))
    throw Error(Code::kInvalidArgument, std::string(what) + ".struct_size is not set");
  std::memcpy(&known, given, std::min(given->struct_size, sizeof known));
  return known;
}

void require(bool ok, const char* sentence) {
  if (!ok) throw Error(Code::kInvalidArgument, sentence);
}

ImageView view_of(const mfs_image* image) {
  require(image && image->data, "the photo is empty");
  require(image->format >= MFS_RGB && image->format <= MFS_GREY, "unknown pixel format");
  const auto format = static_cast<PixelFormat>(image->format);
  const std::int64_t stride = image->row_stride ? image->row_stride : std::int64_t{image->width} * channels_of(format);
  return {image->data, image->width, image->height, stride, format};
}

MapView view_of(const mfs_map* map) {
  require(map && map->data, "the probability map is empty");
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
    if (c.log) o.log = [&c](const std::string& line) { c.log(c.log_user, line.c_str()); };
    *model = new mfs_model{Model(path, o)};
    return {};
  });
}

void mfs_model_destroy(mfs_model* model) { delete model; }

mfs_status mfs_model_get_info(const mfs_model* model, mfs_model_info* info, mfs_error* error) {
  return guarded(error, [&]() -> Status {
    require(model && info, "a model and a place for its description are needed");
    const WeightsFile& w = model->impl.weights();
    *info = {to_string(w.network().variant), model->impl.device(),    model->impl.precision(),
             w.preprocess().width,           w.preprocess().height,   w.preprocess().guidance.kind != Guidance::Kind::kNone,
             model->impl.threads(),          model->impl.parameters()};
    return {};
  });
}

mfs_status mfs_session_create(mfs_model* model, const mfs_session_options* options, mfs_session** session, mfs_error* error) {
  return guarded(error, [&]() -> Status {
    require(model && session, "a model and a place for the session are needed");
    const mfs_session_options c = options_of(options, "mfs_session_options");
    *session = new mfs_session{Session(model->impl, {c.network_height, c.network_width, c.native_size != 0})};
    return {};
  });
}

void mfs_session_destroy(mfs_session* session) { delete session; }

mfs_status mfs_session_run(mfs_session* session, const mfs_image* image, const mfs_point* taps, size_t tap_count,
                           const mfs_outputs* outputs, mfs_error* error) {
  return guarded(error, [&]() -> Status {
    require(session && outputs, "a session and outputs are needed");
    const mfs_outputs c = options_of(outputs, "mfs_outputs");
    RunRequest r{.image = view_of(image),
                 .taps = points_of(taps, tap_count),
                 .mask = c.mask,
                 .mask_stride = c.mask_row_stride,
                 .probability = c.probability,
                 .probability_stride = c.probability_row_stride};
    if (c.threshold != 0) r.threshold = c.threshold;
    if (!r.mask_stride) r.mask_stride = r.image.width;
    if (!r.probability_stride) r.probability_stride = std::int64_t{r.image.width} * 4;
    return session->impl.run(r);
  });
}

mfs_status mfs_session_memory_needed(mfs_model*, const mfs_session_options*, mfs_memory*, mfs_error* error) {
  return report(Code::kUnsupported, "mfs_session_memory_needed is not in this build", error);
}

mfs_status mfs_session_warm_up(mfs_session*, int32_t, int32_t, int32_t, mfs_error* error) {
  return report(Code::kUnsupported, "mfs_session_warm_up is not in this build", error);
}

mfs_status mfs_session_run_batch(mfs_session* session, const mfs_request* requests, size_t count, mfs_error* error) {
  if (!requests || count != 1) return report(Code::kUnsupported, "this build runs one photo at a time", error);
  return mfs_session_run(session, requests->image, requests->taps, requests->tap_count, requests->outputs, error);
}

mfs_status mfs_session_enqueue(mfs_session*, void*, const mfs_request*, size_t, mfs_error* error) {
  return report(Code::kUnsupported, "mfs_session_enqueue is not in this build", error);
}

mfs_timings mfs_session_timings(const mfs_session* session) {
  if (!session || !session->impl.executor()) return {};
  const Timings& t = session->impl.executor()->timings();
  return {t.prepare, t.infer, t.finish};
}

size_t mfs_session_memory_bytes(const mfs_session* session) {
  return session && session->impl.executor() ? session->impl.executor()->memory_bytes() : 0;
}

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
    return run(cpu_of(threads), Overlay{view_of(image), view_of(probability), threshold, points_of(taps, tap_count),
                                        output_of(image, PixelFormat::kRgb, dst, dst_stride)});
  });
}

}  // extern "C"
