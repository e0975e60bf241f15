#include "weights/weights_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "kernels/bfloat16.h"
#include "tests/weights/test_file.h"

namespace mfs::core {
namespace {

using test::complaint;
using test::entry;
using test::file_of;
using test::file_with;
using test::raw;
using test::ScratchFolder;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::vector<float> values(const WeightsFile& file, const StoredTensor& tensor) {
  std::vector<float> out(static_cast<std::size_t>(tensor.elements));
  const auto loaded = file.load(tensor);
  tensor.read(out.data());
  return out;
}

std::string open_sentence(const std::string& path) {
  try {
    WeightsFile::open(path);
  } catch (const Error& error) {
    CHECK(error.code() == Code::kBadWeights);
    return error.what();
  }
  return "";
}

// The definition of binary16, in arithmetic.
float half_by_definition(int bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.f : 1.f;
  if (exponent == 31)
    return fraction != 0 ? std::numeric_limits<float>::quiet_NaN() : sign * std::numeric_limits<float>::infinity();
  return sign * (exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                               : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25));
}

// Every pattern of 16 bits, as a tensor of dims 256 x 256.
std::string all_patterns() {
  std::vector<std::uint16_t> patterns(65536);
  for (std::size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<std::uint16_t>(i);
  return raw(patterns);
}

TEST_CASE("tensors of every dtype are read, aligned or not") {
  const ScratchFolder folder;
  for (std::size_t shift = 0; shift < 4; ++shift) {
    CAPTURE(shift);
    const std::vector<float> f32{1.5f, -2.f, 1e-40f, 3e38f, 0.f, -0.f};
    std::vector<std::uint16_t> bf16;
    for (const float v : f32) bf16.push_back(BFloat16(v).bits);
    const std::string entries = entry("pad", "I8", "[1]", 0, 1) + "," + entry("pad.scale", "F32", "[1]", 1, 5) + "," +
                                entry("a.weight", "F32", "[3,2]", 5, 29) + "," + entry("b.weight", "BF16", "[2,1,3]", 29, 41) +
                                "," + entry("q.weight", "I8", "[2,3,1,1]", 41, 47) + "," +
                                entry("q.weight.scale", "F32", "[2]", 47, 55);
    const std::string data = raw<std::int8_t>({1}) + raw<float>({1}) + raw(f32) + raw(bf16) +
                             raw<std::int8_t>({-128, -1, 0, 1, 64, 127}) + raw<float>({0.5f, 0.25f});
    const std::string header = test::header_of(entries) + std::string(shift, ' ');
    const auto file = WeightsFile::open(folder.write("x.safetensors", file_of(header, data)));

    REQUIRE(file->tensors().size() == 4);  // scales are not listed
    CHECK(file->find("q.weight.scale") == nullptr);
    CHECK(file->find("") == nullptr);
    CHECK(file->find("zzz") == nullptr);
    CHECK(values(*file, *file->find("a.weight")) == f32);
    CHECK(file->find("a.weight")->dims == std::vector<std::int64_t>{3, 2});
    CHECK(std::signbit(values(*file, *file->find("a.weight")).back()));
    const StoredTensor& b = *file->find("b.weight");
    for (std::size_t i = 0; i < bf16.size(); ++i)
      CHECK(values(*file, b)[i] == std::bit_cast<float>(std::uint32_t{bf16[i]} << 16));
    CHECK(values(*file, *file->find("q.weight")) == std::vector{-64.f, -0.5f, 0.f, 0.25f, 16.f, 31.75f});
    file->check_finite(2);
  }
}

TEST_CASE("all 65536 half floats are converted exactly") {
  const ScratchFolder folder;
  const auto file = WeightsFile::open(folder.write("x", file_with(entry("h", "F16", "[256,256]", 0, 131072), all_patterns())));
  const std::vector<float> read = values(*file, *file->find("h"));
  for (std::size_t i = 0; i < read.size(); ++i) {
    const float expected = half_by_definition(static_cast<std::uint16_t>(i));
    const bool same = std::isnan(expected) ? std::isnan(read[i])
                                           : std::bit_cast<std::uint32_t>(read[i]) == std::bit_cast<std::uint32_t>(expected);
    if (!same) FAIL("half " << i << " became " << read[i] << ", expected " << expected);
  }
}

TEST_CASE("rows are slices of the whole") {
  const ScratchFolder folder;
  std::vector<std::int8_t> levels(35);
  for (std::size_t i = 0; i < levels.size(); ++i) levels[i] = static_cast<std::int8_t>(7 * i);
  const std::string data = all_patterns().substr(2 * 0x3000, 70) + raw<float>({1, 2, 3, 4, 5, 6, 7}) + raw(levels);
  const std::string entries = entry("h", "F16", "[7,5]", 0, 70) + "," + entry("i.scale", "F32", "[7]", 70, 98) + "," +
                              entry("i", "I8", "[7,5,1]", 98, 133);
  const auto file = WeightsFile::open(folder.write("x", file_with(entries, data)));
  for (const char* name : {"h", "i"}) {
    const StoredTensor& tensor = *file->find(name);
    const auto loaded = file->load(tensor);
    const std::vector<float> all = values(*file, tensor);
    for (std::int64_t first = 0; first < 7; ++first) {
      for (std::int64_t count = 0; first + count <= 7; ++count) {
        std::vector<float> rows(static_cast<std::size_t>(5 * count));
        tensor.read_rows(first, count, rows.data());
        CHECK(rows == std::vector<float>(all.begin() + 5 * first, all.begin() + 5 * (first + count)));
      }
    }
  }
}

TEST_CASE("a tensor without dimensions is one number") {
  const ScratchFolder folder;
  const auto file = WeightsFile::open(folder.write("x", file_with(entry("s", "F32", "[]", 0, 4), raw<float>({42}))));
  CHECK(values(*file, *file->find("s")) == std::vector{42.f});
}

TEST_CASE("description and names are available") {
  const ScratchFolder folder;
  const std::string path = folder.write("x", file_with(entry("b", "F32", "[1]", 0, 4) + "," + entry("a", "F32", "[1]", 4, 8) +
                                                           "," + entry("a.b", "F32", "[1]", 8, 12),
                                                       raw<float>({1, 2, 3})));
  const auto file = WeightsFile::open(path);
  CHECK(file->path() == path);
  CHECK(file->network().blocks == std::array{3, 4, 23, 3});
  CHECK(file->preprocess().height == 512);
  CHECK(file->preprocess().width == 256);
  REQUIRE(file->tensors().size() == 3);
  CHECK(file->tensors()[0].name == "a");
  CHECK(file->tensors()[1].name == "a.b");
  CHECK(file->tensors()[2].name == "b");
}

TEST_CASE("values that are not finite are found wherever they are") {
  const auto inf32 = std::numeric_limits<float>::infinity(), nan32 = std::numeric_limits<float>::quiet_NaN();
  const std::size_t count = 200'000;  // several pieces per thread
  const std::string entries = entry("a", "F32", "[4]", 0, 16) + "," + entry("b", "F32", "[200000]", 16, 16 + 4 * count) + "," +
                              entry("c", "F32", "[4]", 16 + 4 * count, 32 + 4 * count);
  const ScratchFolder folder;
  for (const float bad : {inf32, -inf32, nan32, -nan32}) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{65535}, std::size_t{65536}, count - 1}) {
      for (const int threads : {1, 2, 3}) {
        std::vector<float> numbers(count + 8, -3e38f);
        numbers[4 + at] = bad;
        numbers[count + 4] = nan32;  // in "c": later by name, so not the one to be named
        const auto file = WeightsFile::open(folder.write("x", file_with(entries, raw(numbers))));
        try {
          file->check_finite(threads);
          FAIL("not found");
        } catch (const Error& error) {
          CHECK(std::string(error.what()) == file->path() + ": tensor 'b' holds a NaN or an infinity");
        }
      }
    }
  }
}

TEST_CASE("values that are not finite are found in every dtype") {
  const auto with16 = [](const char* dtype, int bits) {
    std::vector<std::uint16_t> numbers(37, 0x3c00);
    numbers[36] = static_cast<std::uint16_t>(bits);
    return complaint(file_with(entry("x", dtype, "[37]", 0, 74), raw(numbers)));
  };
  for (const int bits : {0x7c00, 0xfc00, 0x7e00, 0xfe00, 0x7c01, 0xffff}) {
    CHECK(contains(with16("F16", bits), "tensor 'x' holds a NaN or an infinity"));
  }
  for (const int bits : {0x7bff, 0xfbff, 0x8000, 0x0001}) CHECK(with16("F16", bits).empty());
  for (const int bits : {0x7f80, 0xff80, 0x7fc0, 0xffff, 0x7f81}) {
    CHECK(contains(with16("BF16", bits), "tensor 'x' holds a NaN or an infinity"));
  }
  for (const int bits : {0x7f7f, 0xff7f, 0x8000}) CHECK(with16("BF16", bits).empty());

  const auto with_scale = [](float scale) {
    return complaint(file_with(entry("x", "I8", "[2,1]", 0, 2) + "," + entry("x.scale", "F32", "[2]", 2, 10),
                               raw<std::int8_t>({1, -128}) + raw<float>({1, scale})));
  };
  CHECK(with_scale(1.f).empty());
  CHECK(with_scale(2.6e36f).empty());
  for (const float scale : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e37f}) {
    CHECK(contains(with_scale(scale), "tensor 'x.scale' holds a NaN or an infinity"));
  }
}

TEST_CASE("a tensor is in memory as long as anybody needs it, and comes again") {
  const ScratchFolder folder;
  std::vector<float> numbers(50'000);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  const auto file = WeightsFile::open(folder.write(
      "x", file_with(entry("small", "F32", "[1]", 0, 4) + "," + entry("x", "F32", "[49999]", 4, 200'000), raw(numbers))));
  const StoredTensor& tensor = *file->find("x");
  const std::vector<float> before = values(*file, tensor);
  const auto one = file->load(tensor);
  CHECK(values(*file, tensor) == before);  // its own load ends here, ours goes on
  std::vector<float> after(before.size());
  tensor.read(after.data());
  CHECK(after == before);
}

TEST_CASE("a file that was changed after opening is a sentence, never a signal or other numbers") {
  const ScratchFolder folder;
  const std::string content = file_with(entry("x", "F32", "[50000]", 0, 200'000), raw(std::vector<float>(50'000, 1.f)));
  const auto sentence_after = [&](const auto& change) {
    const std::string path = folder.write("x", content);
    const auto file = WeightsFile::open(path);
    change(path);
    try {
      const std::vector<float> read = values(*file, *file->find("x"));
      return read == std::vector<float>(50'000, 1.f) ? std::string("same numbers") : std::string("other numbers");
    } catch (const Error& error) {
      CHECK(error.code() == Code::kBadWeights);
      CHECK(contains(error.what(), path));
      return std::string(error.what());
    }
  };
  CHECK(contains(sentence_after([](const std::string& path) { std::filesystem::resize_file(path, 4096); }), "was changed"));
  CHECK(contains(sentence_after([](const std::string& path) { std::filesystem::resize_file(path, 0); }), "was changed"));
  CHECK(contains(
      sentence_after([&](const std::string& path) {
        std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(-8, std::ios::end).write("\0\0\0", 3);
      }),
      "was changed"));
  // Renaming another file over it leaves the opened one as it was.
  CHECK(sentence_after([&](const std::string& path) { std::filesystem::rename(folder.write("y", "rubbish"), path); }) ==
        "same numbers");
}

TEST_CASE("files that cannot be opened end in a sentence with their name") {
  const ScratchFolder folder;
  const std::string missing = folder / "missing.safetensors";
  CHECK(open_sentence(missing) == missing + ": cannot open the file: No such file or directory");
  CHECK(contains(open_sentence(folder / ""), "this is a folder, not a file"));
  CHECK(contains(open_sentence(folder.write("empty", "")), "the file is empty"));
  CHECK(contains(open_sentence(folder.write("short", "1234567")), "too short to be a safetensors file"));
  const std::string pipe = folder / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(contains(open_sentence(pipe), "this is not a regular file"));
}

}  // namespace
}  // namespace mfs::core
