// Random numbers and fingerprints that are the same on every machine, compiler and standard library.
#pragma once

#include <cstdint>
#include <string_view>

#include "tools/bytes.h"

namespace mfs::tools {

// SplitMix64 (Steele, Lea and Flood, 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // 0 .. count - 1, for a count below 2^32; no number is favoured by more than count / 2^32.
  std::uint64_t below(std::uint64_t count) { return (next() >> 32) * count >> 32; }

 private:
  std::uint64_t state_;
};

// FNV-1a, 64 bit. Pass the result back in to go on with more bytes.
inline constexpr std::uint64_t kFnvStart = 0xCBF29CE484222325u;
inline std::uint64_t fnv1a(Bytes bytes, std::uint64_t hash = kFnvStart) {
  for (const std::uint8_t b : bytes) hash = (hash ^ b) * 0x100000001B3u;
  return hash;
}
inline std::uint64_t fnv1a(std::string_view text, std::uint64_t hash = kFnvStart) {
  return fnv1a({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, hash);
}

}  // namespace mfs::tools
