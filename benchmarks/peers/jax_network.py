"""The reference network in JAX, for XLA to compile: batch norm folded, NHWC, the pyramid head rewritten as ours is.

Takes a PyTorch network (tests/reference/network.py) whose batch norm is folded, of any floating type; sums of convolutions are
left to XLA, in the type that it prefers. What does not depend on the input is computed here, once: the parameters' layouts,
and the matrices that pool and that interpolate.
"""

import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # others are measured on the same GPU

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402


def platform_of(device):
    """JAX's device for "cuda" or "cpu"; raises RuntimeError if JAX has none."""
    return jax.devices("gpu" if device == "cuda" else "cpu")[0]


def pooling_matrix(bins, size):
    """bins x size: means over adaptive bins, which may overlap."""
    matrix = np.zeros((bins, size), np.float32)
    for i in range(bins):
        first, end = i * size // bins, -(-(i + 1) * size // bins)
        matrix[i, first:end] = 1 / (end - first)
    return matrix


def interpolation_matrix(size, bins, align_corners):
    """size x bins: bilinear."""
    at = np.arange(size) * ((bins - 1) / max(size - 1, 1)) if align_corners else (np.arange(size) + 0.5) * bins / size - 0.5
    at = np.clip(at, 0, bins - 1)
    low = np.minimum(np.floor(at).astype(int), bins - 1)
    high = np.minimum(low + 1, bins - 1)
    matrix = np.zeros((size, bins), np.float32)
    np.add.at(matrix, (np.arange(size), low), 1 - (at - low))
    np.add.at(matrix, (np.arange(size), high), at - low)
    return matrix


def along_both(rows, x, columns):
    """Matrices applied to the height and the width of N x h x w x C."""
    return jnp.einsum("ih,nhwc,jw->nijc", rows, x, columns, preferred_element_type=jnp.float32)


def max_pool(x, kernel, stride, pad, ceil_mode=False):
    def far(size):
        outputs = -(-(size + 2 * pad - kernel) // stride) if ceil_mode else (size + 2 * pad - kernel) // stride
        return outputs * stride + kernel - size - pad

    padding = ((0, 0), (pad, far(x.shape[1])), (pad, far(x.shape[2])), (0, 0))
    lowest = jnp.array(-jnp.inf, x.dtype)
    return lax.reduce_window(x, lowest, lax.max, (1, kernel, kernel, 1), (1, stride, stride, 1), padding)


class Conv:
    """A folded convolution."""

    def __init__(self, conv, dtype, channels=slice(None), bias=True):
        weight = conv.weight.detach().float().cpu().numpy()[:, channels]
        self.weight = jnp.asarray(weight.transpose(2, 3, 1, 0), dtype)
        self.bias = jnp.asarray(conv.bias.detach().float().cpu().numpy(), dtype) if bias else None
        self.stride, self.dilation = conv.stride, conv.dilation
        self.padding = [(p, p) for p in conv.padding]

    def __call__(self, x):
        y = lax.conv_general_dilated(
            x, self.weight, self.stride, self.padding, rhs_dilation=self.dilation, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y if self.bias is None else y + self.bias


class JaxNetwork:
    """x, N x h x w x 4 of the network's type -> logit, N x h/8 x w/8 x 1, float32."""

    def __init__(self, network, dtype):
        self.network, self.dtype, self.convs = network, dtype, {}
        for name, module in network.named_modules():
            if type(module).__name__ == "Conv2d":
                self.convs[name] = Conv(module, dtype)
        head = network.layer5
        first = 0
        self.priors, bottleneck = [], head.bottleneck[0]
        for stage in head.stages:
            width = stage[1].out_channels
            self.priors.append(Conv(bottleneck, dtype, slice(first, first + width), bias=False))
            first += width
        self.features = Conv(bottleneck, dtype, slice(first, None))
        self.gates = {}
        for index, block in enumerate(getattr(network, "fusion", ())):
            layers = [block.se.fc1, block.se.fc2]
            self.gates[index] = [self.linear(layer) for layer in layers]

    def linear(self, layer):
        weight = jnp.asarray(layer.weight.detach().float().cpu().numpy().T, self.dtype)
        bias = 0 if layer.bias is None else jnp.asarray(layer.bias.detach().float().cpu().numpy(), self.dtype)
        return weight, bias

    def shortcut(self, at, x):
        return self.convs[f"{at}.downsample.0"](x) if f"{at}.downsample.0" in self.convs else x

    def bottleneck(self, at, x):
        y = jax.nn.relu(self.convs[f"{at}.conv1"](x))
        y = jax.nn.relu(self.convs[f"{at}.conv2"](y))
        return jax.nn.relu(self.convs[f"{at}.conv3"](y) + self.shortcut(at, x))

    def se_block(self, index, x):
        at = f"fusion.{index}"
        y = self.convs[f"{at}.conv2"](jax.nn.relu(self.convs[f"{at}.conv1"](x)))
        (squeeze, squeeze_bias), (excite, excite_bias) = self.gates[index]
        means = jnp.mean(y, (1, 2), dtype=jnp.float32).astype(self.dtype)
        gate = jax.nn.sigmoid(jax.nn.relu(means @ squeeze + squeeze_bias) @ excite + excite_bias)
        return jax.nn.relu(y * gate[:, None, None, :] + self.shortcut(at, x))

    def resized(self, x, height, width, align_corners):
        rows, columns = (interpolation_matrix(o, i, align_corners) for o, i in ((height, x.shape[1]), (width, x.shape[2])))
        return along_both(jnp.asarray(rows, self.dtype), x, jnp.asarray(columns, self.dtype)).astype(self.dtype)

    def head(self, x):
        head, hidden = self.network.layer5, self.features(x)
        height, width = x.shape[1:3]
        for index, (stage, product) in enumerate(zip(head.stages, self.priors)):
            bins = stage[0].output_size
            rows, columns = (jnp.asarray(pooling_matrix(bins, size), self.dtype) for size in (height, width))
            grid = along_both(rows, x, columns).astype(self.dtype)
            prior = product(jax.nn.relu(self.convs[f"layer5.stages.{index}.1"](grid)))
            hidden = hidden + self.resized(prior, height, width, head.align_corners)
        return self.convs["layer5.final"](jax.nn.relu(hidden)).astype(jnp.float32)

    def __call__(self, x):
        config = self.network.config
        kernel, pad = (2, 0) if config["stem_pool"] == "2x2" else (3, 1)
        y = max_pool(jax.nn.relu(self.convs["conv1"](x)), kernel, 2, pad, config["stem_pool"] == "3x3ceil")
        first = None
        for name in self.network.layers:
            for index in range(len(getattr(self.network, name))):
                y = self.bottleneck(f"{name}.{index}", y)
            first = y if name == "layer1" else first
        if config["fusion"] != "none":
            own = config["fusion"] == "own_init"
            fused = max_pool(jax.nn.relu(self.convs["init.0"](x)), 2, 2, 0) if own else first
            for index in self.gates:
                fused = self.se_block(index, fused)
            if fused.shape != (*y.shape[:3], fused.shape[3]):
                fused = self.resized(fused, *y.shape[1:3], True)
            y = jnp.concatenate([y, fused], 3)
        return self.head(y)


class Compiled:
    """A network and its input on one device, compiled for their shapes."""

    def __init__(self, network, x, device):
        """`network`: PyTorch, folded; `x`: N x 4 x h x w, PyTorch, of its type."""
        name = str(x.dtype).removeprefix("torch.")
        with jax.default_device(platform_of(device)):
            dtype = jnp.dtype(name)
            self.x = jnp.asarray(x.detach().float().cpu().numpy().transpose(0, 2, 3, 1), dtype)
            self.run_once = jax.jit(JaxNetwork(network, dtype)).lower(self.x).compile()

    def logit(self):
        """N x 1 x h/8 x w/8, numpy float32."""
        return np.asarray(self.run_once(self.x)).transpose(0, 3, 1, 2)

    def queue(self):
        """Starts a run; its result, which may not be there yet."""
        return self.run_once(self.x)

    @staticmethod
    def wait_for(result):
        result.block_until_ready()
