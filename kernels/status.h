// Outcome of an operation on the run path: a code and, on failure, one sentence for the user.
#pragma once

#include <string>
#include <utility>

namespace mfs::core {

enum class Code { kOk, kInvalidArgument, kBadWeights, kNoDevice, kUnsupported, kOutOfMemory, kIo, kInternal };

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  explicit operator bool() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

inline Status invalid(std::string message) { return {Code::kInvalidArgument, std::move(message)}; }

}  // namespace mfs::core
