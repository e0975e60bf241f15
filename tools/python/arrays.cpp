#include "tools/python/arrays.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace mfs::python {
namespace {

namespace py = pybind11;

std::string text(const py::handle& object) { return py::str(object); }
std::string shape_text(const py::array& array) { return text(array.attr("shape")); }

// Whether pixels follow each other within a row, and rows do not overlap or run backwards.
bool has_dense_rows(const py::array& array) {
  py::ssize_t expected = array.itemsize();
  for (py::ssize_t axis = array.ndim() - 1; axis > 0; --axis) {
    if (array.shape(axis) > 1 && array.strides(axis) != expected) return false;
    expected *= array.shape(axis);
  }
  return array.shape(0) == 1 || array.strides(0) >= expected;
}

// The array behind any object NumPy takes for one (a PIL image, a nested list); rows that are not dense are copied.
py::array dense_rows(const py::object& object, const char* name, const py::dtype& type, const char* type_name) {
  const py::module_ numpy = py::module_::import("numpy");
  py::array array = numpy.attr("asarray")(object);
  if (!array.dtype().is(type) && !array.dtype().equal(type))
    throw py::type_error(std::string(name) + " must be of type " + type_name + ", not " + text(array.dtype()));
  if (array.ndim() < 2 || array.size() == 0)
    throw py::value_error(std::string(name) + " of shape " + shape_text(array) + " has no rows of pixels");
  if (!has_dense_rows(array)) array = numpy.attr("ascontiguousarray")(array);
  return array;
}

mfs_pixel_format pixel_format(const py::array& array, const std::optional<std::string>& format) {
  struct Format {
    const char* name;
    mfs_pixel_format value;
    py::ssize_t channels;
  };
  static constexpr std::array<Format, 4> kFormats{
      {{"grey", MFS_GREY, 1}, {"rgb", MFS_RGB, 3}, {"rgba", MFS_RGBA, 4}, {"bgr", MFS_BGR, 3}}};
  const py::ssize_t channels = array.ndim() == 2 ? 1 : array.shape(2);
  if (array.ndim() <= 3) {
    for (const Format& f : kFormats)
      if (f.channels == channels && (!format || *format == f.name)) return f.value;
  }
  throw py::value_error("image of shape " + shape_text(array) +
                        (format ? " is not of format '" + *format + "' (rgb, rgba, bgr or grey)"
                                : " is neither height x width nor height x width x 1, 3 or 4"));
}

std::int32_t side(py::ssize_t length) {
  if (length > INT32_MAX) throw py::value_error("a side of " + std::to_string(length) + " pixels is too long");
  return std::int32_t(length);
}

}  // namespace

ImageView image_view(const py::object& image, const std::optional<std::string>& format) {
  py::array array = dense_rows(image, "image", py::dtype::of<std::uint8_t>(), "uint8");
  const mfs_pixel_format pixels = pixel_format(array, format);
  const std::int64_t stride = array.shape(0) == 1 ? 0 : array.strides(0);
  const mfs_image view{static_cast<const std::uint8_t*>(array.data()), side(array.shape(1)), side(array.shape(0)), stride,
                       pixels};
  return {std::move(array), view};
}

MapView map_view(const py::object& map) {
  py::array array = dense_rows(map, "probability", py::dtype::of<float>(), "float32");
  if (array.ndim() != 2) throw py::value_error("probability of shape " + shape_text(array) + " is not height x width");
  const std::int64_t stride = array.shape(0) == 1 ? 0 : array.strides(0);
  const mfs_map view{static_cast<const float*>(array.data()), side(array.shape(1)), side(array.shape(0)), stride};
  return {std::move(array), view};
}

py::array output_array(const py::object& given, const char* name, const py::dtype& type,
                       std::initializer_list<py::ssize_t> shape) {
  if (given.is_none()) return py::array(type, std::vector<py::ssize_t>(shape));
  const std::string wanted = std::string(name) + " must be a writable array of type " + text(type) + " and shape " +
                             text(py::cast(std::vector<py::ssize_t>(shape)));
  if (!py::isinstance<py::array>(given)) throw py::type_error(wanted);
  const py::array array = py::reinterpret_borrow<py::array>(given);
  if (!array.dtype().equal(type)) throw py::type_error(wanted + ", not of type " + text(array.dtype()));
  if (!std::equal(shape.begin(), shape.end(), array.shape(), array.shape() + array.ndim()))
    throw py::value_error(wanted + ", not of shape " + shape_text(array));
  if (!array.writeable() || !has_dense_rows(array)) throw py::value_error(wanted + ", pixels of a row without gaps");
  return array;
}

}  // namespace mfs::python
