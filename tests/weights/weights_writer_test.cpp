#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/weights/test_file.h"

namespace mfs::core {
namespace {

using test::kMetadata;
using test::ScratchFolder;

std::string content(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

TEST_CASE("what is written is read back bit by bit, in every dtype") {
  const ScratchFolder folder;
  const std::string path = folder / "x.safetensors";
  const std::vector<float> f32{1, -2, 3e-39f, 4, 5, 6}, scale{0.5f, 2};
  const std::vector<std::uint16_t> half{0x3c00, 0x0001, 0xfbff};
  const std::vector<std::int8_t> levels{-127, 0, 127, 1};
  write_weights(path,
                {{"z.weight", DType::kF32, {2, 3}, f32.data()},
                 {"h", DType::kF16, {3}, half.data()},
                 {"b", DType::kBF16, {1, 3}, half.data()},
                 {"q", DType::kI8, {2, 2, 1, 1}, levels.data()},
                 {"q.scale", DType::kF32, {2}, scale.data()}},
                kMetadata);
  CHECK(folder.files() == 1);

  const auto file = WeightsFile::open(path);
  REQUIRE(file->tensors().size() == 4);
  const auto same = [&](const char* name, const void* data, std::size_t bytes) {
    const StoredTensor* tensor = file->find(name);
    if (!tensor || tensor->bytes != bytes) return false;
    const auto loaded = file->load(*tensor);
    return std::memcmp(tensor->data, data, bytes) == 0;
  };
  CHECK(same("z.weight", f32.data(), 24));
  CHECK(same("h", half.data(), 6));
  CHECK(same("b", half.data(), 6));
  CHECK(same("q", levels.data(), 4));
  const auto loaded = file->load(*file->find("q"));
  CHECK(std::memcmp(file->find("q")->scale, scale.data(), 8) == 0);
  CHECK(file->find("q")->dims == std::vector<std::int64_t>{2, 2, 1, 1});
  CHECK(file->find("b")->dtype == DType::kBF16);
}

TEST_CASE("the header is laid out as other readers expect it") {
  const ScratchFolder folder;
  const std::string path = folder / "x";
  const std::vector<float> one{1};
  write_weights(path, {{"t", DType::kF32, {1}, one.data()}}, {{"note", "\"quoted\""}});
  const std::string bytes = content(path);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  CHECK(length % 8 == 0);
  REQUIRE(bytes.size() == 8 + length + 4);
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  CHECK(header["__metadata__"]["note"] == "\"quoted\"");
  CHECK(header["t"] == nlohmann::json{{"dtype", "F32"}, {"shape", {1}}, {"data_offsets", {0, 4}}});
}

TEST_CASE("writing replaces a file whole or not at all") {
  const ScratchFolder folder;
  const std::vector<float> one{1};
  const std::string path = folder.write("x", "before");
  const auto sentence = [&](const std::string& to, const std::vector<TensorToWrite>& tensors,
                            const std::vector<std::pair<std::string, std::string>>& metadata) -> std::string {
    try {
      write_weights(to, tensors, metadata);
    } catch (const Error& error) {
      CHECK(error.code() == Code::kIo);
      return error.what();
    }
    return "";
  };
  const TensorToWrite good{"t", DType::kF32, {1}, one.data()}, pixels{"t", DType::kU8, {1}, one.data()};
  CHECK(sentence(path, {pixels}, {}) == path + ": tensor t has the dtype u8, which weights files do not know");
  CHECK(sentence(path, {good, good}, {}) == path + ": tensor t is given twice");
  CHECK(sentence(path, {good}, {{"note", "\xff"}}) == path + ": a tensor name or a metadata entry is not UTF-8");
  CHECK(content(path) == "before");
  const std::string nowhere = folder / "no-such-folder/x";
  CHECK(sentence(nowhere, {good}, {}) == nowhere + ": cannot create the file: No such file or directory");
  std::filesystem::create_directories(folder / "taken/inside");
  CHECK(sentence(folder / "taken", {good}, {}).find("taken: is not a regular file") != std::string::npos);

  CHECK(sentence(path, {good}, kMetadata).empty());
  CHECK(WeightsFile::open(path)->tensors().size() == 1);
  CHECK(folder.files() == 2);  // x and taken: no partial file is left
}

TEST_CASE("files are readable by whom the umask allows") {
  const ScratchFolder folder;
  const std::vector<float> one{1};
  const std::string path = folder / "x";
  write_weights(path, {{"t", DType::kF32, {1}, one.data()}}, {});
  std::ofstream(folder / "reference");
  CHECK(std::filesystem::status(path).permissions() == std::filesystem::status(folder / "reference").permissions());
}

}  // namespace
}  // namespace mfs::core
