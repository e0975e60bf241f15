// Preconditions that several operations share, as sentences for the user. Nothing here allocates unless a check fails.
#pragma once

#include <span>
#include <string>

#include "kernels/status.h"
#include "kernels/tensor_view.h"

namespace mfs::core {

inline Status refuse(const char* operation, const std::string& why) { return invalid(std::string(operation) + ": " + why); }

inline bool is_floating(DType t) { return t == DType::kF32 || t == DType::kF16 || t == DType::kBF16; }

// What f16 means on the CPU, bf16 being as fast there and safer.
inline Status refuse_f16_on_cpu(const char* operation) {
  return refuse(operation, "the CPU engine has no f16; use f32 or bf16");
}

// A tensor the kernels can walk over: has data, no empty side, pixels that do not overlap, f32, f16 or bf16.
inline Status check_tensor(const char* operation, const char* name, const View& v) {
  const Shape& s = v.shape;
  if (v.data == nullptr) return refuse(operation, std::string(name) + " has no data");
  if (s.n < 1 || s.h < 1 || s.w < 1 || s.c < 1) return refuse(operation, std::string(name) + " is empty: " + to_string(s));
  if (v.pitch < s.c) {
    return refuse(operation,
                  std::string(name) + " has " + std::to_string(s.c) + " channels but a pitch of " + std::to_string(v.pitch));
  }
  if (!is_floating(v.dtype)) return refuse(operation, std::string(name) + " is " + name_of(v.dtype) + ", not f32, f16 or bf16");
  return {};
}

inline Status check_dense_f32(const char* operation, const char* name, const View& v) {
  if (Status s = check_tensor(operation, name, v); !s) return s;
  if (v.dtype != DType::kF32) return refuse(operation, std::string(name) + " is " + name_of(v.dtype) + ", not f32");
  if (!v.dense()) return refuse(operation, std::string(name) + " is not dense");
  return {};
}

inline Status check_same_dtype(const char* operation, const char* a_name, const View& a, const char* b_name, const View& b) {
  if (a.dtype == b.dtype) return {};
  return refuse(operation, std::string(a_name) + " is " + name_of(a.dtype) + " but " + b_name + " is " + name_of(b.dtype));
}

inline Status check_shape(const char* operation, const char* name, const View& v, const Shape& expected) {
  if (v.shape == expected) return {};
  return refuse(operation, std::string(name) + " is " + to_string(v.shape) + ", expected " + to_string(expected));
}

inline Status check_image(const char* operation, const ImageView& image) {
  if (image.data == nullptr) return refuse(operation, "the photo has no data");
  if (image.width < 1 || image.height < 1) {
    return refuse(operation, "the photo is empty: " + std::to_string(image.width) + "x" + std::to_string(image.height));
  }
  if (image.row_stride < std::int64_t{image.width} * channels_of(image.format)) {
    return refuse(operation, "a photo row stride of " + std::to_string(image.row_stride) + " bytes does not fit " +
                                 std::to_string(image.width) + " pixels of " + std::to_string(channels_of(image.format)) +
                                 " bytes");
  }
  return {};
}

inline Status check_scratch(const char* operation, std::span<const std::byte> scratch, std::size_t needed) {
  if (scratch.size() < needed) {
    return refuse(operation, "needs " + std::to_string(needed) + " bytes of scratch, got " + std::to_string(scratch.size()));
  }
  if (reinterpret_cast<std::uintptr_t>(scratch.data()) % 64 != 0) return refuse(operation, "scratch is not 64-byte aligned");
  return {};
}

}  // namespace mfs::core
