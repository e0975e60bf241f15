// mfs for Python: the C interface with NumPy arrays for pixels and exceptions for codes.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "mfs/mfs.hpp"
#include "tools/python/arrays.h"
#include "tools/python/device_arrays.h"

namespace mfs::python {
namespace {

namespace py = pybind11;

// NumPy 2 lays its arrays' types out anew, which pybind11 knows from 2.12 on: older ones see no pixels.
void refuse_misread_numpy() {
#if PYBIND11_VERSION_MAJOR == 2 && PYBIND11_VERSION_MINOR < 12
  const auto version = py::module_::import("numpy").attr("__version__").cast<std::string>();
  if (!version.starts_with("1."))
    throw py::import_error("this build of mfs cannot read the arrays of NumPy " + version +
                           "; build it with pybind11 2.12 or newer (pip install . does), or use NumPy 1");
#endif
}

using Taps = std::vector<std::array<float, 2>>;

std::vector<Point> points(const Taps& taps) {
  std::vector<Point> result;
  result.reserve(taps.size());
  for (const std::array<float, 2>& tap : taps) result.push_back({tap[0], tap[1]});
  return result;
}

// The weights that came with the package.
std::string shipped_weights() {
  const std::filesystem::path module = py::cast<std::string>(py::module_::import("mfs._core").attr("__file__"));
  return (module.parent_path() / "weights" / "mfs-small.safetensors").string();
}

std::shared_ptr<Model> load(const std::optional<std::filesystem::path>& path, std::string device, std::string precision,
                            int threads) {
  const std::string file = path ? path->string() : shipped_weights();
  const ModelOptions options{std::move(device), std::move(precision), threads};
  const py::gil_scoped_release unlocked;
  return std::make_shared<Model>(file, options);
}

// A session and what it must not outlive.
class PySession {
 public:
  PySession(std::shared_ptr<Model> model, const SessionOptions& options)
      : model_(std::move(model)), session_(*model_, options) {}

  void run(const ImageView& view, const Taps& taps, py::array* mask, py::array* probability, float threshold) {
    const std::vector<Point> at = points(taps);
    mfs_outputs outputs{};
    outputs.struct_size = sizeof outputs;
    outputs.threshold = threshold;
    if (mask != nullptr) {
      outputs.mask = static_cast<std::uint8_t*>(mask->mutable_data());
      outputs.mask_row_stride = mask->shape(0) == 1 ? 0 : mask->strides(0);
    }
    if (probability != nullptr) {
      outputs.probability = static_cast<float*>(probability->mutable_data());
      outputs.probability_row_stride = probability->shape(0) == 1 ? 0 : probability->strides(0);
    }
    const py::gil_scoped_release unlocked;
    session_.run(view.image, at, outputs);
  }

  const Session& session() const { return session_; }
  Session& session() { return session_; }

 private:
  std::shared_ptr<Model> model_;
  Session session_;
};

using Size = std::optional<std::pair<int, int>>;

std::unique_ptr<PySession> make_session(std::shared_ptr<Model> model, Size size, bool native_size, int max_batch, Size max_size,
                                        bool device_photos_only, bool zoom_in, bool refine) {
  SessionOptions options;
  if (size) std::tie(options.network_width, options.network_height) = *size;
  if (max_size) std::tie(options.max_width, options.max_height) = *max_size;
  options.native_size = native_size;
  options.max_batch = max_batch;
  options.device_photos_only = device_photos_only;
  options.zoom_in = zoom_in;
  options.refine = refine;
  const py::gil_scoped_release unlocked;
  return std::make_unique<PySession>(std::move(model), options);
}

void require_taps_for(std::size_t images, std::size_t taps) {
  if (images != taps) throw py::value_error(std::to_string(images) + " images, but taps for " + std::to_string(taps));
}

std::vector<py::array> segment_batch(PySession& session, const std::vector<py::object>& images, const std::vector<Taps>& taps,
                                     float threshold, const std::optional<std::string>& format) {
  require_taps_for(images.size(), taps.size());
  const std::size_t count = images.size();
  std::vector<ImageView> views;
  std::vector<py::array> masks;
  std::vector<std::vector<Point>> at;
  std::vector<mfs_outputs> outputs(count);
  std::vector<Request> requests(count);
  for (const py::object& image : images) views.push_back(image_view(image, format));
  for (const Taps& one : taps) at.push_back(points(one));
  for (std::size_t i = 0; i < count; ++i) {
    const Image& image = views[i].image;
    masks.push_back(output_array(py::none(), "out", py::dtype::of<std::uint8_t>(), {image.height, image.width}));
    outputs[i].struct_size = sizeof outputs[i];
    outputs[i].mask = static_cast<std::uint8_t*>(masks[i].mutable_data());
    outputs[i].threshold = threshold;
    requests[i] = {&image, at[i].data(), at[i].size(), &outputs[i]};
  }
  const py::gil_scoped_release unlocked;
  session.session().run(requests);
  return masks;
}

// `masks` and `probabilities`: as many as there are images, or none.
void enqueue(PySession& session, const std::vector<py::object>& images, const std::vector<Taps>& taps,
             const std::vector<py::object>& masks, const std::vector<py::object>& probabilities, std::uintptr_t stream,
             float threshold, bool bgr) {
  const std::size_t count = images.size();
  require_taps_for(count, taps.size());
  if ((!masks.empty() && masks.size() != count) || (!probabilities.empty() && probabilities.size() != count))
    throw py::value_error("masks and probabilities: one for each image, or none");
  std::vector<DeviceArray> arrays;  // alive until everything is queued
  std::vector<Image> photos;
  std::vector<std::vector<Point>> at;
  std::vector<mfs_outputs> outputs(count);
  std::vector<Request> requests;
  for (std::size_t i = 0; i < count; ++i) {
    arrays.push_back(device_array(images[i], "image", stream));
    photos.push_back(device_image(arrays.back(), bgr ? MFS_BGR : MFS_RGB));
    at.push_back(points(taps[i]));
    outputs[i].struct_size = sizeof outputs[i];
    outputs[i].threshold = threshold;
    if (!masks.empty()) {
      arrays.push_back(device_array(masks[i], "mask", stream));
      set_device_mask(arrays.back(), photos[i], outputs[i]);
    }
    if (!probabilities.empty()) {
      arrays.push_back(device_array(probabilities[i], "probability", stream));
      set_device_probability(arrays.back(), photos[i], outputs[i]);
    }
  }
  for (std::size_t i = 0; i < count; ++i) requests.push_back({&photos[i], at[i].data(), at[i].size(), &outputs[i]});
  const py::gil_scoped_release unlocked;
  session.session().enqueue(reinterpret_cast<void*>(stream), requests);
}

void warm_up(PySession& session, int width, int height, int batch) {
  const py::gil_scoped_release unlocked;
  session.session().warm_up(width, height, batch);
}

py::array segment(PySession& session, const py::object& image, const Taps& taps, float threshold,
                  const std::optional<std::string>& format, const py::object& out) {
  const ImageView view = image_view(image, format);
  py::array mask = output_array(out, "out", py::dtype::of<std::uint8_t>(), {view.image.height, view.image.width});
  session.run(view, taps, &mask, nullptr, threshold);
  return mask;
}

py::array probability(PySession& session, const py::object& image, const Taps& taps, const std::optional<std::string>& format,
                      const py::object& out) {
  const ImageView view = image_view(image, format);
  py::array map = output_array(out, "out", py::dtype::of<float>(), {view.image.height, view.image.width});
  session.run(view, taps, nullptr, &map, 0);
  return map;
}

py::dict timings(const PySession& session) {
  const Timings t = session.session().timings();
  py::dict result;
  result["prepare"] = t.prepare;
  result["infer"] = t.infer;
  result["finish"] = t.finish;
  return result;
}

// The effects: `call` gets the destination of `channels` bytes per pixel.
template <class Call>
py::array effect(const py::object& image, const py::object& probability, const std::optional<std::string>& format, int channels,
                 const Call& call) {
  const ImageView photo = image_view(image, format);
  const MapView map = map_view(probability);
  py::array out =
      output_array(py::none(), "out", py::dtype::of<std::uint8_t>(), {photo.image.height, photo.image.width, channels});
  auto* const dst = static_cast<std::uint8_t*>(out.mutable_data());
  mfs_error error{};
  mfs_status status = MFS_OK;
  {
    const py::gil_scoped_release unlocked;
    status = call(photo.image, map.map, dst, error);
  }
  detail::require(status, error);
  return out;
}

py::array cut_out(const py::object& image, const py::object& probability, const std::optional<std::string>& format,
                  int threads) {
  return effect(image, probability, format, 4, [&](const Image& photo, const Map& map, std::uint8_t* dst, mfs_error& error) {
    return mfs_cut_out(&photo, &map, threads, dst, 0, &error);
  });
}

py::array blur_background(const py::object& image, const py::object& probability, float radius,
                          const std::optional<std::string>& format, int threads) {
  return effect(image, probability, format, 3, [&](const Image& photo, const Map& map, std::uint8_t* dst, mfs_error& error) {
    return mfs_blur_background(&photo, &map, radius, threads, dst, 0, &error);
  });
}

py::array overlay(const py::object& image, const py::object& probability, const Taps& taps, float threshold,
                  const std::optional<std::string>& format, int threads) {
  const std::vector<Point> at = points(taps);
  return effect(image, probability, format, 3, [&](const Image& photo, const Map& map, std::uint8_t* dst, mfs_error& error) {
    return mfs_overlay(&photo, &map, threshold, at.data(), at.size(), threads, dst, 0, &error);
  });
}

// mfs.Error: the sentence, and the code as `status`.
void register_error(py::module_& module) {
  static py::handle type = PyErr_NewExceptionWithDoc(
      "mfs.Error", "What the library reports: a sentence, and its Status as `status`.", PyExc_RuntimeError, nullptr);
  module.add_object("Error", type);
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      const py::object instance = type(error.what());
      instance.attr("status") = error.status();
      PyErr_SetObject(type.ptr(), instance.ptr());
    }
  });
}

}  // namespace

PYBIND11_MODULE(_core, module) {
  using namespace pybind11::literals;
  refuse_misread_numpy();
  py::enum_<mfs_status>(module, "Status")
      .value("OK", MFS_OK)
      .value("INVALID_ARGUMENT", MFS_INVALID_ARGUMENT)
      .value("BAD_WEIGHTS", MFS_BAD_WEIGHTS)
      .value("NO_DEVICE", MFS_NO_DEVICE)
      .value("UNSUPPORTED", MFS_UNSUPPORTED)
      .value("OUT_OF_MEMORY", MFS_OUT_OF_MEMORY)
      .value("INTERNAL", MFS_INTERNAL);
  register_error(module);
  module.def("version", &mfs_version, "The library's version.");
  module.def("build_info", &mfs_build_info, "The engines compiled in and their libraries, one line.");
  module.def("shipped_weights", &shipped_weights, "The path of the weights that came with the package.");

  py::class_<Model, std::shared_ptr<Model>>(
      module, "Model",
      "Weights, checked and ready for one device; immutable. Any number of sessions and threads may share it.\n\n"
      "path: a weights file; none means the one that came with the package. device: 'auto', 'cpu', 'cuda' or 'cuda:N'.\n"
      "precision: 'auto', 'f32', 'bf16', 'f16' or, with calibrated weights, 'int8'. threads: of the host, in a run; 0 = all.")
      .def(py::init(&load), "path"_a = py::none(), "device"_a = "auto", "precision"_a = "auto", "threads"_a = 0)
      .def("session", &make_session, "size"_a = py::none(), "native_size"_a = false, "max_batch"_a = 1,
           "max_size"_a = py::none(), "device_photos_only"_a = false, "zoom_in"_a = false, "refine"_a = false,
           "A new session. size: (width, height) of the network's input, multiples of 8 from 64 on; none means as trained.\n"
           "native_size: the photo's size instead. max_batch: most photos of one call. max_size: (width, height) of the "
           "largest\n"
           "photo; memory for it is allocated at once, and a larger one is an error. device_photos_only: only enqueue() will "
           "be\n"
           "called. zoom_in: look twice, the second time at the surroundings of what was found: better masks, twice the time.\n"
           "refine: outlines follow the photo's edges.")
      .def_property_readonly(
          "variant", [](const Model& m) { return m.info().variant; }, "Of the paper's networks: 'resnet-multi'.")
      .def_property_readonly("device", [](const Model& m) { return m.info().device; })
      .def_property_readonly("precision", [](const Model& m) { return m.info().precision; })
      .def_property_readonly(
          "size", [](const Model& m) { return std::pair(m.info().network_width, m.info().network_height); },
          "(width, height) of the network's input as trained.")
      .def_property_readonly("uses_taps", [](const Model& m) { return m.info().uses_taps != 0; })
      .def_property_readonly("threads", [](const Model& m) { return m.info().threads; })
      .def_property_readonly("parameters", [](const Model& m) { return m.info().parameters; });

  py::class_<PySession>(
      module, "Session",
      "Plan and memory of one user of a model; made by Model.session(). One thread at a time may use it; runs\n"
      "let other Python threads go on.")
      .def("segment", &segment, "image"_a, "taps"_a, "threshold"_a = 0.5f, "format"_a = py::none(), "out"_a = py::none(),
           "The mask of the tapped object: uint8, height x width, 255 where the probability is above the threshold.\n\n"
           "image: uint8, height x width x 3 (or 4, 1, or height x width), upright. Rows may be strided; what is not dense\n"
           "within a row is copied. taps: [(x, y), ...], photo pixels; (0, 0) is the centre of the top-left pixel.\n"
           "format: 'rgb', 'rgba', 'bgr' or 'grey'; none means by the shape. out: where to write instead of a new array.")
      .def("probability", &probability, "image"_a, "taps"_a, "format"_a = py::none(), "out"_a = py::none(),
           "The probability of belonging to the tapped object: float32, height x width.")
      .def("segment_batch", &segment_batch, "images"_a, "taps"_a, "threshold"_a = 0.5f, "format"_a = py::none(),
           "The masks of several photos, of any sizes, from one pass through the network; at most max_batch. taps: a list of\n"
           "taps for each image.")
      .def("enqueue", &enqueue, "images"_a, "taps"_a, "masks"_a = std::vector<py::object>(),
           "probabilities"_a = std::vector<py::object>(), "stream"_a = std::uintptr_t(0), "threshold"_a = 0.5f, "bgr"_a = false,
           "CUDA only: queues a batch in a stream (a cudaStream_t as a number) and returns at once. Images and results are "
           "arrays\n"
           "in the GPU's memory with __dlpack__ or __cuda_array_interface__; keep them until the stream has done the work. "
           "With\n"
           "DLPack, the stream waits for what the arrays' own library has queued; otherwise that is yours to see to. Photos "
           "must\n"
           "not be larger than max_size, or than what warm_up() was called for.")
      .def("warm_up", &warm_up, "width"_a, "height"_a, "batch"_a = 1,
           "Makes the first real run of `batch` photos of this size as quick as all others.")
      .def_property_readonly("timings", &timings, "Milliseconds of the last run: prepare, infer, finish.")
      .def_property_readonly("memory_bytes", [](const PySession& s) { return s.session().memory_bytes(); });

  module.def("cut_out", &cut_out, "image"_a, "probability"_a, "format"_a = py::none(), "threads"_a = 0,
             "RGBA, the object cut out with a soft edge.");
  module.def("blur_background", &blur_background, "image"_a, "probability"_a, "radius"_a, "format"_a = py::none(),
             "threads"_a = 0, "RGB, the background blurred with a disc of `radius` pixels.");
  module.def("overlay", &overlay, "image"_a, "probability"_a, "taps"_a = Taps(), "threshold"_a = 0.5f, "format"_a = py::none(),
             "threads"_a = 0, "RGB, object tinted and outlined, taps drawn.");
}

}  // namespace mfs::python
