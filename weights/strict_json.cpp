#include "weights/strict_json.h"

#include <cmath>
#include <limits>

#include "kernels/error.h"

namespace mfs::core {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 3;  // of the innermost container; the outermost object has depth 0
constexpr std::int64_t kMaxValues = 1 << 20;
constexpr std::size_t kMaxQuoted = 80;

[[noreturn]] void fail(const std::string& sentence) { throw Error(Code::kBadWeights, sentence); }

// Watches the parser's events; throws at the first one that a well-behaved text would not cause.
class Guard {
 public:
  explicit Guard(const std::string& what) : what_(what) {}

  void operator()(int depth, json::parse_event_t event, const json& parsed) {
    using Event = json::parse_event_t;
    if (++events_ > 2 * kMaxValues) fail(what_ + " holds more than a million values");
    if (event == Event::object_start || event == Event::array_start) {
      if (depth > kMaxDepth) fail(what_ + " is nested too deeply");
      if (event == Event::object_start) keys_.emplace_back();
    } else if (event == Event::object_end) {
      keys_.pop_back();
    } else if (event == Event::key && !keys_.back().insert(parsed.get_ref<const std::string&>()).second) {
      fail(what_ + " has the key " + in_quotes(parsed.get_ref<const std::string&>()) + " twice");
    }
  }

 private:
  const std::string& what_;
  std::int64_t events_ = 0;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

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

json parse_strict_json(std::string_view text, const std::string& what) {
  // The parser takes a zero byte for the end of the text.
  if (const std::size_t zero = text.find('\0'); zero != text.npos)
    fail(what + " is not JSON (byte " + std::to_string(zero + 1) + ")");
  Guard guard(what);
  json parsed;
  try {
    parsed = json::parse(text, [&guard](int depth, json::parse_event_t event, json& value) {
      guard(depth, event, value);
      return true;
    });
  } catch (const json::parse_error& error) {
    fail(what + " is not JSON (byte " + std::to_string(error.byte) + ")");
  } catch (const json::exception&) {
    fail(what + " is not JSON (a number is too large)");
  }
  if (!parsed.is_object()) fail(what + " is not a JSON object");
  return parsed;
}

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
