#include "tools/eval_dataset.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "tools/atomic_file.h"
#include "tools/command_line.h"
#include "tools/eval_distance.h"
#include "tools/eval_random.h"
#include "tools/image_header.h"

namespace mfs::tools {
namespace {

namespace fs = std::filesystem;
using Extensions = std::vector<std::string>;

// Formats that cannot be read are listed too: better a sentence than silence.
const Extensions& photo_extensions() {
  static const Extensions list{".jpg", ".jpeg", ".jpe",  ".png",  ".bmp",  ".tga", ".pnm", ".ppm", ".pgm",
                               ".pbm", ".webp", ".heic", ".heif", ".avif", ".gif", ".tif", ".tiff"};
  return list;
}
// Lossless ones: a mask that went through JPEG has other values than 0, 128 and 255.
const Extensions& mask_extensions() {
  static const Extensions list{".png", ".bmp", ".pgm", ".pbm", ".tga"};
  return list;
}

// Stem -> files of that stem.
std::map<std::string, std::vector<std::string>> list_files(const fs::path& folder, const Extensions& extensions) {
  std::map<std::string, std::vector<std::string>> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const fs::path& path = entry->path();
    std::string extension = path.extension().string();
    for (char& c : extension) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    if (path.filename().string().starts_with('.')) continue;
    if (std::find(extensions.begin(), extensions.end(), extension) == extensions.end()) continue;
    files[path.stem().string()].push_back(path.string());
  }
  if (error) throw UsageError("--dataset: the folder '" + folder.string() + "' cannot be read (" + error.message() + ")");
  for (auto& [stem, paths] : files) std::sort(paths.begin(), paths.end());
  return files;
}

void add_file(std::string& to, const std::vector<std::string>& files, Instance& instance) {
  to = files[0];
  if (files.size() > 1) instance.problem = "'" + files[0] + "' and '" + files[1] + "' have the same name; one must go";
}

std::string size_text(int width, int height) { return std::to_string(width) + "x" + std::to_string(height); }

}  // namespace

std::vector<Instance> list_instances(const DatasetFolder& dataset, std::size_t limit) {
  const fs::path folder(dataset.folder);
  std::map<std::string, Instance> found;
  for (const auto& [stem, files] : list_files(folder / "img", photo_extensions())) {
    add_file(found[stem].photo, files, found[stem]);
  }
  for (const auto& [stem, files] : list_files(folder / "gt", mask_extensions())) {
    add_file(found[stem].truth, files, found[stem]);
  }
  if (found.empty()) throw UsageError("--dataset: '" + dataset.folder + "' holds no photos (img/) and masks (gt/)");
  std::vector<Instance> all;
  for (auto& [stem, instance] : found) {
    instance.name = stem;
    if (instance.truth.empty()) instance.problem = instance.photo + ": there is no mask of this name in gt/";
    if (instance.photo.empty()) instance.problem = instance.truth + ": there is no photo of this name in img/";
    all.push_back(std::move(instance));
  }
  if (limit == 0 || limit >= all.size()) return all;
  std::vector<Instance> some;
  for (std::size_t i = 0; i < limit; ++i) some.push_back(std::move(all[i * all.size() / limit]));
  return some;
}

InstanceFiles read_instance(const Instance& instance) {
  InstanceFiles files{.photo = read_file(instance.photo), .truth = read_file(instance.truth)};
  files.photo_hash = fnv1a(files.photo);
  files.truth_hash = fnv1a(files.truth);
  return files;
}

Mask decode_truth(Bytes file) {
  const Photo image = decode_photo(file);
  Mask truth{image.width, image.height, {}};
  truth.pixels.reserve(image.pixels.size() / image.channels);
  for (std::size_t i = 0; i < image.pixels.size(); i += image.channels) {
    const std::uint8_t value = image.pixels[i];
    if (image.pixels[i + 1] != value || image.pixels[i + 2] != value) throw ImageError("a mask must be grey; this is coloured");
    if (value != kObject && value != kBackground && value != kIgnored) {
      throw ImageError("a mask has the values 255 (object), 0 (background) and 128 (ignored); this one has a " +
                       std::to_string(value));
    }
    truth.pixels.push_back(value);
  }
  return truth;
}

Scene decode_instance(const Instance& instance, const InstanceFiles& files) {
  const auto named = [](const std::string& path, const auto& decode) {
    try {
      return decode();
    } catch (const ImageError& error) {
      throw ImageError(path + ": " + error.what());
    }
  };
  Scene scene{.photo = named(instance.photo, [&] { return decode_photo(files.photo); }),
              .truth = named(instance.truth, [&] { return decode_truth(files.truth); })};
  if (scene.photo.width != scene.truth.width || scene.photo.height != scene.truth.height) {
    throw ImageError(instance.truth + ": the mask is " + size_text(scene.truth.width, scene.truth.height) + ", the photo " +
                     size_text(scene.photo.width, scene.photo.height));
  }
  scene.object_pixels = std::count(scene.truth.pixels.begin(), scene.truth.pixels.end(), kObject);
  if (scene.object_pixels == 0) throw ImageError(instance.truth + ": the mask is empty, there is nothing to tap");
  return scene;
}

}  // namespace mfs::tools
