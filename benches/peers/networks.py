"""Networks and layers of kd beside PyTorch's, in interleaved pairs. Started by `run --models`, in the virtual environment."""

import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

import machine
import options

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import models  # noqa: E402

BATCH = 64
CLASSES = 10
# A pass is repeated until a measurement takes about this long.
LEAST_MS = 25.0

# The reference pairs of the papers, and the ResNets between them.
NETWORKS = [
    "resnet8",
    "resnet20",
    "resnet32",
    "resnet56",
    "resnet110",
    "resnet8x4",
    "resnet32x4",
    "wrn_16_2",
    "wrn_40_2",
    "vgg8",
    "vgg13",
    "resnet50",
    "mobilenet_v2",
    "shufflenet_v1",
    "shufflenet_v2",
]

# Channels in and out, size, kernel, stride, groups.
CONVOLUTIONS = [
    (3, 16, 32, 3, 1, 1),
    (16, 16, 32, 3, 1, 1),
    (16, 32, 32, 3, 2, 1),
    (32, 32, 16, 3, 1, 1),
    (32, 64, 16, 3, 2, 1),
    (64, 64, 8, 3, 1, 1),
    (16, 32, 32, 1, 2, 1),
    (32, 32, 32, 3, 1, 1),
    (64, 64, 32, 3, 1, 1),
    (128, 128, 16, 3, 1, 1),
    (256, 256, 8, 3, 1, 1),
    (512, 512, 4, 3, 1, 1),
    (64, 256, 32, 1, 1, 1),
    (256, 64, 32, 1, 1, 1),
    (96, 96, 16, 3, 1, 96),
    (96, 96, 16, 3, 2, 96),
]


class Ours:
    """A running `models`: a line of JSON there, a line back."""

    def __init__(self, binary: str, threads: int):
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [binary], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, request: dict) -> dict:
        self.process.stdin.write(json.dumps(request) + "\n")
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"models: the program ended (status {self.process.wait()}) at {request}")
        answer = json.loads(line)
        if "error" in answer:
            raise SystemExit(f"models: {answer['error']}")
        return answer

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def network_pass(name: str, step: bool, layout: torch.memory_format):
    """A closure that runs one pass of a network."""
    torch.manual_seed(0)
    model = models.build(name, CLASSES).to(memory_format=layout)
    images = torch.rand(BATCH, 3, 32, 32).to(memory_format=layout)
    if not step:
        model.eval()

        def forward():
            with torch.inference_mode():
                model(images)

        return forward
    labels = torch.arange(BATCH) % CLASSES
    sgd = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def train():
        sgd.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        sgd.step()

    return train


def convolution_pass(conv: tuple, step: bool, layout: torch.memory_format):
    """A closure that runs one pass of a convolution."""
    inputs, outputs, size, kernel, stride, groups = conv
    layer = torch.nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    layer = layer.to(memory_format=layout)
    images = torch.rand(BATCH, inputs, size, size).to(memory_format=layout)
    if not step:

        def forward():
            with torch.inference_mode():
                layer(images)

        return forward
    images.requires_grad_()

    def train():
        images.grad = layer.weight.grad = None
        layer(images).sum().backward()

    return train


def flops(model: torch.nn.Module, image: torch.Tensor) -> float:
    """Two a multiply-add of convolutions and linear layers, for one image."""
    total = 0

    def count(layer, _, output):
        nonlocal total
        total += 2 * output.numel() * layer.weight[0].numel()

    hooks = [
        layer.register_forward_hook(count)
        for layer in model.modules()
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear))
    ]
    with torch.inference_mode():
        model(image)
    for hook in hooks:
        hook.remove()
    return total


def timed(closure, repeat: int) -> float:
    """Milliseconds a pass."""
    start = time.perf_counter()
    for _ in range(repeat):
        closure()
    return (time.perf_counter() - start) * 1e3 / repeat


def measure(name: str, request: dict, make, work: float, ours: Ours, rounds: int, peak: float) -> dict:
    """A row: `rounds` pairs, ours and PyTorch's in turn. PyTorch has the layout that suits it better."""
    layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    peers = {layout: make(form) for layout, form in layouts.items()}
    trial = {}
    for layout, closure in peers.items():
        timed(closure, 2)
        trial[layout] = min(timed(closure, 1) for _ in range(5))
    layout = min(trial, key=trial.get)
    closure = peers[layout]
    first = max(1e-3, min(ours.ask(request | {"repeat": 1})["ms"] for _ in range(4)))
    repeat = max(1, round(LEAST_MS / max(first, trial[layout])))
    mine, theirs = [], []
    for turn in range(rounds):
        # Who goes first changes, so that neither always finds what the other left in the caches.
        for who in ((0, 1), (1, 0))[turn % 2]:
            if who == 0:
                mine.append(ours.ask(request | {"repeat": repeat})["ms"])
            else:
                theirs.append(timed(closure, repeat))
    mine, theirs = np.array(mine), np.array(theirs)
    return {
        "network": name,
        "pass": request["pass"],
        "threads": torch.get_num_threads(),
        "ours_ms": float(np.median(mine)),
        "ours_iqr": [float(v) for v in np.percentile(mine, [25, 75])],
        "pytorch_ms": float(np.median(theirs)),
        "pytorch_iqr": [float(v) for v in np.percentile(theirs, [25, 75])],
        "pytorch_layout": layout,
        "ratio": float(np.median(theirs / mine)),
        "ours_share_of_peak": work / (np.median(mine) * 1e-3) / peak,
        "pytorch_share_of_peak": work / (np.median(theirs) * 1e-3) / peak,
    }


def markdown(rows: list[dict]) -> str:
    """The rows as a table."""
    lines = [
        "| network | pass | threads | ours, ms | IQR | PyTorch, ms | IQR | ratio | ours, of peak | PyTorch, of peak |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        spread = lambda who: f"±{50 * (row[f'{who}_iqr'][1] - row[f'{who}_iqr'][0]) / row[f'{who}_ms']:.0f} %"  # noqa: E731
        lines.append(
            f"| {row['network']} | {row['pass']} | {row['threads']} | {row['ours_ms']:.2f} | {spread('ours')} "
            f"| {row['pytorch_ms']:.2f} | {spread('pytorch')} | {row['ratio']:.2f} "
            f"| {row['ours_share_of_peak']:.0%} | {row['pytorch_share_of_peak']:.0%} |"
        )
    return "\n".join(lines)


def works(only: str):
    """Name, request without pass, how to make PyTorch's pass, FLOPs of a forward pass."""
    for name in NETWORKS:
        request = {"network": name, "batch": BATCH, "size": 32, "classes": CLASSES}
        make = lambda step, name=name: lambda form: network_pass(name, step, form)  # noqa: E731
        if only in name:
            yield name, request, make, BATCH * flops(models.build(name, CLASSES).eval(), torch.rand(1, 3, 32, 32))
    for conv in CONVOLUTIONS:
        inputs, outputs, size, kernel, stride, groups = conv
        kind = "depthwise" if groups == inputs else f"{kernel}×{kernel}"
        name = f"conv {kind} {inputs}→{outputs}, {size} px" + (f", stride {stride}" if stride > 1 else "")
        fields = {"channels": [inputs, outputs], "size": size, "kernel": kernel, "stride": stride, "groups": groups}
        make = lambda step, conv=conv: lambda form: convolution_pass(conv, step, form)  # noqa: E731
        pixels = ((size - 1) // stride + 1) ** 2
        if only in name:
            yield name, {"conv": fields, "batch": BATCH}, make, 2 * BATCH * pixels * kernel**2 * inputs * outputs // groups


def main() -> None:
    wanted = options.parse()
    torch.set_num_threads(wanted.threads)
    ours = Ours(wanted.binary, wanted.threads)
    rows = []
    try:
        ours.ask({"peak": 0.5})
        peak = max(ours.ask({"peak": 0.5})["flops"] for _ in range(3))
        for name, request, make, work in works(wanted.only):
            for step in (False, True):
                fields = request | {"pass": "step" if step else "forward"}
                print(f"models: {name}, {fields['pass']}", file=sys.stderr, flush=True)
                amount = 3 * work if step else work
                rows.append(measure(name, fields, make(step), amount, ours, wanted.rounds, peak))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        ours.close()
    if not rows:
        sys.exit(f"models: no network and no layer holds {wanted.only!r} in its name")
    if wanted.json:
        json.dump(rows, sys.stdout, indent=1)
        print()
        return
    print(f"Batches of {BATCH}; median of {wanted.rounds} interleaved pairs; a step counts three forward passes' work.\n")
    print(markdown(rows) + "\n")
    print(f"- measured peak: {peak / 1e9:.0f} GFLOP/s on {wanted.threads} thread(s)")
    for name, value in machine.describe(["torch"]).items():
        print(f"- {name}: {value}")


if __name__ == "__main__":
    main()
