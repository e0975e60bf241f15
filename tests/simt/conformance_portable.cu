// The hardware's side of simt_conformance for every supported GPU: what sm_80 has.
#define MFS_CONFORMANCE_HOPPER 0
#include "tests/simt/conformance.cpp"
