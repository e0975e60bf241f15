// The paper's numbers: mean IoU in percent with a single tap (Tables 1 to 3; of Table 1, those at convergence).
#pragma once

#include <array>
#include <string_view>

namespace mfs::tools {

inline constexpr std::array<std::string_view, 7> kPublishedDatasets = {"GrabCut", "Berkeley", "ECSSD",  "MSRA10K",
                                                                       "VOC12",   "COCO-20",  "COCO-60"};

struct PublishedRow {
  int table;
  std::string_view method;
  std::array<double, 7> percent;  // in the order of kPublishedDatasets; 0: not published
};

inline constexpr PublishedRow kPublished[] = {
    {1, "TNS, 256", {79.0, 67.0, 76.0, 85.0, 0, 0, 0}},
    {1, "vgg-baseline, 256 (no tap)", {77.4, 63.2, 72.3, 86.2, 0, 0, 0}},
    {1, "vgg-early, 256", {80.1, 65.3, 76.5, 87.5, 0, 0, 0}},
    {1, "resnet-baseline, 256 (no tap)", {83.0, 68.2, 82.0, 86.9, 0, 0, 0}},
    {1, "resnet-early, 256", {84.3, 75.3, 83.6, 89.6, 0, 0, 0}},
    {1, "resnet-multi, 256", {85.7, 78.4, 85.2, 92.1, 0, 0, 0}},
    {1, "resnet-baseline, 512 (no tap)", {79.0, 68.3, 82.6, 87.9, 0, 0, 0}},
    {1, "resnet-early, 512", {84.5, 78.1, 85.7, 91.4, 0, 0, 0}},
    {1, "resnet-multi, 512", {86.2, 81.3, 87.1, 93.1, 0, 0, 0}},
    {2, "Euclidean", {82.6, 82.7, 0, 0, 75.1, 63.2, 46.8}},
    {2, "disk", {84.5, 81.3, 0, 0, 74.5, 65.3, 51.5}},
    {2, "Gaussian", {84.0, 82.9, 0, 0, 78.1, 64.2, 49.8}},
    {2, "Gaussian, multi-stage", {86.2, 84.0, 0, 0, 80.8, 64.5, 52.3}},
    {3, "GC", {41.7, 33.8, 0, 0, 27.7, 0, 8.9}},
    {3, "GM", {23.7, 24.5, 0, 0, 23.8, 0, 22.1}},
    {3, "GD", {48.8, 36.1, 0, 0, 31.0, 0, 25.2}},
    {3, "iFCN", {62.9, 61.3, 0, 0, 53.6, 0, 42.9}},
    {3, "ITIS", {82.1, 0, 0, 0, 71.0, 0, 0}},
    {3, "CAG", {83.2, 0, 0, 0, 74.0, 0, 0}},
    {3, "TS", {77.7, 74.5, 0, 0, 62.3, 42.5, 42.5}},
    {3, "TNS", {79.0, 67.0, 0, 0, 0, 0, 0}},
    {3, "Ours-best", {86.2, 84.0, 0, 0, 80.8, 64.5, 52.3}},
};

}  // namespace mfs::tools
