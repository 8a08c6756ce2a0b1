"""Golden values of convolutions, batch norms and residual blocks from PyTorch in float64.

Writes crates/kd-nn/tests/fixtures/nn.json. Numbers are `u(key, i)` of README.md, exact in float32: the input `"NAME.x"` of case NAME,
and `"NAME.r"`, which the output is multiplied with before its sum is taken as the loss. A convolution's and a norm's parameters are those
of README.md's table for network NAME.

A tensor is stored as [sum, sum of magnitudes, largest magnitude, elements ...]: all elements if there are at most 24, else 16 of
them, element floor(i * (n - 1) / 15) for i in 0..16.

    convolutions    geometry, output, gradients of input, weight and bias
    norms           two steps in training, the second one's output and gradients, the running statistics after both, and output and
                    gradients in evaluation with these statistics
    blocks          the same of blocks of several layers: see `forward`

    python tools/nn_golden.py
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

from formula import fill, parameter, uniform

OUT = Path(__file__).parent.parent / "crates/kd-nn/tests/fixtures/nn.json"

# name, batch, channels, input, kernel, stride, padding (top, left, bottom, right), dilation, groups, bias
CONVOLUTIONS = [
    ("stem", 2, (3, 16), (12, 11), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1, False),
    ("body", 3, (17, 33), (9, 8), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1, True),
    ("strided", 2, (16, 32), (9, 10), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 1, True),
    ("pointwise", 4, (20, 48), (6, 5), (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1, True),
    ("shortcut", 2, (16, 32), (8, 7), (1, 1), (2, 2), (0, 0, 0, 0), (1, 1), 1, False),
    ("wide", 1, (3, 24), (23, 20), (7, 7), (2, 2), (3, 3, 3, 3), (1, 1), 1, True),
    ("dilated", 2, (5, 18), (13, 12), (3, 3), (1, 2), (2, 2, 2, 2), (2, 2), 1, True),
    ("grouped", 2, (48, 96), (7, 7), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 3, True),
    ("depthwise", 2, (33, 33), (9, 9), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 33, True),
    ("uneven", 2, (6, 10), (8, 9), (2, 3), (3, 1), (0, 2, 1, 0), (1, 1), 1, True),
    ("banded", 1, (48, 8), (48, 45), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1, True),
    ("pixels", 70, (16, 4), (2, 2), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1, True),
]

# name, shape
NORMS = [("plain", (4, 20, 5, 6)), ("single", (2, 5, 1, 1)), ("one_pixel", (1, 3, 1, 1))]

# kind: input, convolutions (in, out, kernel, stride, bias), channels of norms
BLOCKS = {
    "identity": ((4, 16, 10, 9), [(16, 16, 3, 1, False)] * 2, [16, 16]),
    "projection": (
        (4, 16, 10, 9),
        [(16, 24, 3, 2, False), (24, 24, 3, 1, False), (16, 24, 1, 2, False)],
        [24, 24, 24],
    ),
    "preactivation": ((3, 17, 8, 8), [(17, 17, 3, 1, False)] * 2, [17, 17]),
    "biased": ((3, 3, 9, 9), [(3, 16, 3, 1, True), (16, 20, 5, 2, True)], []),
    "two": (
        (4, 16, 10, 10),
        [(16, 32, 3, 2, False), (32, 32, 3, 1, False), (16, 32, 1, 2, False)] + [(32, 32, 3, 1, False)] * 2,
        [32] * 5,
    ),
}


class Block(torch.nn.Module):
    def __init__(self, kind, convs, norms):
        super().__init__()
        self.kind = kind
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv2d(i, o, k, stride=s, padding=k // 2, bias=b) for i, o, k, s, b in convs
        )
        self.norms = torch.nn.ModuleList(torch.nn.BatchNorm2d(c) for c in norms)

    def forward(self, x):
        conv, norm = self.convs, self.norms
        residual = lambda i, x: norm[i + 1](conv[i + 1](F.relu(norm[i](conv[i](x)))))
        match self.kind:
            case "identity":
                return F.relu(residual(0, x) + x)
            case "projection":
                return F.relu(residual(0, x) + norm[2](conv[2](x)))
            case "preactivation":
                y = conv[0](F.relu(norm[0](x)))
                return conv[1](F.relu(norm[1](y))) + x
            case "biased":
                return F.relu(conv[1](F.relu(conv[0](x))))
            case "two":
                y = F.relu(residual(0, x) + norm[2](conv[2](x)))
                return F.relu(residual(3, y) + y)


def tensor(key, shape):
    return torch.from_numpy(uniform(key, math.prod(shape)).reshape(shape))


def digest(values):
    flat = values.detach().flatten()
    n = len(flat)
    chosen = range(n) if n <= 24 else [i * (n - 1) // 15 for i in range(16)]
    numbers = [flat.sum(), flat.abs().sum(), flat.abs().max(), *(flat[i] for i in chosen)]
    return [float(f"{float(v):.10g}") for v in numbers]


def gradients(name, x, named, output):
    for value in [x, *named.values()]:
        value.grad = None
    (output * tensor(f"{name}.r", output.shape)).sum().backward()
    return {"output": digest(output), "x": digest(x.grad)} | {key: digest(v.grad) for key, v in named.items()}


def convolution(name, batch, channels, size, kernel, stride, padding, dilation, groups, bias):
    x = tensor(f"{name}.x", (batch, channels[0], *size)).requires_grad_()
    shape = (channels[1], channels[0] // groups, *kernel)
    named = {"weight": parameter(name, "weight", shape, False).requires_grad_()}
    if bias:
        named["bias"] = parameter(name, "bias", (channels[1],), False).requires_grad_()
    top, left, bottom, right = padding
    padded = F.pad(x, (left, right, top, bottom))
    y = F.conv2d(padded, named["weight"], named.get("bias"), stride=stride, dilation=dilation, groups=groups)
    geometry = {
        "input": [batch, channels[0], *size],
        "outputs": channels[1],
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "bias": bias,
    }
    return {"geometry": geometry, "values": gradients(name, x, named, y)}


def steps(name, module, shape):
    module = fill(module.double(), name, False)
    named = dict(module.named_parameters())
    module.train()
    with torch.no_grad():
        if math.prod(shape) > shape[1]:
            module(tensor(f"{name}.first", shape))
    x = tensor(f"{name}.x", shape).requires_grad_()
    training = gradients(name, x, named, module(x))
    statistics = {k: digest(v) for k, v in module.state_dict().items() if "running" in k}
    module.eval()
    return {"training": training, "statistics": statistics, "evaluation": gradients(name, x, named, module(x))}


class OnePixel(torch.nn.Module):
    """PyTorch refuses to train on one number a channel: what it would compute, with the biased variance."""

    def __init__(self, channels):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(channels)

    def forward(self, x):
        if not self.training:
            return self.norm(x)
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
        with torch.no_grad():
            self.norm.running_mean.mul_(0.9).add_(0.1 * mean.flatten())
            self.norm.running_var.mul_(0.9).add_(0.1 * variance.flatten())
        parameters = [p.view(1, -1, 1, 1) for p in (self.norm.weight, self.norm.bias)]
        return (x - mean) / torch.sqrt(variance + self.norm.eps) * parameters[0] + parameters[1]


class Norm(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(channels)

    def forward(self, x):
        return self.norm(x)


def main():
    torch.set_num_threads(1)
    convolutions = {case[0]: convolution(*case) for case in CONVOLUTIONS}
    norms = {}
    for name, shape in NORMS:
        module = OnePixel(shape[1]) if name == "one_pixel" else Norm(shape[1])
        norms[name] = {"shape": shape, **steps(name, module, shape)}
    blocks = {}
    for name, (shape, convs, channels) in BLOCKS.items():
        module = Block(name, convs, channels)
        blocks[name] = {"shape": shape, "convs": convs, "norms": channels, **steps(name, module, shape)}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    lines = lambda cases: ",\n".join(
        f'"{name}":{json.dumps(case, separators=(",", ":"))}' for name, case in cases.items()
    )
    OUT.write_text(
        f'{{"torch":"{torch.__version__}","convolutions":{{\n{lines(convolutions)}\n}},'
        f'"norms":{{\n{lines(norms)}\n}},"blocks":{{\n{lines(blocks)}\n}}}}\n'
    )
    print(f"{OUT}: {OUT.stat().st_size} bytes, {len(convolutions)} + {len(norms)} + {len(blocks)} cases")


if __name__ == "__main__":
    main()
