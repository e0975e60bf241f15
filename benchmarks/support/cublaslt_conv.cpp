// cuBLASLt as a peer of 1x1 convolutions with stride 1, loaded at run time.
//
// NHWC pixels times filters is a row-major matrix product; cuBLASLt counts columns first, so it computes the transpose:
// dst^T (channels x pixels) = weights (channels x cin) src^T (cin x pixels) + residual^T, with a bias per row and ReLU.
#include <cublasLt.h>

#include "benchmarks/support/conv_peer.h"
#include "benchmarks/support/dynamic_library.h"
#include "kernels/error.h"

namespace mfs::bench {
namespace {

using namespace core;  // NOLINT: kernels are what this is about

constexpr std::size_t kMostWorkspace = std::size_t{32} << 20;  // what NVIDIA recommends for Hopper

struct Api {
  DynamicLibrary library{"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"};
  decltype(&cublasLtGetVersion) version;
  decltype(&cublasLtGetStatusString) error_string;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtMatmulDescCreate) create_product;
  decltype(&cublasLtMatmulDescDestroy) destroy_product;
  decltype(&cublasLtMatmulDescSetAttribute) set_product;
  decltype(&cublasLtMatrixLayoutCreate) create_layout;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmul) multiply;

  Api() {
    library.find("cublasLtGetVersion", version);
    library.find("cublasLtGetStatusString", error_string);
    library.find("cublasLtCreate", create);
    library.find("cublasLtMatmulDescCreate", create_product);
    library.find("cublasLtMatmulDescDestroy", destroy_product);
    library.find("cublasLtMatmulDescSetAttribute", set_product);
    library.find("cublasLtMatrixLayoutCreate", create_layout);
    library.find("cublasLtMatrixLayoutDestroy", destroy_layout);
    library.find("cublasLtMatmulPreferenceCreate", create_preference);
    library.find("cublasLtMatmulPreferenceDestroy", destroy_preference);
    library.find("cublasLtMatmulPreferenceSetAttribute", set_preference);
    library.find("cublasLtMatmulAlgoGetHeuristic", heuristic);
    library.find("cublasLtMatmul", multiply);
  }

  Status status(cublasStatus_t result, const char* what) const {
    if (result == CUBLAS_STATUS_SUCCESS) return {};
    return {Code::kUnsupported, std::string("cuBLASLt could not ") + what + ": " + error_string(result)};
  }
  void require(cublasStatus_t result, const char* what) const {
    if (const Status s = status(result, what); !s) throw Error(s.code(), s.message());
  }
  std::string name() const {
    const std::size_t v = version();
    return "cuBLASLt " + std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." + std::to_string(v % 100);
  }
};

// Never destroyed, as the handle: at a program's end the libraries that they need may be gone before them.
const Api& api() {
  static const Api& instance = *new Api;
  return instance;
}

cublasLtHandle_t handle() {
  static const cublasLtHandle_t instance = [] {
    cublasLtHandle_t raw = nullptr;
    api().require(api().create(&raw), "start");
    return raw;
  }();
  return instance;
}

// The product as cuBLASLt sees it.
struct Product {
  bool relu, residual;
  std::shared_ptr<void> description, weights, src, dst;

  explicit Product(const Conv& c) : relu(c.relu), residual(c.residual) {
    const cudaDataType_t type = c.dtype == DType::kF16 ? CUDA_R_16F : CUDA_R_16BF;
    cublasLtMatmulDesc_t raw = nullptr;
    api().require(api().create_product(&raw, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describe a product");
    description = {raw, [](void* d) { api().destroy_product(static_cast<cublasLtMatmulDesc_t>(d)); }};
    set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    set(CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS);
    set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type);
    const auto pixels = static_cast<std::uint64_t>(c.dst.pixels());
    const auto in = static_cast<std::uint64_t>(c.src.c), out = static_cast<std::uint64_t>(c.dst.c);
    weights = layout(type, in, out), src = layout(type, in, pixels), dst = layout(type, out, pixels);
  }

  template <typename Value>
  void set(cublasLtMatmulDescAttributes_t attribute, const Value& value) const {
    api().require(api().set_product(raw(), attribute, &value, sizeof value), "describe a product");
  }
  cublasLtMatmulDesc_t raw() const { return static_cast<cublasLtMatmulDesc_t>(description.get()); }
  static cublasLtMatrixLayout_t raw(const std::shared_ptr<void>& l) { return static_cast<cublasLtMatrixLayout_t>(l.get()); }

 private:
  static std::shared_ptr<void> layout(cudaDataType_t type, std::uint64_t rows, std::uint64_t columns) {
    cublasLtMatrixLayout_t raw = nullptr;
    api().require(api().create_layout(&raw, type, rows, columns, static_cast<std::int64_t>(rows)), "describe a matrix");
    return {raw, [](void* l) { api().destroy_layout(static_cast<cublasLtMatrixLayout_t>(l)); }};
  }
};

class CublasLtPeer final : public ConvPeer {
 public:
  CublasLtPeer(std::shared_ptr<const Product> product, const cublasLtMatmulHeuristicResult_t& choice, int rank)
      : product_(std::move(product)), choice_(choice), algorithm_("cuBLASLt choice " + std::to_string(rank)) {}

  std::size_t workspace_bytes() const override { return choice_.workspaceSize; }
  const std::string& algorithm() const override { return algorithm_; }

  Status run(const Cuda& cuda, const PeerArguments& a) const override {
    // The bias belongs to the description, of which every run may need another: the call has read it when it returns.
    if (Status s = api().status(api().set_product(product_->raw(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, &a.bias, sizeof a.bias),
                                "take the bias");
        !s)
      return s;
    const float alpha = 1, beta = product_->residual ? 1 : 0;
    const void* const added = product_->residual ? a.residual : a.dst;
    const cublasStatus_t result = api().multiply(handle(), product_->raw(), &alpha, a.weights, Product::raw(product_->weights),
                                                 a.src, Product::raw(product_->src), &beta, added, Product::raw(product_->dst),
                                                 a.dst, Product::raw(product_->dst), &choice_.algo, a.workspace,
                                                 choice_.workspaceSize, static_cast<cudaStream_t>(cuda.stream));
    return api().status(result, "multiply");
  }

 private:
  std::shared_ptr<const Product> product_;
  cublasLtMatmulHeuristicResult_t choice_;
  std::string algorithm_;
};

void collect(const Conv& problem, int most, ConvPeers& peers) {
  peers.name = api().name();
  const auto product = std::make_shared<const Product>(problem);
  cublasLtMatmulPreference_t raw = nullptr;
  api().require(api().create_preference(&raw), "describe what matters");
  const std::shared_ptr<void> release(raw,
                                      [](void* p) { api().destroy_preference(static_cast<cublasLtMatmulPreference_t>(p)); });
  api().require(api().set_preference(raw, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kMostWorkspace, sizeof kMostWorkspace),
                "describe what matters");
  // Its heuristics look at the alignment of the bias, too; every buffer of a benchmark is at least this well aligned.
  const auto* const somewhere = reinterpret_cast<const void*>(std::uintptr_t{256});
  product->set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, somewhere);
  std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<std::size_t>(most));
  int count = 0;
  api().require(api().heuristic(handle(), product->raw(), Product::raw(product->weights), Product::raw(product->src),
                                Product::raw(product->dst), Product::raw(product->dst), raw, most, found.data(), &count),
                "propose algorithms");
  for (int i = 0; i < count; ++i) {
    const cublasLtMatmulHeuristicResult_t& choice = found[static_cast<std::size_t>(i)];
    if (choice.state == CUBLAS_STATUS_SUCCESS) peers.choices.push_back(std::make_unique<CublasLtPeer>(product, choice, i + 1));
  }
}

}  // namespace

ConvPeers cublaslt_peers(const Conv& problem, int most) {
  ConvPeers peers{.name = "cuBLASLt", .choices = {}, .why_none = "cuBLASLt has no algorithm for this"};
  if (problem.kernel != 1 || problem.stride != 1 || problem.pad != 0 || problem.dtype == DType::kF32) {
    peers.why_none = "a matrix product is only a 1x1 convolution with stride 1";
    return peers;
  }
  try {
    collect(problem, most, peers);
  } catch (const Error& e) {
    peers.why_none = e.what();
  }
  return peers;
}

}  // namespace mfs::bench
