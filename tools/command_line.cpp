#include "tools/command_line.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <new>

namespace mfs::tools {
namespace {

constexpr const char* kGroup = "Network";

std::string device_problem(const std::string& text) {
  const bool indexed = text.starts_with("cuda:") && text.size() > 5 && text.size() <= 8 &&
                       text.find_first_not_of("0123456789", 5) == std::string::npos;
  return text == "auto" || text == "cpu" || text == "cuda" || indexed ? "" : "'" + text + "' is not auto, cpu, cuda or cuda:N";
}

// CLI11 counts; people want to be told what they did.
std::string sentence(const CLI::App& app, const CLI::ArgumentMismatch& error) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_expected_max() == 1 && option->get_type_size_max() == 1 && option->count() > 1) {
      return option->get_name() + " is given " + std::to_string(option->count()) + " times";
    }
  }
  const std::string text = error.what(), name = text.substr(0, text.find(':'));
  const CLI::Option* option = app.get_option_no_throw(name);
  return option == nullptr ? text : name + ": its value is missing (" + option->get_type_name() + ")";
}

std::string sentence(const CLI::App& app) {
  for (const std::string& word : app.remaining()) {
    if (word.starts_with('-')) return "there is no option " + word;
  }
  return "'" + app.remaining().front() + "' belongs to no option";
}

}  // namespace

int exit_status(mfs_status status) {
  switch (status) {
    case MFS_INVALID_ARGUMENT:
      return 2;
    case MFS_BAD_WEIGHTS:
      return 3;
    case MFS_NO_DEVICE:
    case MFS_UNSUPPORTED:
    case MFS_OUT_OF_MEMORY:
      return 4;
    default:
      return 1;
  }
}

int run_program(const char* name, const std::function<int()>& body) {
  const auto failed = [&](int status, const char* sentence, const char* end = "") {
    std::fprintf(stderr, "%s: %s\n%s", name, sentence, end);
    return status;
  };
  try {
    return body();
  } catch (const UsageError& error) {
    return failed(2, error.what(), ("Run " + std::string(name) + " --help for the options.\n").c_str());
  } catch (const Error& error) {
    return failed(exit_status(error.status()), error.what());
  } catch (const std::bad_alloc&) {
    return failed(exit_status(MFS_OUT_OF_MEMORY), "out of memory");
  } catch (const std::exception& error) {
    return failed(1, error.what());
  }
}

void add_network_options(CLI::App& app, NetworkOptions& o) {
  app.add_option("--size", o.size, "Network size: multiples of 8 (VGG: 32) from 64 on; native = the photo's [as trained]")
      ->type_name("N|WxH|native")
      ->group(kGroup);
  app.add_flag("--zoom-in", o.zoom_in, "Look twice, then at the surroundings of what was found: better masks, twice the time")
      ->group(kGroup);
  app.add_flag("--refine", o.refine, "Let outlines follow the photo's edges: better masks, for a little more time")
      ->group(kGroup);
  app.add_option("--device", o.device, "auto, cpu, cuda or cuda:N [auto]")
      ->type_name("DEVICE")
      ->group(kGroup)
      ->check(CLI::Validator(device_problem, "", ""));
  app.add_option("--precision", o.precision,
                 "auto, f32 (CPU), bf16, f16 (GPU), int8 (CPU, Hopper GPU), fp8 (Hopper GPU) [auto]")
      ->type_name("TYPE")
      ->group(kGroup)
      ->check(CLI::IsMember({"auto", "f32", "bf16", "f16", "int8", "fp8"}).description(""));
  app.add_option("--threads", o.threads, "Host threads of the network [all]")
      ->type_name("N")
      ->group(kGroup)
      ->check(CLI::Range(1, 1024).description(""));
}

bool parse_command_line(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    app.exit(help, std::cout, std::cerr);
    return false;
  } catch (const CLI::ArgumentMismatch& error) {
    throw UsageError(sentence(app, error));
  } catch (const CLI::ExtrasError&) {
    throw UsageError(sentence(app));
  } catch (const CLI::ExcludesError& error) {
    std::string text = error.what();
    const std::string excludes = " excludes ";
    if (const std::size_t at = text.find(excludes); at != std::string::npos) {
      text.replace(at, excludes.size(), " cannot be combined with ");
    }
    throw UsageError(text);
  } catch (const CLI::Error& error) {
    throw UsageError(error.what());
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& value : option->results()) {
      if (value.empty()) throw UsageError(option->get_name() + ": its value is empty");
      if (value.starts_with('=')) throw UsageError(option->get_name() + ": short options take their value without '='");
    }
  }
  return true;
}

SessionOptions session_options(const NetworkOptions& options) {
  const std::string& text = options.size;
  SessionOptions session;
  session.zoom_in = options.zoom_in;
  session.refine = options.refine;
  if (text.empty()) return session;
  if (text == "native") {
    if (options.zoom_in)
      throw UsageError("--zoom-in: a part of the photo fills the network's size, which '--size native' leaves open");
    session.native_size = true;
    return session;
  }
  const char* const end = text.data() + text.size();
  const auto width = std::from_chars(text.data(), end, session.network_width);
  bool valid = width.ec == std::errc() && session.network_width > 0;
  session.network_height = session.network_width;
  if (valid && width.ptr != end) {
    const auto height = *width.ptr == 'x' ? std::from_chars(width.ptr + 1, end, session.network_height) : width;
    valid = *width.ptr == 'x' && height.ec == std::errc() && height.ptr == end && session.network_height > 0;
  }
  if (!valid) throw UsageError("--size: '" + text + "' is not N, WxH (width first) or native");
  return session;
}

}  // namespace mfs::tools
