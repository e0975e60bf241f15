#include "tools/report.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "tools/options.h"

namespace mfs::tools {

TEST_CASE("quantiles") {
  std::vector<double> hundred(100);
  std::iota(hundred.rbegin(), hundred.rend(), 1.0);
  const Quantiles q = quantiles(hundred);
  CHECK(q.min == 1);
  CHECK(q.median == 50.5);
  CHECK(q.p90 == 90);
  CHECK(q.p99 == 99);
  const Quantiles one = quantiles({4});
  CHECK((one.min == 4 && one.median == 4 && one.p90 == 4 && one.p99 == 4));
  CHECK(quantiles({3, 1, 2}).median == 2);
}

TEST_CASE("a JSON line is one line, whatever the names hold") {
  PhotoResult result{.input = "a\n\xFF.jpg"};
  result.outputs = {"b.png"};
  result.width = 4;
  result.height = 3;
  result.taps = {{1, 2.5f}};
  result.runs = {{1, 2, 3}, {3, 4, 5}};
  ModelInfo model{};
  model.device = "cpu";
  model.precision = "f32";
  const std::string line = json_line(result, model);
  CHECK(line.find('\n') == std::string::npos);
  const auto parsed = nlohmann::json::parse(line);
  for (const char* key :
       {"input", "outputs", "width", "height", "clicks", "mask_area", "device", "precision", "ms", "latency_ms", "status"}) {
    CAPTURE(key);
    CHECK(parsed.contains(key));
  }
  CHECK(parsed["latency_ms"]["click_to_mask"]["min"] == 6);
  CHECK(parsed["latency_ms"]["back_to_back"]["median"] == 3);
}

TEST_CASE("--size, --zoom-in and --refine") {
  const auto parse_size = [](const std::string& text) { return session_options({.size = text}); };
  CHECK(parse_size("512").network_width == 512);
  CHECK(parse_size("512").network_height == 512);
  CHECK(parse_size("640x384").network_width == 640);
  CHECK(parse_size("640x384").network_height == 384);
  CHECK(parse_size("native").native_size);
  CHECK(parse_size("").network_width == 0);  // not given: as trained
  for (const char* text : {"x", "512x", "x512", "0", "-8", "64x-64", "512 x 512", "Native", "99999999999"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_size(text), UsageError);
  }
  CHECK_FALSE(parse_size("512").zoom_in);
  CHECK_FALSE(parse_size("512").refine);
  CHECK(session_options({.size = "native", .refine = true}).refine);
  CHECK(session_options({.size = "512", .zoom_in = true}).zoom_in);
  CHECK_THROWS_AS(session_options({.size = "native", .zoom_in = true}), UsageError);
}

}  // namespace mfs::tools
