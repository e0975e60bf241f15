#include "weights/strict_json.h"

#include <cmath>
#include <limits>

#include "kernels/error.h"

namespace mfs::core {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxDepth = 3;  // of the innermost container; the outermost object has depth 0
constexpr std::int64_t kMaxValues = 1 << 20;
constexpr std::size_t kMaxQuoted = 80;

[[noreturn]] void fail(const std::string& sentence) { throw Error(Code::kBadWeights, sentence); }

// Makes the document from the parser's events; throws at the first one that a well-behaved text would not cause.
class Builder {
 public:
  Builder(json& root, const std::string& what) : root_(root), what_(what) {}

  bool null() { return put(nullptr); }
  bool boolean(bool v) { return put(v); }
  bool number_integer(json::number_integer_t v) { return put(v); }
  bool number_unsigned(json::number_unsigned_t v) { return put(v); }
  bool number_float(json::number_float_t v, const std::string&) { return put(v); }
  bool string(std::string& v) { return put(std::move(v)); }
  bool binary(json::binary_t&) { return false; }
  bool start_object(std::size_t) { return open(json::value_t::object); }
  bool start_array(std::size_t) { return open(json::value_t::array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    count();
    auto& members = open_.back()->get_ref<json::object_t&>();
    if (members.contains(name)) fail(what_ + " has the key " + in_quotes(name) + " twice");
    member_ = &members[name];
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception& e) {
    const auto* error = dynamic_cast<const json::parse_error*>(&e);
    fail(what_ + " is not JSON (" + (error ? "byte " + std::to_string(error->byte) : "a number is too large") + ")");
  }

 private:
  void count() {
    if (++events_ > 2 * kMaxValues) fail(what_ + " holds more than a million values");
  }
  json& place() {
    count();
    if (open_.empty()) return root_;
    return open_.back()->is_array() ? open_.back()->get_ref<json::array_t&>().emplace_back() : *member_;
  }
  template <typename T>
  bool put(T&& value) {
    place() = std::forward<T>(value);
    return true;
  }
  bool open(json::value_t type) {
    if (open_.size() > kMaxDepth) fail(what_ + " is nested too deeply");
    json& container = place();
    container = json(type);
    open_.push_back(&container);
    return true;
  }
  bool close() {
    count();
    open_.pop_back();
    return true;
  }

  json& root_;
  const std::string& what_;
  std::int64_t events_ = 0;
  std::vector<json*> open_;  // containers, the innermost last
  json* member_ = nullptr;   // whose key was last
};

// From the leaves up. Left to itself, the library would need memory to free memory, and end the program if there is none.
void take_apart(json& value) {
  if (value.is_array()) {
    auto& items = value.get_ref<json::array_t&>();
    for (json& item : items) take_apart(item);
    items.clear();
  } else if (value.is_object()) {
    auto& members = value.get_ref<json::object_t&>();
    for (auto& [name, member] : members) take_apart(member);
    members.clear();
  }
}

bool to_finite_float(const json& value, float& out) {
  if (!value.is_number()) return false;
  const double number = value.get<double>();
  if (!(std::abs(number) <= double{std::numeric_limits<float>::max()})) return false;
  out = static_cast<float>(number);
  return true;
}

bool to_integer(const json& value, std::int64_t low, std::int64_t high, std::int64_t& out) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    return false;
  }
  out = value.get<std::int64_t>();
  return low <= out && out <= high;
}

std::string range(std::int64_t low, std::int64_t high) {
  const bool bounded = high != std::numeric_limits<std::int64_t>::max();
  return std::to_string(low) + (bounded ? " to " + std::to_string(high) : " or more");
}

}  // namespace

std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text.substr(0, kMaxQuoted)) out += (c >= ' ' && c != 0x7f) ? c : '?';
  return out + (text.size() > kMaxQuoted ? "...'" : "'");
}

JsonDocument::JsonDocument(std::string_view text, const std::string& what) {
  // The parser takes a zero byte for the end of the text.
  if (const std::size_t zero = text.find('\0'); zero != text.npos)
    fail(what + " is not JSON (byte " + std::to_string(zero + 1) + ")");
  try {
    Builder builder(root_, what);
    json::sax_parse(text, &builder);
    if (!root_.is_object()) fail(what + " is not a JSON object");
  } catch (...) {
    take_apart(root_);
    throw;
  }
}

JsonDocument::~JsonDocument() { take_apart(root_); }

Fields::Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (!object_.is_object()) core::fail(where_ + " is not a JSON object");
}

const json& Fields::value(const char* name) {
  const auto found = object_.find(name);
  if (found == object_.end()) fail(name, "is missing");
  known_.insert(name);
  return *found;
}

std::string Fields::text(const char* name) {
  const json& v = value(name);
  if (!v.is_string()) fail(name, "is not a string");
  return v.get<std::string>();
}

bool Fields::boolean(const char* name) {
  const json& v = value(name);
  if (!v.is_boolean()) fail(name, "is neither true nor false");
  return v.get<bool>();
}

std::int64_t Fields::integer(const char* name, std::int64_t low, std::int64_t high) {
  std::int64_t out = 0;
  if (!to_integer(value(name), low, high, out)) fail(name, "is not an integer of " + range(low, high));
  return out;
}

float Fields::number(const char* name) {
  float out = 0;
  if (!to_finite_float(value(name), out)) fail(name, "is not a number in the range of a float");
  return out;
}

const json& Fields::array(const char* name, std::size_t min_count, std::size_t max_count) {
  const json& v = value(name);
  if (!v.is_array() || v.size() < min_count || v.size() > max_count) {
    const std::string upto = min_count == max_count ? "" : " to " + std::to_string(max_count);
    fail(name, "is not an array of " + std::to_string(min_count) + upto + " values");
  }
  return v;
}

std::vector<std::int64_t> Fields::integers(const char* name, std::size_t min_count, std::size_t max_count, std::int64_t low,
                                           std::int64_t high) {
  std::vector<std::int64_t> out;
  for (const json& v : array(name, min_count, max_count)) {
    if (!to_integer(v, low, high, out.emplace_back())) fail(name, "holds something else than integers of " + range(low, high));
  }
  return out;
}

std::vector<float> Fields::numbers(const char* name, std::size_t count) {
  std::vector<float> out;
  for (const json& v : array(name, count, count)) {
    if (!to_finite_float(v, out.emplace_back())) fail(name, "holds something else than numbers in the range of a float");
  }
  return out;
}

void Fields::finish() const {
  for (const auto& [name, ignored] : object_.items()) {
    if (known_.count(name) == 0) core::fail(where_ + ": unknown field " + in_quotes(name));
  }
}

void Fields::fail(const char* name, const std::string& complaint) const {
  core::fail(where_ + ": field " + name + " " + complaint);
}

}  // namespace mfs::core
