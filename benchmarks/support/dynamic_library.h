// A shared library that may or may not be there at run time.
#pragma once

#include <dlfcn.h>

#include <initializer_list>
#include <memory>
#include <string>

#include "kernels/error.h"

namespace mfs::bench {

class DynamicLibrary {
 public:
  // The first of `names` that the loader finds. Throws Error.
  explicit DynamicLibrary(std::initializer_list<const char*> names) {
    std::string why;
    for (const char* name : names) {
      handle_.reset(dlopen(name, RTLD_NOW | RTLD_GLOBAL));
      if (handle_) return;
      const char* error = dlerror();
      if (why.empty() && error) why = error;
    }
    throw core::Error(core::Code::kUnsupported, why);
  }

  // function = its address; throws Error when the library is too old to have it.
  template <typename Function>
  void find(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(dlsym(handle_.get(), name));
    if (!function) throw core::Error(core::Code::kUnsupported, std::string("the library has no ") + name);
  }

 private:
  struct Close {
    void operator()(void* handle) const { dlclose(handle); }
  };
  std::unique_ptr<void, Close> handle_;
};

}  // namespace mfs::bench
