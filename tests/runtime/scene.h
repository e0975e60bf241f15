// A photo with its tap and its results, in memory with gaps; the models that such tests run.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/error.h"
#include "runtime/session.h"
#include "tests/runtime/golden_network.h"

namespace mfs::core::test {

// The golden photo, `scale` times as large, in RGBA.
struct Scene {
  explicit Scene(const GoldenNetwork& golden, int scale, Point tap)
      : width(golden.width * scale), height(golden.height * scale), stride(width * 4 + 12), taps{tap} {
    pixels.resize(static_cast<std::size_t>(stride) * height);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        for (int c = 0; c < 3; ++c)
          pixels[static_cast<std::size_t>(y) * stride + 4 * x + c] =
              golden.pixels[static_cast<std::size_t>(3 * (y / scale * golden.width + x / scale) + c)];
    mask.assign(static_cast<std::size_t>(width + 3) * height, 77);
    probability.assign(static_cast<std::size_t>(width + 1) * height, -1);
  }
  RunRequest request(float threshold) {
    return {.image = {pixels.data(), width, height, stride, PixelFormat::kRgba},
            .taps = taps,
            .mask = mask.data(),
            .mask_stride = width + 3,
            .probability = probability.data(),
            .probability_stride = std::int64_t{4} * (width + 1),
            .threshold = threshold};
  }
  int width, height, stride;
  std::vector<Point> taps;
  std::vector<std::uint8_t> pixels, mask;
  std::vector<float> probability;
};

// Null if this program or machine has no such device.
inline std::shared_ptr<const Model> model_on(const char* device, const GoldenNetwork& golden) {
  ModelOptions options;
  options.device = device, options.threads = 2;
  options.precision = options.device == "cpu" ? "f32" : "f16";
  try {
    return std::make_shared<const Model>(golden.weights_path, options);
  } catch (const Error& e) {
    REQUIRE((e.code() == Code::kNoDevice || e.code() == Code::kUnsupported));
    return nullptr;
  }
}

// body(model) for every device that this program and machine have.
template <typename Body>
void on_every_device(const GoldenNetwork& golden, const Body& body) {
  int devices = 0;
  for (const char* device : {"cpu", "cuda"}) {
    CAPTURE(std::string(device));
    const std::shared_ptr<const Model> model = model_on(device, golden);
    if (!model) continue;
    ++devices;
    body(model);
  }
  CHECK(devices > 0);
}

inline bool is_on_cpu(const Model& model) { return std::string_view(model.device()) == "cpu"; }

}  // namespace mfs::core::test
