// The three checks that every kernel test makes.
#pragma once

#include "tests/support/compare.h"

// The comparison, and that nothing around the output was touched.
#define MFS_CHECK_CLOSE(actual, expected)                                               \
  do {                                                                                  \
    const ::mfs::core::test::Diff diff_ = ::mfs::core::test::compare(actual, expected); \
    CHECK_MESSAGE(static_cast<bool>(diff_), diff_);                                     \
    CHECK((actual).canaries_intact());                                                  \
  } while (false)

// check() and run() refuse the operation with a sentence that contains `words`.
#define MFS_CHECK_REFUSED(op, words)                                                        \
  do {                                                                                      \
    const ::mfs::core::Status checked_ = check(op);                                         \
    CHECK(checked_.code() == ::mfs::core::Code::kInvalidArgument);                          \
    CHECK_MESSAGE(checked_.message().find(words) != std::string::npos, checked_.message()); \
  } while (false)

// An operation that must succeed; on failure its sentence is printed.
#define MFS_REQUIRE_OK(call)                                        \
  do {                                                              \
    const ::mfs::core::Status status_ = call;                       \
    REQUIRE_MESSAGE(static_cast<bool>(status_), status_.message()); \
  } while (false)
