#include "kernels/pyramid_head.h"

#include "kernels/check.h"

namespace mfs::core {

Status check(const PyramidHead& op) {
  constexpr const char* kOp = "pyramid_head";
  if (Status s = check_tensor(kOp, "features", op.features); !s) return s;
  if (Status s = check_dense_f32(kOp, "logit", op.logit); !s) return s;
  const Shape& f = op.features.shape;
  if (Status s = check_shape(kOp, "logit", op.logit, {f.n, f.h, f.w, 1}); !s) return s;
  for (const View& prior : op.priors) {
    if (Status s = check_dense_f32(kOp, "a prior", prior); !s) return s;
    const int bins = prior.shape.h;
    if (Status s = check_shape(kOp, "a prior", prior, {f.n, bins, bins, f.c}); !s) return s;
  }
  if (op.weights == nullptr) return refuse(kOp, "there are no weights");
  return {};
}

Cost cost(const PyramidHead& op) {
  const std::int64_t elements = op.features.shape.elements();
  Cost total{op.features.bytes() + op.features.shape.c * 4, op.logit.bytes(), elements * 3};
  for (const View& prior : op.priors) {
    total.bytes_read += prior.bytes();
    total.flops += elements * 4;  // two multiply-adds along x; along y they are shared by a row
  }
  return total;
}

}  // namespace mfs::core
