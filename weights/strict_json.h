// JSON written by strangers: bounded, no duplicate keys, no unknown fields; every complaint is one sentence.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace mfs::core {

// `text` for use in a sentence: in quotes, shortened, without control characters.
std::string in_quotes(std::string_view text);

// One UTF-8 JSON object with distinct keys, at most four levels deep and of at most a million values, so that a hostile text
// cannot cost much more memory than its own length. Survives running out of memory.
class JsonDocument {
 public:
  JsonDocument(std::string_view text, const std::string& what);  // throws Error(kBadWeights) "<what> ..." for anything else
  ~JsonDocument();
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;
  const nlohmann::json& root() const { return root_; }

 private:
  nlohmann::json root_;
};

// The fields of one JSON object. Getters throw Error(kBadWeights) naming the field when it is missing or not what is asked for.
class Fields {
 public:
  // `object` must outlive this. `where` begins every sentence: "mfs.network", "tensor conv1.weight".
  Fields(const nlohmann::json& object, std::string where);

  bool has(const char* name) const { return object_.contains(name); }
  const nlohmann::json& value(const char* name);
  std::string text(const char* name);
  bool boolean(const char* name);
  std::int64_t integer(const char* name, std::int64_t low, std::int64_t high);
  float number(const char* name);  // finite, also as float
  std::vector<std::int64_t> integers(const char* name, std::size_t min_count, std::size_t max_count, std::int64_t low,
                                     std::int64_t high);
  std::vector<float> numbers(const char* name, std::size_t count);

  void finish() const;  // throws for a field that no getter asked for
  [[noreturn]] void fail(const char* name, const std::string& complaint) const;

 private:
  const nlohmann::json& array(const char* name, std::size_t min_count, std::size_t max_count);

  const nlohmann::json& object_;
  std::string where_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace mfs::core
