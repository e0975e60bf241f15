#include "tools/jobs.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "tools/atomic_file.h"

namespace mfs::tools {
namespace {

namespace fs = std::filesystem;

struct KindInfo {
  const char *option, *suffix;
  std::vector<std::string> extensions;
};

const std::array<KindInfo, kOutputKinds>& kinds() {
  static const std::array<KindInfo, kOutputKinds> table{{{"--mask", ".mask.png", {".png"}},
                                                         {"--prob", ".prob.png", {".png", ".npy"}},
                                                         {"--cutout", ".cutout.png", {".png"}},
                                                         {"--blur", ".blur.jpg", {".jpg", ".jpeg", ".png"}},
                                                         {"--overlay", ".overlay.jpg", {".jpg", ".jpeg", ".png"}}}};
  return table;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// Photos by extension. Formats that cannot be read are listed too: better a sentence than silence.
bool is_photo_name(const std::string& name) {
  if (name.starts_with('.')) return false;
  const std::string low = lower(name);
  if (std::any_of(kinds().begin(), kinds().end(), [&](const KindInfo& k) { return low.ends_with(k.suffix); })) return false;
  const fs::path extension = fs::path(low).extension();
  constexpr const char* kExtensions[] = {".jpg", ".jpeg", ".jpe",  ".png",  ".bmp",  ".tga", ".pnm", ".ppm",  ".pgm",
                                         ".pbm", ".webp", ".heic", ".heif", ".avif", ".gif", ".tif", ".tiff", ".jxl"};
  return std::find(std::begin(kExtensions), std::end(kExtensions), extension) != std::end(kExtensions);
}

void collect(const fs::path& root, const fs::path& relative, std::vector<Job>& jobs) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator entry(root / relative, error), end; !error && entry != end; entry.increment(error)) {
    entries.push_back(*entry);
  }
  if (error)
    jobs.push_back({.input = (root / relative).string(), .problem = "the folder cannot be read (" + error.message() + ")"});
  std::sort(entries.begin(), entries.end());
  for (const fs::directory_entry& entry : entries) {
    const fs::path name = relative / entry.path().filename();
    if (entry.is_directory(error) && !entry.is_symlink(error)) {  // a symbolic link could lead in circles
      if (!name.filename().string().starts_with('.')) collect(root, name, jobs);
    } else if (is_photo_name(name.filename().string())) {
      jobs.push_back({.input = (root / name).string(), .name = name.string()});
    }
  }
}

std::vector<Job> given_photos(const std::vector<std::string>& inputs, bool batch) {
  std::vector<Job> jobs;
  std::error_code error;
  for (const std::string& input : inputs) {
    if (input == "-" || !fs::is_directory(input, error)) {
      jobs.push_back({.input = input, .name = batch ? fs::path(input).filename().string() : input});
      continue;
    }
    const std::size_t before = jobs.size();
    collect(input, "", jobs);
    if (jobs.size() == before) jobs.push_back({.input = input, .problem = "the folder holds no photos"});
  }
  return jobs;
}

std::vector<Job> listed_photos(const std::string& list) {
  std::vector<Job> jobs;
  try {
    const std::vector<std::uint8_t> text = read_file(list);
    for (std::string& path : parse_list({reinterpret_cast<const char*>(text.data()), text.size()})) {
      jobs.push_back({.input = path, .name = path});
    }
  } catch (const FileError& error) {
    throw UsageError(std::string("--list: ") + error.what());
  }
  if (jobs.empty()) throw UsageError("--list: '" + list + "' names no photo");
  return jobs;
}

std::string output_name(const fs::path& input, OutputKind kind) {
  return (input.string() == "-" ? "stdin" : input.stem().string()) + kinds()[kind].suffix;
}

// A photo keeps its path below the output folder: "a/../b/dog.jpg" and "/b/dog.jpg" become "b/...".
void name_outputs_in_folders(const Options& o, Job& job) {
  fs::path photo;
  for (const fs::path& part : fs::path(job.name).relative_path().lexically_normal()) {
    if (part != "..") photo /= part;
  }
  for (std::size_t k = 0; k < kOutputKinds; ++k) {
    if (o.outputs[k].empty()) continue;
    job.outputs[k] = (o.outputs[k] / photo.parent_path() / output_name(photo, static_cast<OutputKind>(k))).string();
  }
}

void name_outputs_of_one(const Options& o, Job& job) {
  for (std::size_t k = 0; k < kOutputKinds; ++k) {
    const std::string& given = o.outputs[k];
    std::error_code error;
    if (!given.empty() && (given.ends_with('/') || fs::is_directory(given, error))) {
      job.outputs[k] = (fs::path(given) / output_name(job.input, static_cast<OutputKind>(k))).string();
      continue;
    }
    const KindInfo& kind = kinds()[k];
    const std::string extension = lower(fs::path(given).extension().string());
    struct stat info {};
    const bool special = ::stat(given.c_str(), &info) == 0 && !S_ISREG(info.st_mode);  // /dev/null, a pipe
    if (!given.empty() && given != "-" && !special &&
        std::find(kind.extensions.begin(), kind.extensions.end(), extension) == kind.extensions.end()) {
      std::string list;
      for (const std::string& e : kind.extensions) list += (list.empty() ? "" : " or ") + e;
      throw UsageError(std::string(kind.option) + ": the name of the file must end in " + list + " ('" + given + "' does not)");
    }
    job.outputs[k] = given;
  }
}

// Outputs against each other, against everything that is read, and against what exists.
void check_outputs(const Options& o, Jobs& jobs) {
  std::set<std::pair<dev_t, ino_t>> inputs;
  const auto add_input = [&](const std::string& path) {
    struct stat info {};
    if (!path.empty() && path != "-" && ::stat(path.c_str(), &info) == 0) inputs.insert({info.st_dev, info.st_ino});
  };
  for (const Job& job : jobs.list) add_input(job.input);
  add_input(o.clicks_file);
  add_input(o.list_file);
  add_input(o.weights);

  std::map<std::string, std::string> writers;
  std::vector<std::string> existing;
  // True when the file exists already.
  const auto check = [&](const std::string& path, const std::string& writer) {
    struct stat info {};
    bool exists = ::stat(path.c_str(), &info) == 0;
    if (exists && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return false;
    if (exists && inputs.contains({info.st_dev, info.st_ino})) {
      throw UsageError("'" + path + "' is an input and an output; an input is never overwritten");
    }
    std::error_code error;
    const auto [other, is_new] = writers.insert({fs::weakly_canonical(fs::absolute(path), error).string(), writer});
    if (!is_new) {
      throw UsageError(other->second == writer
                           ? "the photo of " + writer + " is given twice"
                           : "'" + path + "' would be written twice: for " + other->second + " and for " + writer);
    }
    // A machine that lost its power may leave files without content.
    if (exists && S_ISREG(info.st_mode) && info.st_size == 0 && o.if_exists == IfExists::kSkip) exists = false;
    if (exists) existing.push_back(path);
    return exists;
  };
  for (Job& job : jobs.list) {
    bool all_exist = true;
    for (std::size_t k = 0; k < kOutputKinds; ++k) {
      std::string& path = job.outputs[k];
      if (path.empty()) continue;
      const bool exists = path != "-" && check(path, job.input + " (" + kinds()[k].option + ")");
      all_exist = all_exist && exists;
      if (exists && o.if_exists == IfExists::kSkip) path.clear();
    }
    job.finished = all_exist && job.problem.empty() && o.if_exists == IfExists::kSkip;
  }
  jobs.trace = o.trace;
  if (!o.trace.empty() && check(o.trace, "--trace") && o.if_exists == IfExists::kSkip) jobs.trace.clear();
  if (!existing.empty() && o.if_exists == IfExists::kStop) {
    const std::string more = existing.size() > 1 ? " and " + std::to_string(existing.size() - 1) + " more" : "";
    throw UsageError("'" + existing[0] + "'" + more + (more.empty() ? " exists" : " exist") +
                     "; choose --overwrite or --skip-existing");
  }
}

}  // namespace

std::vector<std::string> parse_list(std::string_view text) {
  const bool zeros = text.find('\0') != std::string_view::npos;
  std::vector<std::string> names;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(zeros ? '\0' : '\n'), text.size());
    std::string_view name = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!zeros && name.ends_with('\r')) name.remove_suffix(1);
    if (!name.empty()) names.emplace_back(name);
  }
  return names;
}

bool writes_to_stdout(const Options& o) { return std::count(o.outputs.begin(), o.outputs.end(), "-") > 0; }

Jobs plan_jobs(const Options& given) {
  Options o = given;
  Jobs jobs;
  std::error_code error;
  const bool listed = !o.list_file.empty();
  jobs.batch = listed || o.inputs.size() > 1 || fs::is_directory(o.inputs[0], error);
  const bool default_mask = std::all_of(o.outputs.begin(), o.outputs.end(), [](const std::string& s) { return s.empty(); });
  if (std::count(o.outputs.begin(), o.outputs.end(), "-") > 1) throw UsageError("only one output can go to standard output");
  if (jobs.batch && writes_to_stdout(o)) throw UsageError("'-' as an output needs a single photo");
  if (jobs.batch && std::count(o.inputs.begin(), o.inputs.end(), "-") > 0) {
    throw UsageError("'-' as an input cannot be combined with others");
  }
  if (default_mask && !listed && o.inputs[0] == "-")
    throw UsageError("a photo from standard input needs an output, for example -o mask.png");
  for (std::size_t k = 0; jobs.batch && k < kOutputKinds; ++k) {
    if (fs::exists(o.outputs[k], error) && !fs::is_directory(o.outputs[k], error)) {
      throw UsageError(std::string(kinds()[k].option) + ": '" + o.outputs[k] +
                       "' is not a folder, and several photos need one");
    }
  }

  jobs.list = listed ? listed_photos(o.list_file) : given_photos(o.inputs, jobs.batch);
  for (Job& job : jobs.list) {
    if (!job.problem.empty()) continue;
    if (default_mask) {
      job.outputs[kMask] = (fs::path(job.input).parent_path() / output_name(job.input, kMask)).string();
    } else if (jobs.batch) {
      name_outputs_in_folders(o, job);
    } else {
      name_outputs_of_one(o, job);
    }
  }
  check_outputs(o, jobs);
  return jobs;
}

}  // namespace mfs::tools
