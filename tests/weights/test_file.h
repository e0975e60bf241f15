// Builds weights files byte by byte, so that tests can damage exactly one thing.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "kernels/error.h"
#include "weights/weights_file.h"

namespace mfs::core::test {

inline const std::string kNetwork =
    R"({"variant":"resnet-multi","blocks":[3,4,23,3],"stride_in":"conv1","stem_pool":"3x3","fusion":"own_init",)"
    R"("se_reduction":16,"psp_bins":[1,2,3,6],"align_corners":true,"upsample":"logit"})";
inline const std::string kPreprocess = R"({"size":[512,256],"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225],)"
                                       R"("guidance":{"kind":"gaussian","sigma":10,"scale":1}})";
inline const std::vector<std::pair<std::string, std::string>> kMetadata{
    {"mfs.format", "1"}, {"mfs.network", kNetwork}, {"mfs.preprocess", kPreprocess}};

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

// A JSON string literal of ASCII text without control characters.
inline std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += (c == '"' || c == '\\') ? std::string("\\") + c : std::string(1, c);
  return out + "\"";
}

inline std::string metadata_json(const std::vector<std::pair<std::string, std::string>>& entries = kMetadata) {
  std::string out = "{";
  for (const auto& [key, value] : entries) {
    if (out.size() > 1) out += ',';
    out.append(json_string(key)).append(":").append(json_string(value));
  }
  return out + "}";
}

inline std::string bytes_of_length(std::uint64_t length) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>((length >> (8 * i)) & 0xff);
  return out;
}

// A file with exactly this header (no padding) and these data bytes.
inline std::string file_of(const std::string& header, const std::string& data) {
  return bytes_of_length(header.size()) + header + data;
}

// A header with sound metadata in front of `entries`, which is `"name":{...},...`.
inline std::string header_of(const std::string& entries) {
  std::string header = "{\"__metadata__\":";
  header.append(metadata_json()).append(entries.empty() ? "" : ",").append(entries);
  return header + "}";
}
inline std::string file_with(const std::string& entries, const std::string& data) { return file_of(header_of(entries), data); }

inline std::string entry(const std::string& name, const std::string& dtype, const std::string& shape, std::size_t begin,
                         std::size_t end) {
  return json_string(name) + R"(:{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":[)" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

template <typename T>
std::string raw(const std::vector<T>& values) {
  std::string out(values.size() * sizeof(T), '\0');
  std::memcpy(out.data(), values.data(), out.size());
  return out;
}

// The sentence that the checks end with, empty when they find nothing wrong. The bytes are copied to a block of exactly
// their size, so that a sanitizer sees any access beyond them.
inline std::string complaint(const std::string& bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  try {
    check_weights(reinterpret_cast<const std::byte*>(exact.data()), exact.size());
  } catch (const Error& error) {
    return error.code() == Code::kBadWeights ? error.what() : "wrong code";
  }
  return "";
}

// A folder that disappears with this object.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "mfs-weights-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string operator/(const std::string& name) const { return path_ / name; }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path_ / name;
  }
  std::size_t files() const {
    const std::filesystem::directory_iterator begin(path_);
    return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace mfs::core::test
