// The library's part in --version, for the fuzz target that is linked without the library.
#include "mfs/mfs.h"

const char* mfs_version() { return "0"; }
const char* mfs_build_info() { return ""; }
