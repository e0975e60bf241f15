// Any bytes as a --clicks file and as a --click: taps that are numbers, or a sentence.
#include <cmath>
#include <cstdlib>

#include "tools/clicks.h"

namespace {

void expect_finite(mfs::Point tap) {
  if (!std::isfinite(tap.x) || !std::isfinite(tap.y)) std::abort();
}

template <typename Action>
void expect_success_or_sentence(const Action& action) {
  try {
    action();
  } catch (const mfs::tools::ClicksError& error) {
    if (error.what()[0] == '\0') std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  expect_success_or_sentence([&] {
    const mfs::tools::ClicksFile clicks(text);
    for (const std::string& name : clicks.unused()) {
      for (const mfs::Point tap : *clicks.find(name, name)) expect_finite(tap);
    }
  });
  expect_success_or_sentence([&] {
    const mfs::Point tap = mfs::tools::parse_click(text);
    expect_finite(tap);
    const mfs::Point again = mfs::tools::parse_click(mfs::tools::to_string(tap));
    if (again.x != tap.x || again.y != tap.y) std::abort();
  });
  return 0;
}
