"""Golden values of the CIFAR residual networks from PyTorch in float64.

Writes crates/kd-models/tests/fixtures/resnet.json. Weights and statistics are those of formula.py (`random_statistics`), under
the network's name, with 10 classes; the input is images 0 and 1, normalised with CIFAR's statistics. README.md beside this
file states the formulas. For each network:
    option     "A" or "B" shortcuts
    eval       in evaluation mode, for stem, layer1, layer2, layer3 (each after its last ReLU) and pooled:
               [sum, sum of magnitudes, first 4 elements] over [2, channels, height, width]; and the logits, row by row
    train      logits in training mode (the batch's own statistics)
`parameters` counts the weights and biases of convolutions and linear layers with option B and 100 classes; it is checked
against the published counts.

    python tools/resnet_golden.py
"""

import json
from pathlib import Path

import torch
from torch import nn

import formula
from resnet import NARROW, X4, ResNet

OUT = Path(__file__).parent.parent / "crates/kd-models/tests/fixtures/resnet.json"
NETWORKS = {"resnet8": (8, NARROW, "B"), "resnet14": (14, NARROW, "B"), "resnet20": (20, NARROW, "A"), "resnet8x4": (8, X4, "B")}
COUNTED = {f"resnet{depth}": (depth, NARROW) for depth in (8, 14, 20, 32, 44, 56, 110)} | {
    "resnet8x4": (8, X4),
    "resnet32x4": (32, X4),
}
PUBLISHED_MILLIONS = {
    "resnet8": 0.0832,
    "resnet20": 0.2768,
    "resnet32": 0.4703,
    "resnet56": 0.8574,
    "resnet110": 1.7283,
    "resnet8x4": 1.2308,
    "resnet32x4": 7.4239,
}


def digits(values, count=10):
    return [float(f"{v:.{count}g}") for v in values]


def summary(tensor):
    flat = tensor.flatten()
    return digits([flat.sum().item(), flat.abs().sum().item(), *flat[:4].tolist()])


def count(model):
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    return sum(p.numel() for layer in layers for p in layer.parameters())


def golden(name):
    depth, widths, option = NETWORKS[name]
    model = formula.fill(ResNet(depth, widths, 10, option), name, True).double()
    x = formula.normalise(formula.pixels(0, 2), formula.CIFAR)
    with torch.no_grad():
        features = model.eval().features(x)
        logits = features.pop("logits")
        train = model.train()(x)
    evaluated = {key: summary(value) for key, value in features.items()}
    evaluated["logits"] = digits(logits.flatten().tolist())
    return {"option": option, "eval": evaluated, "train": {"logits": digits(train.flatten().tolist())}}


def main():
    torch.set_num_threads(1)
    parameters = {name: count(ResNet(depth, widths, 100)) for name, (depth, widths) in COUNTED.items()}
    for name, millions in PUBLISHED_MILLIONS.items():
        assert round(parameters[name] / 1e6, 4) == millions, (name, parameters[name])
    networks = {name: golden(name) for name in NETWORKS}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    fixture = {"torch": torch.__version__, "parameters": parameters, "networks": networks}
    OUT.write_text(json.dumps(fixture, separators=(",", ":")).replace('},"', '},\n"') + "\n")
    print(f"{OUT}: {OUT.stat().st_size} bytes; {parameters}")


if __name__ == "__main__":
    main()
