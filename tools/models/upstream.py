"""Compares the networks here with published implementations, run as they are, with the same weights on the same images."""

from collections import namedtuple
from functools import partial

import torch

from losses.checkouts import Sources, on_cpu

from . import NETWORKS

# `make` builds the published network for 10 classes, `run` returns its taps by name with its logits.
Row = namedtuple("Row", "name input source make run")
Row.__new__.__defaults__ = (None,)

RESIDUAL = {f"layer{i}": f"layer{i}" for i in (1, 2, 3, 4)}
SHUFFLE = {"stem": "conv1", "stage2": "stage2", "stage3": "stage3", "stage4": "stage4", "pooled": "<fc"}
MOBILE = {"stem": 0, "blocks1": 3, "blocks2": 6, "blocks4": 13, "blocks6": 17}


def logits_only(model, x, ours):
    return {"logits": model(x)}


def listed(model, x, ours):
    """RepDistiller's: a list of the taps in order, and the logits."""
    taps, logits = model(x, is_feat=True, preact=False)
    return dict(zip(ours, [*taps, logits], strict=True))


def paired(tap):
    """OKDDip's: the features of this tap, and the logits."""
    return lambda model, x, ours: dict(zip((tap, "logits"), model(x)))


def keep(out, tap, tensor):
    """A copy: what follows may write into the tensor."""
    out[tap] = tensor.clone()


def hooked(modules):
    """Outputs of modules by path, or the input of the one whose path follows a <."""

    def run(model, x, ours):
        out, hooks = {}, []
        for tap, path in modules.items():
            module = model.get_submodule(path.removeprefix("<"))
            if path.startswith("<"):
                hooks.append(module.register_forward_pre_hook(lambda _, inputs, tap=tap: keep(out, tap, inputs[0])))
            else:
                hooks.append(module.register_forward_hook(lambda _, __, output, tap=tap: keep(out, tap, output)))
        out["logits"] = model(x)
        for hook in hooks:
            hook.remove()
        return out

    return run


def rep_distiller(up):
    def module(file):
        return up.module("RepDistiller", f"models/{file}")

    functions = {
        **{f"resnet{d}": ("resnet", f"resnet{d}") for d in (8, 14, 20, 32, 44, 56, 110)},
        **{f"resnet{d}x4": ("resnet", f"resnet{d}x4") for d in (8, 32)},
        **{f"resnet{d}": ("resnetv2", f"ResNet{d}") for d in (18, 34, 50)},
        **{f"wrn_{w}": ("wrn", f"wrn_{w}") for w in ("16_1", "16_2", "40_1", "40_2")},
        **{f"vgg{d}": ("vgg", f"vgg{d}_bn") for d in (8, 11, 13, 16, 19)},
        "mobilenet_v2": ("mobilenetv2", "mobile_half"),
        "shufflenet_v1": ("ShuffleNetv1", "ShuffleV1"),
        "shufflenet_v2": ("ShuffleNetv2", "ShuffleV2"),
    }
    makes = {
        name: lambda file=file, function=function: getattr(module(file), function)(num_classes=10)
        for name, (file, function) in functions.items()
    }
    makes["wrn_28_10"] = lambda: module("wrn").WideResNet(28, 10, 10)
    makes["mobilenet_v2_x1_0"] = lambda: module("mobilenetv2").mobilenetv2_T_w(6, 1.0, 10)
    for size in (0.3, 0.5, 1.5):
        name = f"shufflenet_v2_x{size}".replace(".", "_")
        makes[name] = lambda size=size: module("ShuffleNetv2").ShuffleNetV2(size, 10)
    return [Row(name, (3, 32), "RepDistiller", make, listed) for name, make in makes.items()]


def good_da(up):
    """The same networks at 64x64, which RepDistiller's do not take."""
    functions = {
        "resnet8": ("resnet", "resnet8"),
        "resnet18": ("resnetv2", "ResNet18"),
        "wrn_16_1": ("wrn", "wrn_16_1"),
        "vgg8": ("vgg", "vgg8_bn"),
        "mobilenet_v2": ("mobilenetv2", "mobile_half"),
        "shufflenet_v2": ("ShuffleNetv2", "ShuffleV2"),
    }

    def make(file, function):
        return lambda: getattr(up.module("Good-DA-in-KD", f"models/{file}"), function)(num_classes=10, img_size=64)

    rows = [Row(name, (3, 64), "Good-DA-in-KD", make(*function), listed) for name, function in functions.items()]
    imagenet = make("resnet_imagenet", "resnet18")
    return [*rows, Row("imagenet/resnet18", (3, 64), "Good-DA-in-KD", imagenet, listed)]


def mdistiller(up):
    functions = {
        "resnet56": ("resnet", "resnet56"),
        "resnet8x4": ("resnet", "resnet8x4"),
        "resnet18": ("resnetv2", "ResNet18"),
        "wrn_40_2": ("wrn", "wrn_40_2"),
        "vgg8": ("vgg", "vgg8_bn"),
        "mobilenet_v2": ("mobilenetv2", "mobile_half"),
        "shufflenet_v1": ("ShuffleNetv1", "ShuffleV1"),
        "shufflenet_v2": ("ShuffleNetv2", "ShuffleV2"),
    }

    def make(file, function):
        return lambda: getattr(up.module("mdistiller", f"mdistiller/models/cifar/{file}"), function)(num_classes=10)

    def run(model, x, ours):
        return {"logits": model(x)[0]}

    return [Row(name, (3, 32), "mdistiller", make(*function), run) for name, function in functions.items()]


def okddip(up):
    functions = {
        "resnet32": ("resnet", "resnet32", "pooled"),
        "resnet110_bottleneck": ("resnet", "resnet110", "pooled"),
        "wrn_20_8": ("resnet", "wide_resnet20_8", "pooled"),
        "densenet_40_12": ("densenet", "densenetd40k12", "pooled"),
        "densenet_bc_100_12": ("densenet", "densenetd100k12", "pooled"),
        "vgg16_mlp": ("vgg", "vgg16", "flat"),
        "vgg19_mlp": ("vgg", "vgg19", "flat"),
    }

    def make(file, function):
        return lambda: getattr(up.module("OKDDip", f"models/model_cifar/{file}"), function)(num_classes=10, KD=True)

    return [
        Row(name, (3, 32), "OKDDip", make(file, function), paired(tap))
        for name, (file, function, tap) in functions.items()
    ]


def small(up):
    alexnet = {f"conv{i}": f"features.{at}" for i, at in enumerate((1, 4, 7, 9, 11), 1)} | {"flat": "<classifier"}
    lenet = {"fc1": "<fc2", "fc2": "<fc3"}

    def make(name, path, function):
        return lambda: getattr(up.module(name, path), function)()

    return [
        Row(
            "alexnet",
            (3, 32),
            "pytorch-classification",
            make("pytorch-classification", "models/cifar/alexnet", "alexnet"),
            hooked(alexnet),
        ),
        Row(
            "alexnet",
            (3, 32),
            "Teacher-free-Knowledge-Distillation",
            lambda: up.module("Teacher-free-Knowledge-Distillation", "model/alexnet").alexnet(num_classes=10),
            hooked(alexnet),
        ),
        Row("lenet5", (3, 32), "pytorch-cifar", make("pytorch-cifar", "models/lenet", "LeNet"), hooked(lenet)),
        *(
            Row(
                f"resnet{d}",
                (3, 32),
                "pytorch-cifar",
                make("pytorch-cifar", "models/resnet", f"ResNet{d}"),
                logits_only,
            )
            for d in (18, 34, 50)
        ),
    ]


def torchvision(up):
    import torchvision.models as published
    from torchvision.models.vgg import VGG, cfgs, make_layers

    def vgg(depth, norm):
        letter = {11: "A", 13: "B", 16: "D", 19: "E"}[depth]
        model = VGG(make_layers(cfgs[letter], norm), num_classes=10, init_weights=False)
        for i, (inputs, outputs) in {0: (25088, 64), 3: (64, 64), 6: (64, 10)}.items():
            model.classifier[i] = torch.nn.Linear(inputs, outputs)
        return model

    def vgg_taps(depth, norm):
        layers = list(vgg(depth, norm).features)
        pools = [i for i, layer in enumerate(layers) if isinstance(layer, torch.nn.MaxPool2d)]
        return {f"block{k}": f"features.{at - 1}" for k, at in enumerate(pools)} | {
            "flat": "<classifier",
            "hidden": "<classifier.6",
        }

    rows = [
        *(
            (
                f"resnet{d}",
                lambda d=d: getattr(published, f"resnet{d}")(num_classes=10),
                {"stem": "relu", "pooled": "<fc"} | RESIDUAL,
            )
            for d in (18, 34, 50)
        ),
        *(
            (f"vgg{d}{'_bn' if norm else ''}", lambda d=d, norm=norm: vgg(d, norm), vgg_taps(d, norm))
            for d in (11, 13, 16, 19)
            for norm in (False, True)
        ),
        (
            "mobilenet_v2",
            lambda: published.mobilenet_v2(num_classes=10),
            {tap: f"features.{at}" for tap, at in MOBILE.items()} | {"pooled": "<classifier.1"},
        ),
        *(
            (f"shufflenet_v2_x{w}", lambda w=w: getattr(published, f"shufflenet_v2_x{w}")(num_classes=10), SHUFFLE)
            for w in ("0_5", "1_0", "1_5")
        ),
    ]
    return [Row(f"imagenet/{name}", (3, 64), "torchvision", make, hooked(taps)) for name, make, taps in rows]


def branched(up):
    """(name, published network, names of its outputs)."""
    published = {
        "resnet32": ("resnet", "resnet32", 64),
        "resnet110_bottleneck": ("resnet", "resnet110", 256),
        "wrn_20_8": ("resnet", "wide_resnet20_8", 256),
        "vgg16_mlp": ("vgg", "vgg16", None),
        "vgg19_mlp": ("vgg", "vgg19", None),
        "densenet_40_12": ("densenet", "densenetd40k12", None),
    }

    def make(file, function, **options):
        module = up.module("OKDDip", f"models/model_cifar/{file}")
        return getattr(module, function)(num_classes=10, num_branches=3, **options)

    for name, (file, function, embedded) in published.items():
        options = {} if embedded is None else {"input_channel": embedded}
        yield f"one/{name}", partial(make, f"{file}_one", function), ("branches", "ensemble")
        if name != "densenet_40_12":
            make_peers = partial(make, f"{file}_GL", function, **options)
            yield f"okddip/{name}", make_peers, ("branches", "ensemble", "leader")


def compare_branched(name, make, outputs, filled, images):
    ours = filled(name)
    x = images((3, 32), 4)
    with on_cpu(), torch.no_grad():
        theirs = make().double()
        same = shapes(ours.state_dict()) == shapes(theirs.state_dict())
        theirs.load_state_dict(ours.state_dict(), strict=True)
        without_dropout(ours, theirs)
        differences = []
        for mode in (False, True):
            found, expected = dict(zip(outputs, theirs.train(mode)(x))), ours.train(mode)(x)
            differences.append(max(relative(expected[key], found[key]) for key in outputs))
    return same, differences


def shapes(state):
    return [(key, value.shape) for key, value in state.items()]


def without_dropout(*models):
    for model in models:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0


def relative(ours, theirs):
    if ours.shape != theirs.shape:
        return float("inf")
    return ((ours - theirs).abs().max() / ours.abs().max()).item()


def compare(row, filled, images):
    """Whether the keys are equal in order and shape; the largest relative differences of the logits, in evaluation and in
    training mode without dropout, and of the taps."""
    ours = filled(row.name, row.input).eval()
    x = images(row.input, 4)
    with on_cpu(), torch.no_grad():
        theirs = row.make().double().eval()
        same = shapes(ours.state_dict()) == shapes(theirs.state_dict())
        theirs.load_state_dict(ours.state_dict(), strict=True)
        expected = ours.features(x)
        found = row.run(theirs, x, list(expected))
        without_dropout(theirs)
        training = relative(ours.train()(x), row.run(theirs.train(), x, list(expected))["logits"])
    differences = {name: relative(expected[name], tap) for name, tap in found.items()}
    logits = differences.pop("logits")
    return same, logits, training, len(differences), max(differences.values(), default=0.0)


def table(root, filled, filled_branched, images):
    """Lines of a Markdown table."""
    up = Sources(root)
    result = [
        "| network | image | implementation | keys | logits | in training | taps | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    compared = set()
    for make in (rep_distiller, good_da, mdistiller, okddip, small, torchvision):
        for row in make(up):
            image = f"{row.input[0]}x{row.input[1]}x{row.input[1]}"
            line = f"| {row.name} | {image} | {row.source} |"
            try:
                same, logits, training, count, taps = compare(row, filled, images)
            except FileNotFoundError as error:
                result.append(f"{line} | | | | not compared: {error} |")
                continue
            compared.add(row.name)
            result.append(
                f"{line} {'equal' if same else 'other order'} | {logits:.1e} | {training:.1e} | {taps:.1e} of {count} | |"
            )
    try:
        for name, make, outputs in branched(up):
            same, (logits, training) = compare_branched(name, make, outputs, filled_branched, images)
            keys = "equal" if same else "other order"
            result.append(f"| {name} | 3x32x32 | OKDDip | {keys} | {logits:.1e} | {training:.1e} | | |")
    except FileNotFoundError as error:
        result.append(f"| one/..., okddip/... | 3x32x32 | OKDDip | | | | | not compared: {error} |")
    return result + [f"| {name} | | | | | | | not compared |" for name in NETWORKS if name not in compared]
