// Any words as the command lines of mfs_infer and mfs_eval, and any bytes as a list of photos: options that can be, or a
// sentence.
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "tools/eval_options.h"
#include "tools/jobs.h"
#include "tools/options.h"

namespace {

template <typename Parse>
void expect_options_or_sentence(const Parse& parse) {
  try {
    parse();
  } catch (const mfs::tools::UsageError& error) {
    if (error.what()[0] == '\0') std::abort();
  }
}

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mfs::tools;
  static std::ostringstream help;  // --help and --version are no findings
  std::cout.rdbuf(help.rdbuf());
  help.str("");

  const std::string text(reinterpret_cast<const char*>(data), size);
  std::istringstream lines(text);
  std::vector<std::string> words{"program"};
  for (std::string word; std::getline(lines, word) && words.size() < 64;) words.push_back(word.c_str());  // up to a zero
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  const int argc = static_cast<int>(argv.size());

  expect_options_or_sentence([&] {
    const auto o = parse_options(argc, argv.data());
    if (!o) return;
    require(o->inputs.empty() != o->list_file.empty());
    require(o->threshold > 0 && o->threshold < 1 && o->repeat >= 1 && o->network.threads >= 0);
    require(!o->blur_radius || *o->blur_radius > 0);
  });
  expect_options_or_sentence([&] {
    const auto o = parse_eval_options(argc, argv.data());
    if (o) require(!o->datasets.empty() && o->taps >= 1);
  });
  for (const std::string& name : parse_list(text)) require(!name.empty() && name.find('\0') == std::string::npos);
  return 0;
}
