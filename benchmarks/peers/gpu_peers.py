#!/usr/bin/env python3
"""Times PyTorch on a GPU, at its best, against mfs_cuda_network_bench: the same weights, GPU and minutes.

    gpu_peers.py --weights network.safetensors --bin build/bin --json peers.json

Every engine runs from the normalised input to the logit, in f16 or bf16, channels last, batch norm folded:

    eager             the reference network as it is
    eager, fused      with cuDNN's fused convolution + bias (+ add) + ReLU and the pyramid head rewritten as ours is
    graph             the reference network in a CUDA graph
    graph, fused      both
    compiled          torch.compile, max-autotune, frozen weights, static shapes, of the reference network
    compiled, rewritten   the same with the pyramid head rewritten
    XLA               JAX, compiled for static shapes, pyramid head rewritten; where this Python has JAX and that has the device
    MFS               mfs_cuda_network_bench, kernels in the CUDA graph; before and after all others

Nothing is timed before its probabilities, not nearly all of them 0 or 1, have come close to those of the f32 reference; XLA's
logits must also be PyTorch's.
XLA has no events to be timed by: its figure is the wall time of runs in a row, divided by their number. Prints a Markdown table.
With --device cpu everything but the graphs and MFS runs, torch.compile only as far as tracing: a check of this script.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from folding import fold_batch_norm

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "reference"))
from network import network_from_safetensors  # noqa: E402

# Largest root mean square difference of probabilities from the f32 reference: 16-bit sums through a hundred layers.
TOLERANCE = 0.05


def geometry(conv):
    return conv.stride, conv.padding, conv.dilation, conv.groups


def conv_relu(conv, x):
    if x.is_cuda:
        return torch.cudnn_convolution_relu(x, conv.weight, conv.bias, *geometry(conv))
    return F.relu(conv(x))


def conv_add_relu(conv, x, residual):
    if x.is_cuda:
        return torch.cudnn_convolution_add_relu(x, conv.weight, residual, 1.0, conv.bias, *geometry(conv))
    return F.relu(conv(x) + residual)


class Fused(nn.Module):
    """A folded reference network with `relu` and `add_relu` for its convolutions and the pyramid head rewritten: the bottleneck
    is applied to the pooled grids before they are enlarged, so that the concatenation never exists."""

    def __init__(self, network, relu=conv_relu, add_relu=conv_add_relu):
        super().__init__()
        self.network, self.relu, self.add_relu = network, relu, add_relu
        head = network.layer5
        bottleneck = head.bottleneck[0]
        stage = head.stages[0][1].out_channels
        widths = [stage] * len(head.stages)
        *grids, features = bottleneck.weight.detach().split(widths + [bottleneck.in_channels - sum(widths)], 1)
        self.grid_weights = nn.ParameterList(nn.Parameter(w.clone(), requires_grad=False) for w in grids)
        self.feature_weight = nn.Parameter(features.clone(), requires_grad=False)

    def bottleneck(self, block, x):
        shortcut = x if block.downsample is None else block.downsample(x)
        return self.add_relu(block.conv3, self.relu(block.conv2, self.relu(block.conv1, x)), shortcut)

    def se_block(self, block, x):
        y = block.se(block.conv2(self.relu(block.conv1, x)))
        return F.relu(y + (x if block.downsample is None else block.downsample(x)))

    def head(self, x):
        head = self.network.layer5
        hidden = F.conv2d(x, self.feature_weight, head.bottleneck[0].bias)
        for stage, weight in zip(head.stages, self.grid_weights):
            prior = F.conv2d(F.relu(stage[1](stage[0](x))), weight)
            hidden = hidden + F.interpolate(prior, x.shape[2:], mode="bilinear", align_corners=head.align_corners)
        return head.final(F.relu(hidden))

    def forward(self, x):
        network = self.network
        stem = network.stem_pool(self.relu(network.conv1, x))
        y, fused = stem, None
        for name in network.layers:
            for block in getattr(network, name):
                y = self.bottleneck(block, y)
            if name == "layer1":
                first = y
        if network.config["fusion"] != "none":
            own = network.config["fusion"] == "own_init"
            fused = F.max_pool2d(self.relu(network.init[0], x), 2, 2) if own else first
            for block in network.fusion:
                fused = self.se_block(block, fused)
            if fused.shape[2:] != y.shape[2:]:
                fused = F.interpolate(fused, y.shape[2:], mode="bilinear", align_corners=True)
            y = torch.cat([y, fused], 1)
        return self.head(y)


def plain_relu(conv, x):
    return F.relu(conv(x))


def plain_add_relu(conv, x, residual):
    return F.relu(conv(x) + residual)


class Captured:
    """A function of fixed memory as a CUDA graph."""

    def __init__(self, function):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                function()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.output = function()

    def __call__(self):
        self.graph.replay()
        return self.output


def compiled(network, options):
    torch._dynamo.reset()
    if options.device == "cpu":  # only traced: whether the whole network is one graph
        return torch.compile(network, backend="eager", dynamic=False, fullgraph=True)
    import torch._inductor.config as inductor

    inductor.freezing = True
    return torch.compile(network, mode="max-autotune", dynamic=False, fullgraph=True)


class Xla:
    """The network in JAX."""

    IN_A_ROW = 10  # runs that are queued before any is waited for, which hides launches
    LIMIT = 0.03  # of the root mean square of the logits, between two ways to round to 16 bits

    def __init__(self, network, x, device):
        from jax_network import Compiled

        self.compiled, self.device = Compiled(network, x, device), x.device
        expected, logit = network(x).float(), self()
        difference = float((logit - expected).square().mean().sqrt() / expected.square().mean().sqrt())
        if not difference <= self.LIMIT:
            raise RuntimeError(f"logits differ from PyTorch's by {difference:.1%}")

    def __call__(self):
        return torch.from_numpy(self.compiled.logit()).to(self.device)

    def milliseconds(self, options):
        for _ in range(options.warm_up):
            self.compiled.wait_for(self.compiled.queue())
        times = []
        for _ in range(-(-options.runs // self.IN_A_ROW)):
            begin = time.perf_counter()
            last = [self.compiled.queue() for _ in range(self.IN_A_ROW)][-1]
            self.compiled.wait_for(last)
            times.append(1e3 * (time.perf_counter() - begin) / self.IN_A_ROW)
        return times


def engines(options):
    """{name: function of (network, input) that returns a function without arguments}. Networks are folded and converted."""
    every = {
        "eager": lambda n, x: lambda: n(x),
        "eager, fused": lambda n, x: (lambda f: lambda: f(x))(Fused(n)),
    }
    if options.device == "cuda":
        every["graph"] = lambda n, x: Captured(lambda: n(x))
        every["graph, fused"] = lambda n, x: (lambda f: Captured(lambda: f(x)))(Fused(n))
    # Those that take long to begin come last: a time limit may end the script.
    every["compiled, rewritten"] = lambda n, x: (lambda f: lambda: f(x))(
        compiled(Fused(n, plain_relu, plain_add_relu), options))
    every["compiled"] = lambda n, x: (lambda f: lambda: f(x))(compiled(n, options))
    every["XLA"] = lambda n, x: Xla(n, x, options.device)
    return {name: make for name, make in every.items() if not options.engine or name in options.engine}


def milliseconds(run, options):
    """Of each of so many runs."""
    if isinstance(run, Xla):
        return run.milliseconds(options)
    for _ in range(options.warm_up):
        run()
    if options.device == "cpu":
        times = []
        for _ in range(options.runs):
            begin = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - begin))
        return times
    events = [torch.cuda.Event(enable_timing=True) for _ in range(options.runs + 1)]
    events[0].record()
    for event in events[1:]:
        run()
        event.record()
    torch.cuda.synchronize()
    return [a.elapsed_time(b) for a, b in zip(events, events[1:])]


def ours(options, batch):
    """(milliseconds, why not) of a pass in the CUDA graph, from a process of its own."""
    program = options.bin / "mfs_cuda_network_bench"
    if options.device == "cpu":
        return None, "needs a GPU"
    if not program.exists():
        return None, f"{program} is not there"
    width, height = options.size[::-1]
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [program, "--weights", options.weights, "--precision", options.dtype, "--size", f"{width}x{height}"]
        command += ["--clicks", 0, "--json", out.name] + (["--batch", batch] if batch > 1 else [])
        try:
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=options.our_limit)
        except subprocess.TimeoutExpired:
            return None, "out of time"
        if done.returncode != 0:
            return None, (done.stderr or done.stdout).strip().splitlines()[-1]
        return json.loads(Path(out.name).read_text())["graph_us"] / 1e3, None


def folded_network(options, dtype):
    network, meta = network_from_safetensors(options.weights)
    network = fold_batch_norm(network).requires_grad_(False)
    return network.to(options.device, dtype).to(memory_format=torch.channels_last), meta


def measure_batch(options, batch, rows):
    """Adds {engine, batch, ms, rms or reason} of everything that runs to the rows, and writes the report after each."""
    dtype = {"f16": torch.float16, "bf16": torch.bfloat16}[options.dtype]

    def note(engine, times=None, rms=None, reason=None):
        row = {"engine": engine, "batch": batch}
        if times:
            row.update(ms=statistics.median(times), min_ms=min(times), rms=rms)
        else:
            row["reason"] = reason
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
        if options.json:  # a time limit may end the next engine
            report = {"torch": torch.__version__, "dtype": options.dtype, "size": options.size, "rows": rows}
            options.json.write_text(json.dumps(report, indent=1))

    def note_ours(name):
        ms, reason = ours(options, batch)
        note(name, [ms] if ms else None, None, reason)

    note_ours("MFS, before")
    network, _ = folded_network(options, dtype)
    generator = torch.Generator().manual_seed(1)
    # Smoothed: white noise drives the logits so far out that every engine's probabilities are 0 or 1.
    x32 = F.avg_pool2d(torch.randn(batch, network.in_channels, *options.size, generator=generator), 3, 1, 1)
    x = x32.to(options.device, dtype).to(memory_format=torch.channels_last)
    reference_network = fold_batch_norm(network_from_safetensors(options.weights)[0]).to(options.device)
    reference = torch.sigmoid(reference_network(x32[:1].to(options.device)))
    del reference_network
    if ((reference > 0.01) & (reference < 0.99)).float().mean() < 0.1:
        sys.exit("gpu_peers.py: these weights make nearly all probabilities 0 or 1, which tells nothing")
    for name, make in engines(options).items():
        try:
            run = make(network, x)
            rms = float((torch.sigmoid(run()[:1].float()) - reference).square().mean().sqrt())
            if not rms <= TOLERANCE:
                note(name, reason=f"computes something else: root mean square difference {rms:.3f}")
                continue
            note(name, milliseconds(run, options), rms)
        except Exception as error:  # an engine that fails must not take the others with it
            note(name, reason=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
    note_ours("MFS, after")


def print_table(options, rows):
    device = torch.cuda.get_device_name() if options.device == "cuda" else platform.processor()
    print(f"{device}, PyTorch {torch.__version__}, {options.dtype}, {options.size[1]}x{options.size[0]}\n")
    print("| batch | engine | median ms | ms per image | of MFS | rms difference |")
    print("|---:|---|---:|---:|---:|---:|")
    for row in rows:
        mine = [r["ms"] for r in rows if r["batch"] == row["batch"] and r["engine"].startswith("MFS") and "ms" in r]
        if "ms" not in row:
            print(f"| {row['batch']} | {row['engine']} | {row['reason']} | | | |")
            continue
        ratio = f"{row['ms'] / min(mine):.2f}" if mine else ""
        rms = f"{row['rms']:.1e}" if row["rms"] is not None else ""
        print(f"| {row['batch']} | {row['engine']} | {row['ms']:.3f} | {row['ms'] / row['batch']:.3f} | {ratio} | {rms} |")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="weights file of a ResNet network")
    parser.add_argument("--bin", type=Path, default=ROOT / "build" / "bin", help="folder of mfs_cuda_network_bench")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--dtype", choices=("f16", "bf16"), default="f16")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--size", help="network size WxH; default the weights'")
    parser.add_argument("--engine", action="append", help="only this engine; may be repeated")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--our-limit", type=int, default=60, help="seconds for mfs_cuda_network_bench")
    parser.add_argument("--json", type=Path, help="file for all figures")
    return parser.parse_args()


def main():
    options = parse_arguments()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu_peers.py: PyTorch sees no GPU")
    _, meta = network_from_safetensors(options.weights)
    options.size = [int(v) for v in options.size.split("x")][::-1] if options.size else meta["preprocess"]["size"]
    torch.backends.cudnn.benchmark = True
    rows = []
    with torch.inference_mode():
        for batch in options.batches:
            measure_batch(options, batch, rows)
    print_table(options, rows)
    if not any("ms" in row for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
