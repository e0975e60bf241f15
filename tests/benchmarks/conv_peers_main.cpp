#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <dlfcn.h>

#include <cstdio>

int main(int argc, char** argv) {
  constexpr int kSkipped = 77;
  for (const char* library : {"libcudnn.so.9", "libcublasLt.so.13"}) {
    if (dlopen(library, RTLD_NOW)) continue;
    std::printf("skipped: %s\n", dlerror());
    return kSkipped;
  }
  return doctest::Context(argc, argv).run();
}
