// Marks an inner loop to be compiled for several x86 levels, the best of which is chosen when the program is loaded.
// Levels, not models ("arch=haswell" would be chosen on that very model only). Only for leaf functions without OpenMP regions.
// Elsewhere (other compilers, sanitizers) it means nothing.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define MFS_MULTIVERSION __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define MFS_MULTIVERSION
#endif
