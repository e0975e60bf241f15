// Convolutions of the Hopper family with squeeze-and-excitation behind them.
#include "kernels/check.h"
#include "kernels/cuda/conv_hopper_kernels.h"

namespace mfs::core {
namespace {

class HopperConvGate final : public PreparedConvGate {
 public:
  HopperConvGate(const ConvGate& gate, const HopperPlan& plan, const ConvParameters& parameters, const std::string& name,
                 PackCache& cache)
      : gate_(gate),
        conv_(gate.conv, hopper_geometry(gate.conv), plan, hopper_kernel<HopperEnd::kGate>(gate.conv.dtype, plan), parameters,
              name, cache) {}

  const std::string& algorithm() const override { return conv_.algorithm(); }

  Status run(const Cuda& cuda, const ConvGateArguments& a) const override {
    constexpr const char* kOp = "conv_gate";
    const Shape& dst = gate_.conv.dst;
    const HopperGeometry& g = conv_.geometry();
    if (Status s = check_tensor(kOp, "dst", a.dst); !s) return s;
    if (Status s = check_shape(kOp, "dst", a.dst, dst); !s) return s;
    if (gate_.residual) {
      if (Status s = check_tensor(kOp, "residual", a.residual); !s) return s;
      if (Status s = check_shape(kOp, "residual", a.residual, dst); !s) return s;
      if (Status s = check_same_dtype(kOp, "residual", a.residual, "dst", a.dst); !s) return s;
    }
    if (a.dst.dtype != dst_dtype(gate_.conv)) return refuse(kOp, std::string("dst is not ") + name_of(dst_dtype(gate_.conv)));
    if (!vectorises({a.sums})) return refuse(kOp, "sums are not aligned to 16 bytes");
    if (a.squeeze == nullptr || a.excite == nullptr || a.barrier == nullptr)
      return refuse(kOp, "weights or barrier are missing");
    HopperConvParams p{};
    const int parts = g.tiles_x * g.tiles_y, pixels = dst.h * dst.w;
    p.gate.gate = {a.squeeze, a.squeeze_bias, a.excite, a.excite_bias,
                   dst.c,     gate_.hidden,   parts,    static_cast<float>(1.0 / pixels)};
    p.gate.barrier = reinterpret_cast<std::uint32_t*>(a.barrier);
    p.gate.sharers = hopper_gate_sharers(g, conv_.plan());
    p.gate.columns = static_cast<int>(threads_of_block(dst.c / kHopperGateWidth, 32));
    p.gate.has_residual = gate_.residual, p.gate.relu = gate_.relu;
    return conv_.run(cuda, {a.src, gate_.residual ? a.residual : View(), a.joined, a.dst, nullptr, {}, a.sums}, p);
  }

 private:
  ConvGate gate_;
  HopperConvolution conv_;
};

}  // namespace

std::shared_ptr<const PreparedConvGate> prepare_hopper_gate(const ConvGate& gate, const HopperPlan& plan,
                                                            const ConvParameters& parameters, const std::string& name,
                                                            PackCache& cache) {
  return std::make_shared<HopperConvGate>(gate, plan, parameters, name, cache);
}

}  // namespace mfs::core
