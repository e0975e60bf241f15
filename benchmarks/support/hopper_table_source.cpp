#include "benchmarks/support/hopper_table_source.h"

#include <sstream>
#include <utility>

namespace mfs::bench {
namespace {

using namespace core;  // NOLINT: benchmarks are about nothing else

std::string source(const Shape& s) {
  std::ostringstream out;
  out << "{" << s.n << ", " << s.h << ", " << s.w << ", " << s.c << "}";
  return out.str();
}

const char* source(DType type) {
  return type == DType::kU8 ? "DType::kU8" : type == DType::kE4m3 ? "DType::kE4m3" : "DType::kF16";
}

// What differs from a Conv that nobody has filled in.
std::string source(const Conv& c) {
  const Conv none;
  std::ostringstream out;
  out << "{.src = " << source(c.src) << ", .dst = " << source(c.dst);
  const auto number = [&](const char* name, auto value, auto usual) {
    if (value != usual) out << ", ." << name << " = " << value;
  };
  const auto flag = [&](const char* name, bool value) {
    if (value) out << ", ." << name << " = true";
  };
  number("kernel", c.kernel, none.kernel);
  number("stride", c.stride, none.stride);
  number("dilation", c.dilation, none.dilation);
  number("pad", c.pad, none.pad);
  out << ", .dtype = " << source(c.dtype);
  flag("residual", c.residual);
  flag("relu", c.relu);
  if (c.joined != none.joined) out << ", .joined = " << source(c.joined);
  number("joined_stride", c.joined_stride, none.joined_stride);
  number("src_scale", c.src_scale, none.src_scale);
  number("joined_scale", c.joined_scale, none.joined_scale);
  number("dst_scale", c.dst_scale, none.dst_scale);
  number("copy_scale", c.copy_scale, none.copy_scale);
  if (is_narrow(c.dtype)) out << ", .wide = DType::kF16";
  flag("sums", c.sums);
  out << "}";
  return out.str();
}

std::string source(const HopperTuned& t) {
  std::ostringstream out;
  out << "    {" << source(t.problem) << ", ";
  if (t.portable())
    out << "{}";
  else
    out << "{" << t.tile.columns << ", " << t.tile.splits << ", " << t.tile.stages << ", " << t.tile.buffers << "}, "
        << t.cluster_rows << ", " << t.cluster_columns;
  out << "},\n";
  return out.str();
}

}  // namespace

std::string text(const Conv& c) {
  std::ostringstream out;
  out << c.kernel << "x" << c.kernel;
  if (c.stride > 1) out << "/" << c.stride;
  if (c.dilation > 1) out << " d" << c.dilation;
  out << " " << c.src.c;
  if (c.joined.c > 0) out << "+" << c.joined.c;
  out << "->" << c.dst.c << " @" << c.src.w << "x" << c.src.h << " "
      << (c.dtype == DType::kU8     ? "int8"
          : c.dtype == DType::kE4m3 ? "fp8"
                                    : name_of(c.dtype));
  if (c.src.n > 1) out << "x" << c.src.n;
  for (const auto& [has, what] : {std::pair{c.residual, ", residual"}, {c.copy_scale > 0, ", copy"}, {c.sums, ", sums"}})
    if (has) out << what;
  return out.str();
}

std::string table_source(const HopperTable& table) {
  std::ostringstream out;
  out << "// Written by mfs_cuda_tune. ";
  if (table.entries.empty())
    out << "Nothing has been measured yet.\n";
  else
    out << "Measured on: " << table.gpu << ", " << table.date << ".\n";
  out << "#pragma once\n\n#include \"kernels/cuda/conv_hopper_tuned.h\"\n\nnamespace mfs::core {\n\n";
  if (table.entries.empty()) {
    out << "inline constexpr HopperTable kHopperTable{};\n";
  } else {
    out << "// clang-format off\ninline constexpr HopperTuned kHopperEntries[] = {\n";
    for (const HopperTuned& entry : table.entries) out << source(entry);
    out << "};\n// clang-format on\ninline constexpr HopperTable kHopperTable{\"" << table.gpu << "\", \"" << table.date
        << "\", " << table.multiprocessors << ", kHopperEntries};\n";
  }
  out << "\n}  // namespace mfs::core\n";
  return out.str();
}

}  // namespace mfs::bench
