// NumPy arrays as the library's images, maps and outputs: views without a copy wherever rows are dense inside, whatever their
// stride.
#pragma once

#include <pybind11/numpy.h>

#include <optional>
#include <string>

#include "mfs/mfs.h"

namespace mfs::python {

// Keeps alive what the view points into.
struct ImageView {
  pybind11::array owner;
  mfs_image image;
};
struct MapView {
  pybind11::array owner;
  mfs_map map;
};

// Height x width (grey) or height x width x 1, 3 or 4, uint8. `format` is "rgb", "rgba", "bgr", "grey", or none: by the shape.
ImageView image_view(const pybind11::object& image, const std::optional<std::string>& format);
// Height x width, float32.
MapView map_view(const pybind11::object& map);

// An array to write into: `given` after a check of its type, shape and strides, or, if none, a new one.
pybind11::array output_array(const pybind11::object& given, const char* name, const pybind11::dtype& type,
                             std::initializer_list<pybind11::ssize_t> shape);

}  // namespace mfs::python
