// What this build is made of.
#pragma once

namespace mfs::core {

const char* build_info();  // "cpu: oneDNN 2.6.3; cuda: targets 80-real 90-real"
int all_threads();         // processors this process may use

}  // namespace mfs::core
