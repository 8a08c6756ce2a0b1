"""Golden values of every network of models/ from PyTorch in float64.

Writes crates/kd-models/tests/fixtures/models.json and branches.json, {"torch": version, "networks": [...]}, a network and an
image size a line, and models_keys.json, the names and shapes of their tensors. README.md beside this file states them.

    python tools/models_golden.py                      writes the fixtures
    python tools/models_golden.py --upstream DIR       compares with published implementations, checked out in DIR as
                                                       owner+name or name, and with torchvision; prints a table
    python tools/models_golden.py --check FILE NAME    loads a safetensors file into the network NAME, which may end in
                                                       @channelsxsize, and compares it with the weights by formula
"""

import argparse
import json
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import formula
from models import NETWORKS, build
from models.branches import BRANCHED, build_branched

FIXTURES = Path(__file__).parent.parent / "crates/kd-models/tests/fixtures"
CLASSES = 10
LARGE = ("resnet8", "wrn_16_1", "vgg8", "mobilenet_v2", "shufflenet_v1", "shufflenet_v2", "resnet18", "densenet_40_12")
SMALL = ("lenet5", "alexnet")
WIDEST = ("wrn_28_10",)

# Millions of parameters and thousands of millions of operations: "Understanding the Success of Knowledge Distillation - A
# Data Augmentation Perspective", Tables 6 to 8. Its operations of grouped convolutions are divided by the groups twice, which
# gives 0.0116 and 0.0863 (Table 6), 0.0459 and 0.3449 (Table 7) for MobileNetV2 and ShuffleNetV2; here they are corrected.
PUBLISHED = {
    (100, 32): {
        "wrn_40_2": (2.2497, 0.6552),
        "wrn_16_2": (0.7015, 0.2022),
        "resnet56": (0.8574, 0.2515),
        "resnet20": (0.2768, 0.0816),
        "resnet32x4": (7.4239, 2.1661),
        "resnet8x4": (1.2308, 0.3541),
        "vgg13": (9.4563, 0.5699),
        "vgg8": (3.9621, 0.1924),
        "resnet50": (23.6521, 2.5960),
        "mobilenet_v2": (0.7945, 0.0130),
        "shufflenet_v2": (1.3393, 0.0890),
    },
    (200, 64): {
        "wrn_40_2": (2.2626, 2.6208),
        "wrn_16_2": (0.7144, 0.8089),
        "resnet56": (0.8639, 1.0060),
        "resnet20": (0.2833, 0.3265),
        "resnet32x4": (7.4496, 8.6642),
        "resnet8x4": (1.2565, 1.4165),
        "vgg13": (9.5076, 1.8263),
        "vgg8": (4.0134, 0.5428),
        "resnet50": (23.8570, 10.3833),
        "mobilenet_v2": (0.9226, 0.0517),
        "shufflenet_v2": (1.4418, 0.3556),
    },
    (1000, 224): {"imagenet/resnet34": (21.7806, 7.3275), "imagenet/resnet18": (11.6799, 3.6281)},
}


def cases():
    """(name, (channels, size), whether to train), in the order of the fixture."""
    for name in NETWORKS:
        if name in SMALL:
            yield from ((name, (1, 28), True), (name, (3, 32), True))
        elif name.startswith("imagenet/"):
            yield name, (3, 64), True
        else:
            yield name, (3, 32), True
            if name in LARGE:
                yield name, (3, 64), False


def options(name):
    """What differs from the published network: ImageNet's VGGs have 64 hidden units, and nothing drops out."""
    if name.startswith("imagenet/vgg"):
        return {"hidden": 64, "dropout": 0.0}
    return {"dropout": 0.0} if name == "imagenet/mobilenet_v2" else {}


def filled(name, input):
    model = build(name, CLASSES, input, **options(name))
    return formula.fill(model.double(), name, True, "in")


def filled_branched(name):
    return formula.fill(build_branched(name, 3, CLASSES).double(), name, True, "in")


def images(input, count):
    channels, size = input
    pixels = formula.pixels(0, count, size=size)
    return formula.normalise(pixels, formula.CIFAR)[:, :channels]


def digits(values):
    return [float(f"{v:.10g}") for v in values]


@cache
def weights(name, count):
    return torch.from_numpy(formula.uniform(name, count))


def digest(tensor, parts=2):
    flat = tensor.detach().flatten()
    sums = [(flat @ weights(f"digest{k}", len(flat))).item() for k in range(parts)]
    return digits([*sums, flat.norm().item()])


def counts(name, classes, input):
    """Weights and biases of convolutions and linear layers; all parameters; two operations for each of their multiplications."""
    with torch.device("meta"):
        model = build(name, classes, input).eval()
        image = torch.zeros(1, input[0], input[1], input[1])
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    flops = 0

    def count(layer, _, output):
        nonlocal flops
        flops += 2 * output.numel() * layer.weight[0].numel()

    for layer in layers:
        layer.register_forward_hook(count)
    model(image)
    return {
        "classes": classes,
        "image": [input[0], input[1], input[1]],
        "params": sum(p.numel() for layer in layers for p in layer.parameters()),
        "params_all": sum(p.numel() for p in model.parameters()),
        "flops": flops,
    }


def all_counts(name):
    if name in SMALL:
        return [counts(name, 10, (1, 28)), counts(name, 10, (3, 32))]
    if name.startswith("imagenet/"):
        return [counts(name, 1000, (3, 224))]
    sizes = [(100, 32)] if name.endswith("_mlp") else [(100, 32), (200, 64)]
    return [counts(name, classes, (3, size)) for classes, size in sizes]


def check_published(name, rows):
    for row in rows:
        published = PUBLISHED.get((row["classes"], row["image"][1]), {}).get(name)
        found = (round(row["params"] / 1e6, 4), round(row["flops"] / 1e9, 4))
        assert published in (None, found), (name, published, found)


def modules(model):
    """`path shape` of each layer that has a weight, in the order of the state dict; a convolution's bias is ` +bias`."""
    result = []
    for path, layer in model.named_modules():
        weight = getattr(layer, "weight", None)
        if weight is not None:
            biased = isinstance(layer, nn.Conv2d) and layer.bias is not None
            result.append(f"{path} {','.join(map(str, weight.shape))}{' +bias' if biased else ''}")
    return result


def keys(model):
    entries = sorted((key, list(tensor.shape)) for key, tensor in model.state_dict().items())
    text = "\n".join(f"{key} {shape}" for key, shape in entries)
    return {"count": len(entries), "digest": f"{formula.fnv1a(text):016x}"}


def evaluated(model, input):
    with torch.no_grad():
        out = model.eval().features(images(input, 2))
    logits = out.pop("logits")
    spread = (logits[0] - logits[1]).norm() / logits.norm()
    assert spread > 0.02 and 0.01 < logits.abs().mean() < 1e10, (spread, logits)
    taps = [[name, list(tap.shape), digest(tap)] for name, tap in out.items()]
    return {"taps": taps, "logits": digits(logits.flatten().tolist())}


def learned(model, loss):
    """The loss, its gradients, and the running statistics that the pass left; a shared tensor once."""
    loss.backward()
    statistics = {id(value): value for key, value in model.named_buffers() if "running" in key}
    return {
        "loss": digits([loss.item()])[0],
        "gradients": [digest(p.grad) for p in model.parameters()],
        "running": [digest(value, 1) for value in statistics.values()],
    }


def trained(name, model, input):
    count = 2 if name in WIDEST else 4 if name.startswith("imagenet/") else 8
    labels = torch.from_numpy(formula.labels(0, count)) % CLASSES
    loss = F.cross_entropy(model.train()(images(input, count)), labels)
    return {"images": count, **learned(model, loss)}


def golden(name, input, train):
    model = filled(name, input)
    row = {"network": name, "image": [input[0], input[1], input[1]], **options(name)}
    row.pop("dropout", None)
    if train:
        row["keys"] = keys(model)
    if input[1] == (28 if name in SMALL else 32) or name.startswith("imagenet/"):
        row["counts"] = all_counts(name)
        check_published(name, row["counts"])
    row["eval"] = evaluated(model, input)
    if train:
        row["train"] = trained(name, model, input)
    return row


def outputs(out):
    return [[name, list(value.shape), digest(value)] for name, value in out.items()]


def summed_cross_entropy(out, labels):
    """Of every column of the branches and of the ensemble, and of the leader."""
    logits = [value for name, value in out.items() if name in ("branches", "ensemble", "leader")]
    columns = [column for value in logits for column in value.reshape(*value.shape[:2], -1).unbind(2)]
    return sum(F.cross_entropy(column, labels) for column in columns)


def golden_branched(name):
    model = filled_branched(name)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    row = {"network": name, "image": [3, 32, 32], "branches": 3, "keys": keys(model)}
    with torch.no_grad():
        row["eval"] = {"outputs": outputs(model.eval()(images((3, 32), 2)))}
    out = model.train()(images((3, 32), 8))
    loss = summed_cross_entropy(out, torch.from_numpy(formula.labels(0, 8)) % CLASSES)
    return row | {"train": {"images": 8, "outputs": outputs(out), **learned(model, loss)}}


def write(path, lines):
    path.write_text(lines)
    print(f"{path}: {path.stat().st_size} bytes")


def line(value):
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def write_networks(path, rows):
    lines = ",\n".join(line(row) for row in rows)
    write(path, f'{{"torch":"{torch.__version__}","networks":[\n{lines}\n]}}\n')


def write_fixtures():
    write_networks(FIXTURES / "models.json", (golden(*case) for case in cases()))
    branched = [name for name in BRANCHED if "vgg19" not in name]
    write_networks(FIXTURES / "branches.json", (golden_branched(name) for name in branched))
    lists = {f"{name}@{input[0]}x{input[1]}": modules(filled(name, input)) for name, input, train in cases() if train}
    lists |= {f"{name}@3x32": modules(filled_branched(name)) for name in branched}
    lines = ",\n".join(f"{line(label)}:{line(layers)}" for label, layers in lists.items())
    write(FIXTURES / "models_keys.json", f"{{\n{lines}\n}}\n")


def check(file, label):
    """Compares the file with the formulas; a tensor that is missing, left over or misshapen raises."""
    from safetensors.torch import load_file

    name, _, shape = label.partition("@")
    if name in BRANCHED:
        expected, model = filled_branched(name).state_dict(), build_branched(name, 3, CLASSES).double()
    else:
        input = next(input for other, input, _ in cases() if other == name)
        if shape:
            input = tuple(int(n) for n in shape.split("x"))
        expected, model = filled(name, input).state_dict(), build(name, CLASSES, input, **options(name)).double()
    model.load_state_dict({key: value.double() for key, value in load_file(file).items()}, strict=True)
    found = model.state_dict()
    floats = [key for key, value in expected.items() if value.is_floating_point()]
    differences = {key: (found[key] - expected[key]).abs().max().item() for key in floats}
    wrong = {key: value for key, value in differences.items() if value != 0}
    for key, value in wrong.items():
        print(f"{key}: differs by up to {value:.3g}")
    print(f"{label}: {len(wrong)} of {len(floats)} tensors differ" if wrong else f"{label}: OK, {len(floats)} tensors")
    return not wrong


def main():
    parser = argparse.ArgumentParser(description="golden values of the networks")
    parser.add_argument(
        "--upstream", type=Path, help="folder of checkouts of published implementations to compare with"
    )
    parser.add_argument(
        "--check", nargs=2, metavar=("FILE", "NAME"), help="a safetensors file to compare with the formulas"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.upstream:
        from models import upstream

        print("\n".join(upstream.table(arguments.upstream, filled, filled_branched, images)))
    elif arguments.check:
        raise SystemExit(0 if check(*arguments.check) else 1)
    else:
        write_fixtures()


if __name__ == "__main__":
    main()
