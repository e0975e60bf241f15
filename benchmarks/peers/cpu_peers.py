#!/usr/bin/env python3
"""Times ONNX Runtime, OpenVINO and PyTorch on the CPU against mfs_network_bench: the same weights, input and threads.

    cpu_peers.py --weights network.safetensors --bin build/bin --threads 2

All engines take turns in one run; a turn is one unmeasured run and a few measured ones, from normalised input to logit.
Every engine must first compute the same probabilities as the PyTorch reference. Prints a Markdown table.
Needs torch, onnx, onnxruntime, openvino, numpy and pillow; an engine whose package is missing is left out.
"""

import argparse
import contextlib
import io
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from folding import fold_batch_norm

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "reference"))
from network import network_from_safetensors  # noqa: E402
from preprocess import network_input, probability_from_logit  # noqa: E402

# In f32 no probability may differ more than this from the reference: other orders of summation through a hundred layers.
F32_TOLERANCE = 1e-4
# In bf16 the root mean square difference may be this many times that of PyTorch's own bf16.
BF16_FACTOR = 2


class PoolByMatrix(nn.Module):
    """Adaptive average pooling as two matrix products: ONNX has no pooling whose bins overlap."""

    def __init__(self, bins, height, width):
        super().__init__()
        self.register_buffer("rows", self.means(bins, height))
        self.register_buffer("columns", self.means(bins, width).T.contiguous())

    @staticmethod
    def means(bins, size):
        matrix = torch.zeros(bins, size)
        for i in range(bins):
            first, end = i * size // bins, -(-(i + 1) * size // bins)
            matrix[i, first:end] = 1 / (end - first)
        return matrix

    def forward(self, x):
        return self.rows @ (x @ self.columns)


def export_onnx(network, x, path):
    """The network with plain pooling where the bins divide the map, matrices where they do not."""
    with torch.inference_mode():
        height, width = network(x).shape[2:]
    for stage in network.layer5.stages:
        bins = stage[0].output_size
        if height % bins == 0 and width % bins == 0:
            stage[0] = nn.AvgPool2d((height // bins, width // bins))
        else:
            stage[0] = PoolByMatrix(bins, height, width)
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(network, (x,), str(path), opset_version=17, input_names=["x"], output_names=["logit"], dynamo=False)


class TorchEngine:
    name = f"PyTorch {torch.__version__}, channels last"

    def __init__(self, weights, x, precision, threads):
        torch.set_num_threads(threads)
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        network = fold_batch_norm(network_from_safetensors(weights)[0])
        self.network = network.to(dtype=self.dtype, memory_format=torch.channels_last)
        self.x = x.to(dtype=self.dtype, memory_format=torch.channels_last)

    def run(self):
        with torch.inference_mode():
            return self.network(self.x)

    def logit(self):
        return self.run().float()


class OnnxRuntimeEngine:
    def __init__(self, model, x, precision, threads):
        import onnxruntime

        self.name = f"ONNX Runtime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Its threads spin during a run, for speed, but not after it, when others are measured.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.feed = {"x": x.numpy()}

    def run(self):
        return self.session.run(None, self.feed)[0]

    def logit(self):
        return torch.from_numpy(self.run())


class OpenVinoEngine:
    def __init__(self, model, x, precision, threads):
        import openvino

        self.name = f"OpenVINO {openvino.__version__.split('-')[0]}"
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise RuntimeError("the processor has no bf16 instructions")
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": str(threads),
            "INFERENCE_PRECISION_HINT": precision,
        }
        self.request = core.compile_model(str(model), "CPU", settings).create_infer_request()
        self.request.set_input_tensor(openvino.Tensor(x.numpy().copy()))

    def run(self):
        self.request.infer()

    def logit(self):
        self.run()
        return torch.from_numpy(self.request.get_output_tensor().data.copy())


class MfsEngine:
    """A process that runs once for every line it reads and answers with its milliseconds."""

    name = "MFS"

    def __init__(self, options, precision):
        self.options, self.precision = options, precision
        program = options.bin / "mfs_network_bench"
        arguments = ["--weights", options.weights, "--precision", precision, "--threads", options.threads, "--on-request"]
        height, width = options.size
        arguments += ["--size", f"{width}x{height}", "--photo", f"{width}x{height}"]
        command = [str(program), *map(str, arguments)]
        pipe = subprocess.PIPE
        self.said = tempfile.TemporaryFile("w+")  # a pipe that nobody empties would stop it one day
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.said, text=True)
        self.milliseconds()  # raises where the processor has no such precision

    def milliseconds(self):
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        if not answer:
            self.process.communicate()
            self.said.seek(0)
            said = self.said.read().strip().splitlines()
            raise RuntimeError(said[-1] if said else f"mfs_network_bench ended with status {self.process.returncode}")
        return json.loads(answer)["infer"]

    def probability(self, photo, tap, folder):
        """From mfs_infer: the same library, weights and options, on a photo of the network's size."""
        out = Path(folder) / f"{self.precision}.npy"
        height, width = self.options.size
        command = [self.options.bin / "mfs_infer", photo, "--click", f"{tap[0]},{tap[1]}", "--prob", out, "-q", "--overwrite"]
        command += ["--weights", self.options.weights, "--precision", self.precision, "--size", f"{width}x{height}"]
        command += ["--threads", self.options.threads, "--device", "cpu"]
        subprocess.run([str(c) for c in command], check=True)
        return np.load(out)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def milliseconds(engine):
    if isinstance(engine, MfsEngine):
        return engine.milliseconds()
    begin = time.perf_counter()
    engine.run()
    return (time.perf_counter() - begin) * 1e3


def synthetic_photo(height, width):
    """Smooth colours with some noise: what matters is that nothing saturates."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(x / (23 + 11 * c)) * np.cos(y / (31 - 7 * c)) for c in range(3)]
    return np.clip(np.stack(waves, 2) + random.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)


def processor():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def build_engines(options, model, x):
    """[(engine, precision)] of all that can be had, and why the others cannot."""
    makers = [
        ("MFS", lambda p: MfsEngine(options, p)),
        ("OpenVINO", lambda p: OpenVinoEngine(model, x, p, options.threads)),
        ("ONNX Runtime", lambda p: OnnxRuntimeEngine(model, x, p, options.threads)),
        ("PyTorch", lambda p: TorchEngine(options.weights, x, p, options.threads)),
    ]
    engines, absent = [], []
    for precision in options.precision:
        for name, make in makers:
            if name == "ONNX Runtime" and precision == "bf16":
                absent.append((name, precision, "not offered on x86: its fast-math bf16 is for Arm only"))
                continue
            try:
                engine = make(precision)
                milliseconds(engine)  # some find out only now that the processor lacks something
                engines.append((engine, precision))
            except (ImportError, RuntimeError) as error:
                absent.append((name, precision, (str(error).splitlines() or [type(error).__name__])[0]))
    return engines, absent


def differences_from(reference, engine, x_photo, meta, options, folder):
    """Largest and root mean square difference of the engine's probabilities from the reference."""
    photo, tap = x_photo
    if isinstance(engine, MfsEngine):
        probability = engine.probability(photo, tap, folder)
    else:
        probability = probability_from_logit(engine.logit(), options.size, meta["network"])
    difference = np.abs(np.asarray(probability, np.float32) - reference)
    return float(difference.max()), float(np.sqrt(np.mean(difference**2)))


def refuse_other_networks(engines, differences):
    """Exits unless every engine computes the reference's probabilities."""
    yardstick = [d[1] for (e, p), d in zip(engines, differences) if isinstance(e, TorchEngine) and p == "bf16"]
    wrong = []
    for (engine, precision), (largest, rms) in zip(engines, differences):
        if precision == "bf16" and not yardstick:
            sys.exit(f"cpu_peers.py: {engine.name} bf16 has nothing to be compared with: PyTorch does not compute in bf16 here")
        good = largest <= F32_TOLERANCE if precision == "f32" else rms <= BF16_FACTOR * yardstick[0]
        if not good:
            wrong.append(f"{engine.name} {precision}: probabilities differ by {largest:.1e}, {rms:.1e} rms")
    if wrong:
        sys.exit("cpu_peers.py: not the same network: " + "; ".join(wrong))


def take_turns(engines, rounds, runs):
    times = [[] for _ in engines]
    for _ in range(rounds):
        for (engine, _), mine in zip(engines, times):
            milliseconds(engine)  # caches and clock settle on this engine
            mine += [milliseconds(engine) for _ in range(runs)]
    return times


def print_table(options, engines, absent, times, differences):
    height, width = options.size
    print(f"{processor()}, {options.threads} threads, {platform.system()}; network {width}x{height}, ", end="")
    print(f"{options.rounds} turns of {options.runs} runs; milliseconds from normalised input to logit.\n")
    print("| precision | engine | min | median | median / MFS | probabilities differ by at most | rms |")
    print("|---|---|---:|---:|---:|---:|---:|")
    ours = {p: statistics.median(t) for (e, p), t in zip(engines, times) if isinstance(e, MfsEngine)}
    for (engine, precision), mine, (largest, rms) in zip(engines, times, differences):
        median = statistics.median(mine)
        cells = [precision, engine.name, f"{min(mine):.1f}", f"{median:.1f}"]
        cells.append(f"{median / ours[precision]:.2f}" if precision in ours else "")
        cells += [f"{largest:.1e}", f"{rms:.1e}"]
        print("| " + " | ".join(cells) + " |")
    for name, precision, reason in absent:
        print(f"| {precision} | {name} | {reason} | | | | |")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="weights file of a ResNet network")
    parser.add_argument("--bin", type=Path, default=ROOT / "build" / "bin", help="folder of mfs_infer and mfs_network_bench")
    parser.add_argument("--size", help="network size WxH; default the weights'")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("f32", "bf16"), nargs="+", default=["f32", "bf16"])
    parser.add_argument("--rounds", type=int, default=10, help="turns of every engine")
    parser.add_argument("--runs", type=int, default=3, help="measured runs per turn")
    return parser.parse_args()


def main():
    options = parse_arguments()
    network, meta = network_from_safetensors(options.weights)
    options.size = [int(v) for v in options.size.split("x")][::-1] if options.size else meta["preprocess"]["size"]
    height, width = options.size
    image, tap = synthetic_photo(height, width), (width // 2, height // 2)
    x = network_input(image, [tap], meta["preprocess"], tuple(options.size))
    torch.set_num_threads(options.threads)
    with torch.inference_mode():
        reference = probability_from_logit(network(x), (height, width), meta["network"])

    with tempfile.TemporaryDirectory() as folder:
        photo, model = Path(folder) / "photo.png", Path(folder) / "network.onnx"
        Image.fromarray(image).save(photo)
        export_onnx(fold_batch_norm(network), x, model)
        engines, absent = build_engines(options, model, x)
        differences = [differences_from(reference, e, (photo, tap), meta, options, folder) for e, _ in engines]
        refuse_other_networks(engines, differences)
        times = take_turns(engines, options.rounds, options.runs)
        for engine, _ in engines:
            if isinstance(engine, MfsEngine):
                engine.close()
    print_table(options, engines, absent, times, differences)


if __name__ == "__main__":
    main()
