// The hardware's side of simt_conformance: sm_90a.
#include "tests/simt/conformance.cpp"
