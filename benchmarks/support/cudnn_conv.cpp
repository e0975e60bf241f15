// cuDNN through its graph API (backend descriptors), loaded at run time.
//
// The graph is convolution -> + residual -> + bias -> ReLU, each step where the problem has it, with f32 in between: the shape
// that cuDNN's fused engines expect.
#include <cudnn.h>

#include <array>
#include <type_traits>

#include "benchmarks/support/conv_peer.h"
#include "benchmarks/support/dynamic_library.h"
#include "kernels/error.h"

// The attributes that take a handle are deprecated in favour of device properties, which older versions do not have.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace mfs::bench {
namespace {

using namespace core;  // NOLINT: kernels are what this is about

struct Api {
  DynamicLibrary library{"libcudnn.so.9", "libcudnn.so"};
  decltype(&cudnnGetVersion) version;
  decltype(&cudnnGetErrorString) error_string;
  decltype(&cudnnCreate) create;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor;
  decltype(&cudnnBackendSetAttribute) set_attribute;
  decltype(&cudnnBackendGetAttribute) get_attribute;
  decltype(&cudnnBackendFinalize) finalize;
  decltype(&cudnnBackendExecute) execute;

  Api() {
    library.find("cudnnGetVersion", version);
    library.find("cudnnGetErrorString", error_string);
    library.find("cudnnCreate", create);
    library.find("cudnnSetStream", set_stream);
    library.find("cudnnBackendCreateDescriptor", create_descriptor);
    library.find("cudnnBackendDestroyDescriptor", destroy_descriptor);
    library.find("cudnnBackendSetAttribute", set_attribute);
    library.find("cudnnBackendGetAttribute", get_attribute);
    library.find("cudnnBackendFinalize", finalize);
    library.find("cudnnBackendExecute", execute);
  }

  Status status(cudnnStatus_t result, const char* what) const {
    if (result == CUDNN_STATUS_SUCCESS) return {};
    return {Code::kUnsupported, std::string("cuDNN could not ") + what + ": " + error_string(result)};
  }
  void require(cudnnStatus_t result, const char* what) const {
    if (const Status s = status(result, what); !s) throw Error(s.code(), s.message());
  }
  std::string name() const {
    const std::size_t v = version();
    return "cuDNN " + std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." + std::to_string(v % 100);
  }
};

template <typename T>
constexpr cudnnBackendAttributeType_t kTypeOf = std::is_same_v<T, std::int64_t>             ? CUDNN_TYPE_INT64
                                                : std::is_same_v<T, float>                  ? CUDNN_TYPE_FLOAT
                                                : std::is_same_v<T, bool>                   ? CUDNN_TYPE_BOOLEAN
                                                : std::is_same_v<T, char>                   ? CUDNN_TYPE_CHAR
                                                : std::is_same_v<T, void*>                  ? CUDNN_TYPE_VOID_PTR
                                                : std::is_same_v<T, cudnnHandle_t>          ? CUDNN_TYPE_HANDLE
                                                : std::is_same_v<T, cudnnDataType_t>        ? CUDNN_TYPE_DATA_TYPE
                                                : std::is_same_v<T, cudnnConvolutionMode_t> ? CUDNN_TYPE_CONVOLUTION_MODE
                                                : std::is_same_v<T, cudnnPointwiseMode_t>   ? CUDNN_TYPE_POINTWISE_MODE
                                                                                            : CUDNN_TYPE_HEUR_MODE;

// A backend descriptor: attributes are set, then it is finalised, then others may name it.
class Descriptor {
 public:
  Descriptor(const Api& api, cudnnBackendDescriptorType_t type, const char* what) : api_(&api), what_(what) {
    cudnnBackendDescriptor_t raw = nullptr;
    api.require(api.create_descriptor(type, &raw), what);
    raw_ = {raw, [destroy = api.destroy_descriptor](void* d) { destroy(d); }};
  }

  template <typename T>
  Descriptor& set(cudnnBackendAttributeName_t attribute, const T* values, std::int64_t count) {
    api_->require(api_->set_attribute(raw(), attribute, kTypeOf<T>, count, values), what_);
    return *this;
  }
  template <typename T>
  requires(!std::is_same_v<T, Descriptor>) Descriptor& set(cudnnBackendAttributeName_t attribute, const T& value) {
    return set(attribute, &value, 1);
  }
  template <std::size_t kCount>
  Descriptor& set(cudnnBackendAttributeName_t attribute, const std::array<std::int64_t, kCount>& values) {
    return set(attribute, values.data(), static_cast<std::int64_t>(kCount));
  }
  Descriptor& set(cudnnBackendAttributeName_t attribute, const Descriptor& other) {
    const cudnnBackendDescriptor_t raw = other.raw();
    return set_descriptors(attribute, &raw, 1);
  }
  Descriptor& set_descriptors(cudnnBackendAttributeName_t attribute, const cudnnBackendDescriptor_t* all, std::int64_t count) {
    api_->require(api_->set_attribute(raw(), attribute, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, all), what_);
    return *this;
  }
  Descriptor& finalize() {
    api_->require(api_->finalize(raw()), what_);
    return *this;
  }
  cudnnBackendDescriptor_t raw() const { return raw_.get(); }

 private:
  const Api* api_;
  const char* what_;
  std::shared_ptr<void> raw_;
};

// Unique numbers of the tensors in a graph.
enum Tensor : std::int64_t { kSrc = 1, kWeights, kBias, kResidual, kDst, kAfterConv, kAfterResidual, kAfterBias };

class GraphBuilder {
 public:
  GraphBuilder(const Api& api, const Conv& problem) : api_(api), c_(problem) {}

  // All operations of the problem; the last one writes dst.
  std::vector<Descriptor> operations() {
    const Tensor after_residual = c_.residual ? kAfterResidual : kAfterConv, after_bias = c_.relu ? kAfterBias : kDst;
    std::vector<Descriptor> all{convolution()};
    if (c_.residual) all.push_back(pointwise(CUDNN_POINTWISE_ADD, kAfterConv, kResidual, kAfterResidual));
    all.push_back(pointwise(CUDNN_POINTWISE_ADD, after_residual, kBias, after_bias));
    if (c_.relu) all.push_back(pointwise(CUDNN_POINTWISE_RELU_FWD, kAfterBias, kAfterBias, kDst));
    return all;
  }

 private:
  using Four = std::array<std::int64_t, 4>;
  using Two = std::array<std::int64_t, 2>;

  // One descriptor for each tensor: operations are joined by naming the same one.
  const Descriptor& tensor(Tensor id) {
    for (const auto& [known, descriptor] : tensors_)
      if (known == id) return descriptor;
    Four dims{c_.dst.n, c_.dst.c, c_.dst.h, c_.dst.w};
    if (id == kSrc) dims = {c_.src.n, c_.src.c, c_.src.h, c_.src.w};
    if (id == kWeights) dims = {c_.dst.c, c_.src.c, c_.kernel, c_.kernel};
    if (id == kBias) dims = {1, c_.dst.c, 1, 1};
    const Four strides{dims[1] * dims[2] * dims[3], 1, dims[1] * dims[3], dims[1]};  // channels last
    const bool between = id >= kAfterConv;
    const cudnnDataType_t type = between ? CUDNN_DATA_FLOAT : c_.dtype == DType::kF16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16;
    Descriptor d(api_, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "describe a tensor");
    d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type).set(CUDNN_ATTR_TENSOR_DIMENSIONS, dims).set(CUDNN_ATTR_TENSOR_STRIDES, strides);
    d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, std::int64_t{id}).set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t{16});
    if (between) d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
    tensors_.emplace_back(id, d.finalize());
    return tensors_.back().second;
  }

  Descriptor convolution() {
    Descriptor window(api_, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "describe a convolution");
    const Two pad{c_.pad, c_.pad}, strides{c_.stride, c_.stride}, dilations{c_.dilation, c_.dilation};
    window.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2});
    window.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
        .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
    window.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, pad).set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, pad);
    window.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, strides).set(CUDNN_ATTR_CONVOLUTION_DILATIONS, dilations).finalize();
    Descriptor op(api_, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, "describe a convolution's operands");
    op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, window);
    op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, tensor(kSrc))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, tensor(kWeights));
    op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, tensor(kAfterConv));
    op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 1.0f).set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 0.0f);
    return op.finalize();
  }

  Descriptor pointwise(cudnnPointwiseMode_t mode, Tensor x, Tensor b, Tensor y) {
    Descriptor rule(api_, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, "describe what follows a convolution");
    rule.set(CUDNN_ATTR_POINTWISE_MODE, mode).set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT).finalize();
    Descriptor op(api_, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "describe the operands of what follows a convolution");
    op.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, rule).set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, tensor(x));
    if (mode == CUDNN_POINTWISE_ADD) op.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, tensor(b));
    return op.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, tensor(y)).finalize();
  }

  const Api& api_;
  Conv c_;
  std::vector<std::pair<Tensor, Descriptor>> tensors_;
};

// The GPU that plans are made for: a handle on the current one, or the properties of any.
struct Target {
  cudnnHandle_t handle = nullptr;
  const Descriptor* properties = nullptr;

  void name(Descriptor& d, cudnnBackendAttributeName_t with_handle, cudnnBackendAttributeName_t with_properties) const {
    if (properties) d.set(with_properties, *properties);
    if (handle) d.set(with_handle, handle);
  }
};

class CudnnPeer final : public ConvPeer {
 public:
  // Throws Error when the engine cannot be built for this problem.
  CudnnPeer(const Api& api, const Target& target, const Conv& problem, const Descriptor& config)
      : api_(api),
        handle_(target.handle),
        residual_(problem.residual),
        plan_(api, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "build an engine"),
        algorithm_("cuDNN engine " + std::to_string(number_of(api, config))) {
    target.name(plan_, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
    plan_.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config).finalize();
    std::int64_t bytes = 0, count = 0;
    api.require(api.get_attribute(plan_.raw(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &bytes),
                "tell an engine's workspace");
    workspace_ = static_cast<std::size_t>(bytes);
  }

  std::size_t workspace_bytes() const override { return workspace_; }
  const std::string& algorithm() const override { return algorithm_; }

  Status run(const Cuda& cuda, const PeerArguments& a) const override {
    if (Status s = api_.status(api_.set_stream(handle_, static_cast<cudaStream_t>(cuda.stream)), "use the stream"); !s)
      return s;
    const std::int64_t ids[] = {kSrc, kWeights, kBias, kDst, kResidual};
    void* const data[] = {const_cast<void*>(a.src), const_cast<void*>(a.weights), const_cast<void*>(a.bias), a.dst,
                          const_cast<void*>(a.residual)};
    const std::int64_t tensors = residual_ ? 5 : 4;
    try {
      Descriptor pack(api_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "take its operands");
      pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, data, tensors).set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids, tensors);
      pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, a.workspace).finalize();
      return api_.status(api_.execute(handle_, plan_.raw(), pack.raw()), "run an engine");
    } catch (const Error& e) {
      return {e.code(), e.what()};
    }
  }

 private:
  static std::int64_t number_of(const Api& api, const Descriptor& config) {
    const Descriptor engine(api, CUDNN_BACKEND_ENGINE_DESCRIPTOR, "describe an engine");
    cudnnBackendDescriptor_t raw = engine.raw();
    std::int64_t count = 0, number = 0;
    api.require(api.get_attribute(config.raw(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw),
                "tell which engine it proposes");
    api.require(api.get_attribute(raw, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count, &number),
                "tell an engine's number");
    return number;
  }

  const Api& api_;
  cudnnHandle_t handle_;
  bool residual_;
  Descriptor plan_;
  std::string algorithm_;
  std::size_t workspace_ = 0;
};

// The engines that a heuristic proposes, best first.
std::vector<Descriptor> proposals(const Api& api, const Target& target, const Descriptor& graph, cudnnBackendHeurMode_t mode) {
  Descriptor heuristic(api, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "propose engines");
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph).set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  if (target.properties) heuristic.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *target.properties);
  heuristic.finalize();
  std::int64_t count = 0;
  api.require(
      api.get_attribute(heuristic.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
      "count its engines");
  std::vector<Descriptor> all;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < count; ++i) {
    all.emplace_back(api, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, "describe an engine");
    raw.push_back(all.back().raw());
  }
  api.require(api.get_attribute(heuristic.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count,
                                raw.data()),
              "list its engines");
  all.resize(static_cast<std::size_t>(count), all.empty() ? heuristic : all.front());
  return all;
}

void collect(const Api& api, const Target& target, const Conv& problem, int most, ConvPeers& peers) {
  peers.name = api.name();
  GraphBuilder builder(api, problem);
  const std::vector<Descriptor> operations = builder.operations();
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor& op : operations) raw.push_back(op.raw());
  Descriptor graph(api, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "describe a fused convolution");
  if (target.handle) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, target.handle);
  graph.set_descriptors(CUDNN_ATTR_OPERATIONGRAPH_OPS, raw.data(), static_cast<std::int64_t>(raw.size())).finalize();
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK}) {
    if (mode != CUDNN_HEUR_MODE_A && !peers.choices.empty()) break;
    try {
      for (const Descriptor& config : proposals(api, target, graph, mode)) {
        if (static_cast<int>(peers.choices.size()) == most) return;
        try {
          peers.choices.push_back(std::make_unique<CudnnPeer>(api, target, problem, config));
        } catch (const Error& e) {
          peers.why_none = e.what();
        }
      }
    } catch (const Error& e) {
      peers.why_none = e.what();
    }
  }
}

// Never destroyed, as the handle: at a program's end the libraries that they need may be gone before them.
const Api& api() {
  static const Api& instance = *new Api;
  return instance;
}

cudnnHandle_t handle() {
  static const cudnnHandle_t instance = [] {
    cudnnHandle_t raw = nullptr;
    api().require(api().create(&raw), "start");
    return raw;
  }();
  return instance;
}

}  // namespace

ConvPeers cudnn_peers(const Conv& problem, int most) {
  ConvPeers peers{.name = "cuDNN", .choices = {}, .why_none = "cuDNN has no engine for this"};
  try {
    collect(api(), {.handle = handle()}, problem, most, peers);
  } catch (const Error& e) {
    peers.why_none = e.what();
  }
  return peers;
}

ConvPeers cudnn_peers_for(const std::string& device_properties, const Conv& problem, int most) {
  ConvPeers peers{.name = "cuDNN", .choices = {}, .why_none = "cuDNN has no engine for this"};
  try {
    Descriptor properties(api(), CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, "describe a device");
    properties.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, device_properties.c_str(),
                   static_cast<std::int64_t>(device_properties.size() + 1));
    properties.finalize();
    collect(api(), {.properties = &properties}, problem, most, peers);
  } catch (const Error& e) {
    peers.why_none = e.what();
  }
  return peers;
}

}  // namespace mfs::bench
