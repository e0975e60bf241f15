// Runs a weights file on one photo and writes every named value of the network, and the probability at the photo's size,
// plainly interpolated and refined, as raw float32: what parity_test.py and precision_simulation_test.py compare with PyTorch.
//
//   stage_dump WEIGHTS PHOTO.rgb WIDTH HEIGHT NETWORK_WIDTH NETWORK_HEIGHT PRECISION FOLDER [X Y]...
//
// PHOTO.rgb is WIDTH * HEIGHT * 3 bytes. PRECISION: f32 or bf16; in stage_dump_emulated, whose engine is an emulated Hopper
// GPU's, f16, int8 or fp8. Prints "name n h w c" per value; the value is in FOLDER/name.f32, NHWC.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "kernels/bfloat16.h"
#include "kernels/float16.h"
#include "layers/network.h"
#include "weights/weights_file.h"
#if MFS_EMULATED
#include "runtime/cuda_executor.h"
#else
#include "runtime/cpu_executor.h"
#endif

using namespace mfs::core;

namespace {

void write(const std::string& folder, const std::string& name, const Shape& s, const std::vector<float>& values) {
  std::ofstream file(folder + "/" + name + ".f32", std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
  if (!file.flush()) throw std::runtime_error("cannot write " + folder + "/" + name + ".f32");
  std::printf("%s %d %d %d %d\n", name.c_str(), s.n, s.h, s.w, s.c);
}

float number(const View& v, std::int64_t i) {
  if (v.dtype == DType::kF32) return static_cast<const float*>(v.data)[i];
  if (v.dtype == DType::kF16) return static_cast<float>(static_cast<const Float16*>(v.data)[i]);
  return static_cast<float>(static_cast<const BFloat16*>(v.data)[i]);
}

std::vector<float> dense(const View& v) {
  std::vector<float> out;
  for (std::int64_t p = 0; p < v.shape.pixels(); ++p)
    for (int c = 0; c < v.shape.c; ++c) out.push_back(number(v, p * v.pitch + c));
  return out;
}

#if MFS_EMULATED
CudaExecutor engine(const WeightsFile& file, PackCache& packs, int height, int width, const std::string& precision) {
  std::string why_none;
  CudaDeviceInfo device = cuda_devices(why_none).front();
  device.capability = 90;
  const bool narrow = precision != "f16";
  if (narrow && !file.calibration()) throw std::runtime_error("the weights are not calibrated");
  return {file,
          packs,
          {height, width, DType::kF16, device, 2, true, 1, narrow ? &*file.calibration() : nullptr,
           precision == "fp8" ? DType::kE4m3 : DType::kU8}};
}
#else
CpuExecutor engine(const WeightsFile& file, PackCache& packs, int height, int width, const std::string& precision) {
  return {file, packs, {height, width, precision == "bf16" ? DType::kBF16 : DType::kF32, 2, true}};
}
#endif

int dump(char** argv, int argc) {
  const auto file = WeightsFile::open(argv[1]);
  const int width = std::atoi(argv[3]), height = std::atoi(argv[4]);
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  std::ifstream photo(argv[2], std::ios::binary);
  if (!photo.read(reinterpret_cast<char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()))) {
    throw std::runtime_error("cannot read the photo");
  }
  std::vector<Point> taps;
  for (int i = 9; i + 1 < argc; i += 2) taps.push_back({std::strtof(argv[i], nullptr), std::strtof(argv[i + 1], nullptr)});

  PackCache packs;
  auto executor = engine(*file, packs, std::atoi(argv[6]), std::atoi(argv[5]), argv[7]);
  std::vector<float> probability(pixels.size() / 3);
  const RunRequest request{.image = {pixels.data(), width, height, std::int64_t{width} * 3, PixelFormat::kRgb},
                           .taps = taps,
                           .probability = probability.data(),
                           .probability_stride = std::int64_t{width} * 4};
  if (const Status s = executor.run(request); !s) throw std::runtime_error(s.message());

  const Graph graph = build_network(*file, std::atoi(argv[6]), std::atoi(argv[5]));
  for (const Op& op : graph.ops)
    if (const View v = executor.named(op.name); !op.name.empty() && v && !is_narrow(v.dtype))
      write(argv[8], op.name, v.shape, dense(v));
  write(argv[8], "probability", {1, height, width, 1}, probability);
  executor.set_refining(true);
  if (const Status s = executor.run(request); !s) throw std::runtime_error(s.message());
  write(argv[8], "refined", {1, height, width, 1}, probability);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 9) throw std::runtime_error("usage: see the comment at the top of stage_dump.cpp");
    return dump(argv, argc);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "stage_dump: %s\n", e.what());
    return 1;
  }
}
