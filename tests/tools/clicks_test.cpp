#include "tools/clicks.h"

#include <doctest/doctest.h>

namespace mfs::tools {

TEST_CASE("a tap on the command line is X,Y") {
  CHECK(parse_click("214,180").x == 214);
  CHECK(parse_click("214,180").y == 180);
  CHECK(parse_click("-0.5,12.25").x == -0.5f);
  CHECK(parse_click("-0.5,12.25").y == 12.25f);
  for (const char* text :
       {"", "214", "214,", ",180", "214,180,3", "214;180", "x,y", "214,180px", "nan,1", "inf,1", "1,-inf", "1e99,1"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_click(text), ClicksError);
  }
}

TEST_CASE("a tap is written as it is typed") {
  for (const char* text : {"214,180", "-0.6,0.1", "3.25,1e+09"}) CHECK(to_string(parse_click(text)) == text);
}

TEST_CASE("the photo reaches half a pixel beyond the centres of its outer pixels") {
  CHECK(is_inside({-0.5f, -0.5f}, 640, 480));
  CHECK(is_inside({639.5f, 479.5f}, 640, 480));
  CHECK_FALSE(is_inside({-0.501f, 0}, 640, 480));
  CHECK_FALSE(is_inside({0, -0.501f}, 640, 480));
  CHECK_FALSE(is_inside({639.51f, 0}, 640, 480));
  CHECK_FALSE(is_inside({0, 479.51f}, 640, 480));
}

TEST_CASE("--clicks finds a photo by name, by path, by file name") {
  const ClicksFile clicks(
      R"({"sub/dog.jpg": [[1, 2]], "photos/cat.jpg": [[3, 4], [5, 6.5]], "fox.jpg": [], "elk.jpg": [[7, 8]]})");
  REQUIRE(clicks.find("sub/dog.jpg", "photos/sub/dog.jpg") != nullptr);
  CHECK(clicks.find("sub/dog.jpg", "photos/sub/dog.jpg")->at(0).y == 2);
  REQUIRE(clicks.find("cat.jpg", "photos/cat.jpg") != nullptr);
  CHECK(clicks.find("cat.jpg", "photos/cat.jpg")->at(1).y == 6.5f);
  REQUIRE(clicks.find("a/elk.jpg", "photos/a/elk.jpg") != nullptr);
  CHECK(clicks.find("dog.jpg", "other/dog.jpg") == nullptr);
  CHECK(clicks.unused() == std::vector<std::string>{"fox.jpg"});
}

TEST_CASE("--clicks of any other form is refused with a sentence") {
  for (const char* text :
       {"", "{", "[]", "3", R"({"a.jpg": 3})", R"({"a.jpg": [1, 2]})", R"({"a.jpg": [[1]]})", R"({"a.jpg": [[1, 2, 3]]})",
        R"({"a.jpg": [["1", "2"]]})", R"({"a.jpg": {"dog": [1, 2]}})", R"({"a.jpg": [[1, 2]], "a.jpg": [[3, 4]]})",
        R"({"a.jpg": [[1e99, 2]]})", "{\"a\xFF.jpg\": [[1, 2]]}", R"({"a.jpg": [[1, 2]]} x)"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(ClicksFile{text}, ClicksError);
  }
}

}  // namespace mfs::tools
