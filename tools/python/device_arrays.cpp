#include "tools/python/device_arrays.h"

#include <pybind11/stl.h>

namespace mfs::python {
namespace {

namespace py = pybind11;

// DLPack's structs, version 0: what a capsule named "dltensor" points at.
struct DlTensor {
  void* data;
  std::int32_t device_type, device_id;
  std::int32_t ndim;
  std::uint8_t type_code, type_bits;
  std::uint16_t type_lanes;
  const std::int64_t* shape;
  const std::int64_t* strides;  // in elements; null for dense
  std::uint64_t byte_offset;
};
struct DlManagedTensor {
  DlTensor tensor;
  void* context;
  void (*deleter)(DlManagedTensor*);
};
constexpr int kDlCuda = 2, kDlUint = 1, kDlFloat = 2;

[[noreturn]] void wrong_type(const std::string& name) {
  throw py::type_error(name + " must be of type uint8, or float32 for a probability");
}

std::vector<std::int64_t> dense_strides(const std::vector<std::int64_t>& shape, std::int64_t item) {
  std::vector<std::int64_t> strides(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0; item *= shape[axis]) strides[axis] = item;
  return strides;
}

DeviceArray from_dlpack(const py::object& object, const std::string& name, std::uintptr_t stream) {
  const auto device = py::cast<std::pair<int, int>>(object.attr("__dlpack_device__")());
  if (device.first != kDlCuda) throw py::type_error(name + " is not in a GPU's memory");
  DeviceArray array;
  // The capsule is not consumed: its own destructor releases the tensor. 1 is DLPack's number for the default stream.
  array.owner = object.attr("__dlpack__")(py::arg("stream") = stream == 0 ? 1 : stream);
  const auto* managed = static_cast<const DlManagedTensor*>(PyCapsule_GetPointer(array.owner.ptr(), "dltensor"));
  if (managed == nullptr) throw py::error_already_set();
  const DlTensor& t = managed->tensor;
  array.floats = t.type_code == kDlFloat && t.type_bits == 32;
  if (t.type_lanes != 1 || !(array.floats || (t.type_code == kDlUint && t.type_bits == 8))) wrong_type(name);
  const std::int64_t item = array.floats ? 4 : 1;
  array.data = static_cast<char*>(t.data) + t.byte_offset;
  array.shape.assign(t.shape, t.shape + t.ndim);
  array.strides = dense_strides(array.shape, item);
  for (int axis = 0; t.strides != nullptr && axis < t.ndim; ++axis) array.strides[axis] = t.strides[axis] * item;
  return array;
}

DeviceArray from_interface(const py::object& object, const std::string& name) {
  const py::dict interface = object.attr("__cuda_array_interface__");
  DeviceArray array;
  array.owner = object;
  const std::string type = py::cast<std::string>(interface["typestr"]);
  array.floats = type == "<f4";
  if (!array.floats && type != "|u1") wrong_type(name);
  array.data = reinterpret_cast<void*>(py::cast<std::pair<std::uintptr_t, bool>>(interface["data"]).first);
  array.shape = py::cast<std::vector<std::int64_t>>(interface["shape"]);
  array.strides = dense_strides(array.shape, array.floats ? 4 : 1);
  if (interface.contains("strides") && !interface["strides"].is_none())
    array.strides = py::cast<std::vector<std::int64_t>>(interface["strides"]);
  return array;
}

std::string shape_text(const DeviceArray& array) { return py::str(py::tuple(py::cast(array.shape))); }

// The distance of rows; an error if the pixels of a row have gaps.
std::int64_t row_stride(const DeviceArray& array, const std::string& name) {
  std::int64_t expected = array.floats ? 4 : 1;
  for (std::size_t axis = array.shape.size() - 1; axis > 0; --axis) {
    if (array.shape[axis] > 1 && array.strides[axis] != expected)
      throw py::value_error(name + " of shape " + shape_text(array) + " has gaps within a row");
    expected *= array.shape[axis];
  }
  return array.shape[0] == 1 ? 0 : array.strides[0];
}

void require_size(const DeviceArray& array, const std::string& name, bool floats, const mfs_image& image) {
  if (array.floats != floats) throw py::type_error(name + " must be of type " + (floats ? "float32" : "uint8"));
  if (array.shape != std::vector<std::int64_t>{image.height, image.width})
    throw py::value_error(name + " of shape " + shape_text(array) + " has not the photo's height and width");
}

}  // namespace

DeviceArray device_array(const py::object& object, const std::string& name, std::uintptr_t stream) {
  if (py::hasattr(object, "__dlpack_device__")) return from_dlpack(object, name, stream);
  if (py::hasattr(object, "__cuda_array_interface__")) return from_interface(object, name);
  throw py::type_error(name + " has neither __dlpack__ nor __cuda_array_interface__");
}

mfs_image device_image(const DeviceArray& array, mfs_pixel_format three_channels) {
  const std::size_t axes = array.shape.size();
  const std::int64_t channels = axes == 3 ? array.shape[2] : axes == 2 ? 1 : 0;
  if (array.floats) throw py::type_error("image must be of type uint8");
  if ((channels != 1 && channels != 3 && channels != 4) || array.shape[0] > INT32_MAX || array.shape[1] > INT32_MAX)
    throw py::value_error("image of shape " + shape_text(array) + " is neither height x width nor height x width x 1, 3 or 4");
  const mfs_pixel_format format = channels == 1 ? MFS_GREY : channels == 3 ? three_channels : MFS_RGBA;
  return {static_cast<const std::uint8_t*>(array.data), std::int32_t(array.shape[1]), std::int32_t(array.shape[0]),
          row_stride(array, "image"), format};
}

void set_device_mask(const DeviceArray& array, const mfs_image& image, mfs_outputs& outputs) {
  require_size(array, "mask", false, image);
  outputs.mask = static_cast<std::uint8_t*>(array.data);
  outputs.mask_row_stride = row_stride(array, "mask");
}

void set_device_probability(const DeviceArray& array, const mfs_image& image, mfs_outputs& outputs) {
  require_size(array, "probability", true, image);
  outputs.probability = static_cast<float*>(array.data);
  outputs.probability_row_stride = row_stride(array, "probability");
}

}  // namespace mfs::python
