// Arrays in a GPU's memory, from whatever library: DLPack (PyTorch, CuPy, JAX), else __cuda_array_interface__ (Numba).
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "mfs/mfs.h"

namespace mfs::python {

struct DeviceArray {
  pybind11::object owner;  // keeps the memory
  void* data = nullptr;
  bool floats = false;                       // float32, else uint8
  std::vector<std::int64_t> shape, strides;  // strides in bytes
};

// Makes `stream` (a cudaStream_t as a number, 0 for the default one) wait for what the array's library has queued, as far as
// that library offers it, which with __cuda_array_interface__ it does not. `name` is for sentences.
DeviceArray device_array(const pybind11::object& object, const std::string& name, std::uintptr_t stream);

// The array as an image, a mask or a probability of the given size; rows may have gaps, pixels within a row may not.
mfs_image device_image(const DeviceArray& array, mfs_pixel_format three_channels);
void set_device_mask(const DeviceArray& array, const mfs_image& image, mfs_outputs& outputs);
void set_device_probability(const DeviceArray& array, const mfs_image& image, mfs_outputs& outputs);

}  // namespace mfs::python
