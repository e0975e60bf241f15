// Data sets, the journal, reports and the contact sheet of mfs_eval.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/tools/eval_masks.h"
#include "tools/atomic_file.h"
#include "tools/command_line.h"
#include "tools/encode.h"
#include "tools/eval_journal.h"
#include "tools/eval_report.h"
#include "tools/eval_sheet.h"
#include "tools/image_header.h"

namespace mfs::tools {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "mfs_eval_test.XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

void write(const std::string& path, Bytes content) { AtomicFile(path, content).commit(); }

std::vector<std::uint8_t> grey_png(const Mask& m) { return encode_png(m.pixels, m.width, m.height, 1); }

InstanceResult result(const std::string& dataset, const std::string& name, std::vector<double> iou) {
  InstanceResult r{.dataset = dataset, .weights = "w.safetensors", .name = name, .photo = "img/" + name + ".png"};
  r.width = 40;
  r.height = 30;
  r.object_pixels = 12;
  r.photo_hash = fnv1a(name);
  r.taps = {{3, 4}};
  r.iou = std::move(iou);
  return r;
}

InstanceResult failure(const std::string& dataset, const std::string& name) {
  return {.dataset = dataset, .weights = "w.safetensors", .name = name, .photo = "", .error = name + ": is \"bad\", really"};
}

}  // namespace

TEST_CASE("ground truth has three values") {
  const Mask m = test::mask({"#o.", ".#o"});
  const Mask read = decode_truth(grey_png(m));
  CHECK((read.width == 3 && read.height == 2));
  CHECK(read.pixels == m.pixels);
  Mask other = m;
  other.pixels[4] = 254;
  CHECK_THROWS_WITH_AS(decode_truth(grey_png(other)), doctest::Contains("254"), ImageError);
  const std::vector<std::uint8_t> red{255, 0, 0};
  CHECK_THROWS_WITH_AS(decode_truth(encode_png(red, 1, 1, 3)), doctest::Contains("grey"), ImageError);
}

TEST_CASE("a data set's instances") {
  const Folder folder;
  const std::vector<std::uint8_t> png = grey_png(test::mask({"##", "#."}));
  for (const char* name : {"img/b.PNG", "img/a.x.png", "img/c.png", "img/d.png", "img/d.bmp", "img/.hidden.png", "img/e.txt",
                           "gt/b.png", "gt/a.x.png", "gt/d.png", "gt/f.png"}) {
    write(folder / name, png);
  }
  const DatasetFolder dataset{"set", folder / ""};
  const std::vector<Instance> all = list_instances(dataset, 0);
  REQUIRE(all.size() == 5);
  const char* names[] = {"a.x", "b", "c", "d", "f"};
  const char* problems[] = {"", "", "no mask", "same name", "no photo"};
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i].name == names[i]);
    CHECK(all[i].problem.empty() == std::string(problems[i]).empty());
    CHECK(all[i].problem.find(problems[i]) != std::string::npos);
  }
  const std::vector<Instance> some = list_instances(dataset, 2);
  REQUIRE(some.size() == 2);
  CHECK((some[0].name == "a.x" && some[1].name == "c"));
  CHECK_THROWS_AS(list_instances({"set", folder / "none"}, 0), UsageError);
}

TEST_CASE("differing sizes and empty masks are sentences") {
  const Folder folder;
  write(folder / "img/a.png", grey_png(test::mask({"##", "#."})));
  write(folder / "gt/a.png", grey_png(test::mask({"##."})));
  const Instance a{.name = "a", .photo = folder / "img/a.png", .truth = folder / "gt/a.png", .problem = ""};
  CHECK_THROWS_WITH_AS(decode_instance(a, read_instance(a)), doctest::Contains("the mask is 3x1, the photo 2x2"), ImageError);
  write(folder / "gt/a.png", grey_png(test::mask({"o.", ".."})));
  CHECK_THROWS_WITH_AS(decode_instance(a, read_instance(a)), doctest::Contains("empty"), ImageError);
  write(folder / "gt/a.png", grey_png(test::mask({"o#", ".#"})));
  CHECK(decode_instance(a, read_instance(a)).object_pixels == 2);
}

TEST_CASE("the journal survives a torn line") {
  const Folder folder;
  const std::string path = folder / "run.log";
  {
    Journal journal(path);
    journal.append(1, result("set", "a", {0.1, 1.0 / 3}));
    journal.append(0xFFFFFFFFFFFFFFFFu, result("set", "b\n\xFF", {0.5, 0.75}));
    journal.append(3, result("set", "c", {0.25}));
  }
  const auto whole = fs::file_size(path);
  fs::resize_file(path, whole - 20);
  {
    Journal journal(path);
    CHECK(journal.size() == 2);
    CHECK(journal.unreadable_lines() == 1);
    InstanceResult r;
    CHECK(journal.find(1, 2, r));
    CHECK((r.iou == std::vector<double>{0.1, 1.0 / 3}));  // to the last bit
    CHECK((r.width == 40 && r.height == 30 && r.object_pixels == 12 && r.taps.size() == 1 && r.taps[0].y == 4));
    CHECK(journal.find(0xFFFFFFFFFFFFFFFFu, 1, r));
    CHECK(r.iou == std::vector<double>{0.5});
    CHECK(!journal.find(1, 3, r));  // fewer taps than asked for
    CHECK(!journal.find(3, 1, r));
    journal.append(3, result("set", "c", {0.25}));
  }
  Journal journal(path);
  InstanceResult r;
  CHECK(journal.find(3, 1, r));
  CHECK(journal.size() == 3);
  CHECK(journal.unreadable_lines() == 1);
}

TEST_CASE("a journal of other content is skipped line by line") {
  const Folder folder;
  std::ofstream(folder / "run.log") << "hello\n[]\n{\"key\":1}\n"
                                    << R"({"key":1,"width":1,"height":1,"object_pixels":1,"taps":[[1]],"iou":[0.5]})"
                                    << "\n"
                                    << R"({"key":1,"width":1,"height":1,"object_pixels":1,"taps":[[1,1]],"iou":[1.5]})"
                                    << "\n"
                                    << R"({"key":1,"width":1,"height":1,"object_pixels":1,"taps":[[1,1]],"iou":[null]})"
                                    << "\n";
  const Journal journal(folder / "run.log");
  CHECK(journal.size() == 0);
  CHECK(journal.unreadable_lines() == 6);
}

TEST_CASE("means, lines and tables") {
  const std::vector<InstanceResult> results = {result("GrabCut", "a", {0.5, 0.75}), result("GrabCut", "b", {1, 1}),
                                               failure("GrabCut", "c"), result("mine", "a", {0.25, 0.5}), failure("none", "x")};
  const std::vector<Summary> summaries = summarise(results, 2);
  REQUIRE(summaries.size() == 6);
  CHECK((summaries[0].images == 2 && summaries[0].instances == 2 && summaries[0].failed == 1));
  CHECK(*summaries[0].mean_iou == 0.75);
  CHECK(*summaries[1].mean_iou == 0.875);
  CHECK((summaries[2].dataset == "mine" && summaries[2].taps == 1));
  CHECK(!summaries[4].mean_iou);

  const ClickProtocol click = parse_protocol("jitter:4");
  const json line = json::parse(json_line(summaries[1], click));
  CHECK(line.size() == 8);
  CHECK(json_line(summaries[1], click)
            .starts_with(R"({"dataset":"GrabCut","weights":"w.safetensors","click":"jitter:4","taps":2,)"
                         R"("images":2,"instances":2,"mean_iou":0.875,"ci95":[)"));
  CHECK(json::parse(json_line(summaries[4], click))["mean_iou"].is_null());

  const std::string text = table(summaries, click);
  CAPTURE(text);
  CHECK(text.find("paper, Table 1: resnet-multi, 512") != std::string::npos);
  CHECK(text.find("paper, Table 3: Ours-best") != std::string::npos);
  CHECK(text.find("75.0 (50.0-100.0)") != std::string::npos);
  CHECK(table(summarise({result("mine", "a", {0.25})}, 1), click).find("paper") == std::string::npos);
  const std::string voc = table(summarise({result("PASCAL-VOC 2012", "a", {0.25})}, 1), click);
  CHECK(voc.find("80.8") != std::string::npos);
  CHECK(voc.find("Table 1") == std::string::npos);
}

TEST_CASE("CSV, report and clicks") {
  InstanceResult two = result("set", "b,1", {0.25, 0.5});
  two.taps = {{3, 4}, {5, 6}};
  const std::vector<InstanceResult> results = {result("set", "a", {0.5, 0.5}), two, failure("set", "c")};
  CHECK(csv(results, 2) ==
        "dataset,weights,name,width,height,object_pixels,taps,iou_1,iou_2,error\n"
        "set,w.safetensors,a,40,30,12,3 4,0.500000,0.500000,\n"
        "set,w.safetensors,\"b,1\",40,30,12,3 4;5 6,0.250000,0.500000,\n"
        "set,w.safetensors,c,,,,,,,\"c: is \"\"bad\"\", really\"\n");
  EvalOptions options;
  options.taps = 2;
  const json report = json::parse(report_json(results, summarise(results, 2), options, "cpu", "f32"));
  CHECK(report["instances"].size() == 3);
  CHECK(report["instances"][1]["taps"] == json::parse("[[3,4],[5,6]]"));
  CHECK(report["instances"][2].contains("error"));
  CHECK(report["results"][0]["failed"] == 1);
  CHECK(json::parse(clicks_json(results, false)) == json::parse(R"({"a.png": [[3,4]], "b,1.png": [[3,4]]})"));
  CHECK(json::parse(clicks_json(results, true)).contains("img/a.png"));
  CHECK(clicks_json({failure("set", "c")}, false) == "{}\n");
}

TEST_CASE("the contact sheet") {
  Scene scene{.photo = {.width = 480, .height = 120, .pixels = {}}, .truth = test::rectangle(480, 120, 0, 0, 240, 120)};
  scene.photo.pixels.assign(480 * 120 * 3, 100);
  scene.truth.pixels[480 * 60 + 300] = kIgnored;
  const Mask prediction = test::rectangle(480, 120, 120, 0, 360, 120);
  ContactSheet sheet(6);
  for (int i = 0; i < 6; ++i) sheet.add(scene, prediction, {{119.5f, 59.5f}}, 0.125 * i);
  const Photo shown = decode_photo(sheet.png());
  CHECK((shown.width == 8 + 5 * 248 && shown.height == 8 + 2 * 272));
  // The photo is shown 240 x 60 from (8, 98) on.
  const auto colour = [&](int x, int y) {
    const std::uint8_t* p = shown.pixels.data() + (std::size_t(98 + y) * shown.width + 8 + x) * 3;
    return std::vector<int>{p[0], p[1], p[2]};
  };
  CHECK(colour(30, 40) == std::vector<int>{100, 100, 100});  // neither found nor outlined
  CHECK(colour(60, 30) == std::vector<int>{230, 30, 30});    // the tap
  CHECK(colour(119, 40) == std::vector<int>{255, 220, 0});   // the true contour
  CHECK(colour(150, 40) == std::vector<int>{73, 127, 169});  // found
  CHECK(colour(150, 30) == std::vector<int>{40, 94, 136});   // found, but ignored
  CHECK(colour(200, 40) == std::vector<int>{100, 100, 100});
  CHECK(colour(200, -5) == std::vector<int>{24, 24, 24});
}

}  // namespace mfs::tools
