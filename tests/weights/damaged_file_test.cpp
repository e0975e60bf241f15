// Every way to damage a weights file ends in one sentence; none in a crash.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "tests/weights/test_file.h"

namespace mfs::core {
namespace {

using test::bytes_of_length;
using test::complaint;
using test::entry;
using test::file_of;
using test::file_with;
using test::header_of;
using test::metadata_json;
using test::raw;
using test::replaced;

const std::string kTwo = entry("a", "F32", "[2]", 0, 8) + "," + entry("b", "F16", "[1,4]", 8, 16);
const std::string kTwoData(16, '\0');

TEST_CASE("the undamaged file is accepted") {
  CHECK(complaint(file_with(kTwo, kTwoData)) == "");
  CHECK(complaint(file_of(header_of(kTwo) + "   \n", kTwoData)) == "");
}

TEST_CASE("damaged headers have their sentences") {
  struct Case {
    std::string file, expected;
  };
  const auto edited = [](const std::string& from, const std::string& to) {
    return file_with(replaced(kTwo, from, to), kTwoData);
  };
  const auto with_metadata = [](std::vector<std::pair<std::string, std::string>> metadata) {
    return file_of("{\"__metadata__\":" + metadata_json(metadata) + "," + kTwo + "}", kTwoData);
  };
  const auto with_calibration = [&](const std::string& json) {
    auto metadata = test::kMetadata;
    metadata.emplace_back("mfs.calibration", json);
    return with_metadata(metadata);
  };
  const std::string zip = std::string("PK\x03\x04", 4) + "0123456789";
  const std::string deep = std::string(100'000, '[');
  const std::string deep_objects = [] {
    std::string s;
    for (int i = 0; i < 100'000; ++i) s += "{\"a\":";
    return s;
  }();
  const Case cases[] = {
      {"", "too short to be a safetensors file"},
      {"1234567", "too short to be a safetensors file"},
      {zip, "this is a PyTorch checkpoint (or another zip file)"},
      {bytes_of_length(1'000'000'000) + "{}", "not a safetensors file (its header would have 1000000000 bytes)"},
      {bytes_of_length(~std::uint64_t{0}) + "{}", "not a safetensors file"},
      {bytes_of_length(3) + "{}", "the file ends inside its header"},
      {bytes_of_length(0), "does not begin with a brace"},
      {file_of("[]", ""), "does not begin with a brace"},
      {file_of(" {}", ""), "does not begin with a brace"},
      {file_of("{}", ""), "the metadata have no mfs.format"},
      {file_of("{", ""), "the header is not JSON"},
      {file_of("{}{}", ""), "the header is not JSON (byte 3)"},
      {file_of(std::string("{}\0", 3), ""), "the header is not JSON"},
      {file_of("{\"a\xff\":1}", ""), "the header is not JSON"},
      {file_of("{\"a\":\"\\ud800\"}", ""), "the header is not JSON"},
      {file_of("{\"a\":1e999}", ""), "the header is not JSON (a number is too large)"},
      {file_of("{\"a\":NaN}", ""), "the header is not JSON"},
      {file_of("{\"a\":" + deep, ""), "the header is nested too deeply"},
      {file_of(deep_objects, ""), "the header is nested too deeply"},
      {file_of("{\"a\":[01]}", ""), "the header is not JSON"},
      {file_of("{\"a\":1}", ""), "tensor 'a' is not a JSON object"},
      {file_of("{\"a\":{},\"a\":{}}", ""), "the header has the key 'a' twice"},
      {file_of("{\"a\":{\"dtype\":1,\"dtype\":1}}", ""), "the header has the key 'dtype' twice"},
      {file_of("{\"__metadata__\":[]}", ""), "the header's __metadata__ is not a JSON object"},
      {file_of("{\"__metadata__\":{\"k\":1}}", ""), "the header's __metadata__ entry 'k' is not a string"},
      {with_metadata({{"format", "pt"}}), "the metadata have no mfs.format"},
      {with_metadata({{"mfs.format", "2"}}), "mfs.format is '2', this version reads '1'"},
      {with_metadata({{"mfs.format", "1"}}), "the metadata have no mfs.network"},
      {with_metadata({{"mfs.format", "1"}, {"mfs.network", test::kNetwork}}), "the metadata have no mfs.preprocess"},
      {with_metadata({{"mfs.format", "1"}, {"mfs.network", "{}"}, {"mfs.preprocess", "{}"}}),
       "mfs.network: field variant is missing"},
      {with_calibration("{}"), "mfs.calibration: field photos is missing"},
      {with_calibration(R"({"photos":0,"ranges":{}})"), "mfs.calibration: field photos"},
      {with_calibration(R"({"photos":1})"), "mfs.calibration: field ranges is missing"},
      {with_calibration(R"({"photos":1,"ranges":[1]})"), "mfs.calibration: field ranges is not a JSON object"},
      {with_calibration(R"({"photos":1,"ranges":{"a":"b"}})"), "mfs.calibration: ranges: field a is not"},
      {with_calibration(R"({"photos":1,"ranges":{"a":0}})"), "mfs.calibration: ranges: field a is not between 2^-20 and 2^60"},
      {with_calibration(R"({"photos":1,"ranges":{"a":1e-40}})"), "mfs.calibration: ranges: field a is not between"},
      {with_calibration(R"({"photos":1,"ranges":{"a":1e20}})"), "mfs.calibration: ranges: field a is not between"},
      {with_calibration(R"({"photos":1,"ranges":{"a":1e39}})"), "mfs.calibration: ranges: field a"},
      {with_calibration(R"({"photos":1,"ranges":{},"x":1})"), "mfs.calibration: unknown field 'x'"},
      {edited("F32", "F64"), "tensor 'a': field dtype is 'F64', not one of F32, F16, BF16, I8"},
      {edited("F32", "f32"), "tensor 'a': field dtype is 'f32'"},
      {edited("\"F32\"", "4"), "tensor 'a': field dtype is not a string"},
      {edited("dtype", "type"), "tensor 'a': field dtype is missing"},
      {edited("\"dtype\"", "\"note\":0,\"dtype\""), "tensor 'a': unknown field 'note'"},
      {edited("shape", "dims"), "tensor 'a': field shape is missing"},
      {edited("[2]", "2"), "tensor 'a': field shape is not an array"},
      {edited("[2]", "[-2]"), "tensor 'a': field shape holds something else than integers of 1 or more"},
      {edited("[2]", "[2.0]"), "tensor 'a': field shape holds something else"},
      {edited("[2]", "[0]"), "tensor 'a': field shape holds something else"},
      {edited("[2]", "[2,1,1,1,1,1,1,1,1]"), "tensor 'a': field shape is not an array of 0 to 8 values"},
      {edited("[2]", "[3]"), "tensor 'a' has 8 bytes, its shape and dtype need 12"},
      {edited("[2]", "[4294967296,4294967296]"), "tensor 'a': field shape is too large"},
      {edited("[2]", "[2,9223372036854775807]"), "tensor 'a': field shape is too large"},
      {edited("[2]", "[2305843009213693952]"), "tensor 'a': field shape is too large"},
      {edited("[2]", "[4611686018427387906]"), "tensor 'a': field shape is too large"},
      {edited("[2]", "[18446744073709551618]"), "tensor 'a': field shape holds something else"},
      {edited("data_offsets", "offsets"), "tensor 'a': field data_offsets is missing"},
      {edited("[0,8]", "[0]"), "tensor 'a': field data_offsets is not an array of 2 values"},
      {edited("[0,8]", "[-8,0]"), "tensor 'a': field data_offsets holds something else"},
      {edited("[0,8]", "[8,0]"), "tensor 'a': field data_offsets end before they begin"},
      {edited("[0,8]", "[9223372036854775799,9223372036854775807]"), "tensor 'a' reaches beyond the end of the file"},
      {edited("[0,8]", "[4,12]"), "the bytes before tensor 'a' belong to no tensor"},
      {edited("[8,16]", "[4,12]"), "tensors 'a' and 'b' overlap"},
      {edited("[8,16]", "[0,8]"), " overlap"},
      {edited("[8,16]", "[9,17]"), "tensor 'b' reaches beyond the end of the file"},
      {file_with(kTwo, kTwoData + "x"), "1 bytes at the end of the file belong to no tensor"},
      {file_with(kTwo, kTwoData.substr(1)), "tensor 'b' reaches beyond the end of the file (truncated?)"},
      {file_with("", "x"), "1 bytes at the end of the file belong to no tensor"},
      {file_with(entry("q", "I8", "[2]", 0, 2), "xx"), "tensor 'q' is I8 but has no 'q.scale'"},
      {file_with(entry("q", "I8", "[1]", 0, 1) + "," + entry("q.scale", "F16", "[1]", 1, 3), "xxx"),
       "tensor 'q.scale' does not hold"},
      {file_with(entry("q", "I8", "[1]", 0, 1) + "," + entry("q.scale", "F32", "[1,1]", 1, 5), "xxxxx"),
       "tensor 'q.scale' does not hold one F32 scale per output channel of 'q'"},
      {file_with(entry("q", "I8", "[2]", 0, 2) + "," + entry("q.scale", "F32", "[1]", 2, 6), "xxxxxx"),
       "tensor 'q.scale' does not hold"},
      {file_with(entry("q", "I8", "[]", 0, 1) + "," + entry("q.scale", "F32", "[1]", 1, 5), "xxxxx"),
       "tensor 'q.scale' does not hold"},
      {file_with(entry("q", "I8", "[1]", 0, 1) + "," + entry("q.scale", "I8", "[1]", 1, 2), "xx"), "tensor 'q.scale'"},
      {file_with(replaced(kTwo, "\"a\"", "\"\\u0000\\u001b[2J\""), kTwoData.substr(1)), "tensor 'b' reaches beyond"},
      {file_with(replaced(replaced(kTwo, "\"a\"", "\"\\u0000\\u001b[2J\""), "F32", "X"), kTwoData),
       "tensor '??[2J': field dtype"},
      {file_with(replaced(replaced(kTwo, "\"a\"", "\"" + std::string(5000, 'n') + "\""), "F32", "X"), kTwoData),
       "nnn...': field dtype"},
  };
  for (const Case& c : cases) {
    const std::string got = complaint(c.file);
    CAPTURE(c.file.substr(0, 400));
    CAPTURE(c.expected);
    CAPTURE(got);
    CHECK(got.find(c.expected) != std::string::npos);
    CHECK(got.size() < 300);
  }
}

TEST_CASE("a header of millions of values is refused") {
  std::string many = "{\"a\":[0";
  for (int i = 0; i < 3'000'000; ++i) many += ",0";
  CHECK(complaint(file_of(many + "]}", "")) == "the header holds more than a million values");
}

// A small file with all dtypes and offsets of all parities.
std::string sample() {
  return file_with(
      entry("conv.weight", "F32", "[2,1,1,2]", 0, 16) + "," + entry("half", "F16", "[3]", 16, 22) + "," +
          entry("bn.weight", "BF16", "[2]", 22, 26) + "," + entry("q.weight", "I8", "[3,1]", 26, 29) + "," +
          entry("q.weight.scale", "F32", "[3]", 29, 41),
      raw<float>({1, 2, 3, 4}) + raw<std::uint16_t>({1, 2, 3, 4, 5}) + raw<std::int8_t>({1, 2, 3}) + raw<float>({1, 2, 3}));
}

TEST_CASE("ten thousand damaged variants of a file end in success or a sentence") {
  const std::string good = sample();
  REQUIRE(complaint(good) == "");
  std::mt19937 random(20200);
  const auto below = [&random](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  int refused = 0;
  const auto count = [&](const std::string& bytes) { refused += complaint(bytes).empty() ? 0 : 1; };

  for (std::size_t size = 0; size < good.size(); ++size) CHECK(complaint(good.substr(0, size)) != "");
  for (std::size_t bit = 0; bit < 8 * 8; ++bit) {  // every bit of the header's length
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    CHECK(complaint(bytes) != "");
  }
  for (int i = 0; i < 5000; ++i) {  // flipped bits
    std::string bytes = good;
    for (std::size_t flips = 1 + below(3); flips > 0; --flips) {
      char& c = bytes[below(bytes.size())];
      c = static_cast<char>(c ^ (1 << below(8)));
    }
    count(bytes);
  }
  for (int i = 0; i < 2500; ++i) {  // other numbers: shapes, offsets, dtypes' digits
    std::string bytes = good;
    std::size_t at = below(bytes.size());
    while (bytes[at] < '0' || bytes[at] > '9') at = below(bytes.size());
    static const char* const kNumbers[] = {"-1",  "0", "9", "4294967296", "9223372036854775807", "18446744073709551616",
                                           "1e9", ""};
    bytes.replace(at, 1, kNumbers[below(std::size(kNumbers))]);
    count(bytes_of_length(bytes.size() - 8 - 41) + bytes.substr(8));
  }
  for (int i = 0; i < 2500; ++i) {  // pieces repeated, moved or cut out
    std::string bytes = good;
    const std::size_t begin = below(bytes.size()), size = 1 + below(40);
    const std::string piece = bytes.substr(begin, size);
    if (below(2) == 0) bytes.erase(begin, size);
    if (below(2) == 0) bytes.insert(below(bytes.size()), piece);
    count(bytes);
  }
  CHECK(refused > 7000);
}

TEST_CASE("the corpus of nasty files is refused, every one") {
  int files = 0;
  for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(MFS_TEST_DATA) / "corpus")) {
    CAPTURE(file.path().filename().string());
    std::string sentence;
    try {
      WeightsFile::open(file.path())->check_finite(2);
    } catch (const Error& error) {
      sentence = error.what();
    }
    CHECK(sentence.starts_with(file.path().string() + ": "));
    ++files;
  }
  CHECK(files >= 90);
}

}  // namespace
}  // namespace mfs::core
