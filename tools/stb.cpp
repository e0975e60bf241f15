// Compiled without warnings and without UBSan (CMakeLists.txt): stb shifts signed numbers left on damaged files, by design.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include "tools/stb.h"
