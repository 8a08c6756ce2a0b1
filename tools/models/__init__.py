"""The networks by name: `build(name, classes, input)`, `input` being (channels, size).

Each has `features(x)`: its taps by name, from the input to the classifying layer, and then the `logits`. The last tap is
what the classifying layer reads. Names of tensors are those of the published implementation that a file's docstring states.
"""

from resnet import NARROW, X4, ResNet

from . import alexnet, densenet, lenet, mobilenet_v2, residual, shufflenet_v1, shufflenet_v2, vgg, wrn

DEPTHS = (8, 14, 20, 32, 44, 56, 110)
RGB = (3, 32)


def sized(make):
    return lambda classes, input, **options: make(classes=classes, channels=input[0], size=input[1], **options)


def unsized(make, *arguments):
    """Networks that take images of several sizes."""
    return lambda classes, input, **options: make(*arguments, classes=classes, channels=input[0], **options)


NETWORKS = {
    **{f"resnet{depth}": unsized(ResNet, depth, NARROW) for depth in DEPTHS},
    **{f"resnet{depth}x4": unsized(ResNet, depth, X4) for depth in (8, 32)},
    **{f"resnet{depth}": unsized(residual.cifar, depth) for depth in (18, 34, 50)},
    **{
        f"wrn_{depth}_{factor}": unsized(wrn.WideResNet, depth, factor)
        for depth, factor in ((16, 1), (16, 2), (40, 1), (40, 2), (28, 10))
    },
    "wrn_20_8": unsized(residual.online, 2, 8),
    "resnet110_bottleneck": unsized(residual.online, 12, 1),
    "densenet_40_12": unsized(densenet.DenseNet, 6),
    "densenet_bc_100_12": unsized(densenet.DenseNet, 16),
    **{f"vgg{depth}": unsized(vgg.CifarVgg, depth) for depth in vgg.COUNTS},
    **{f"vgg{depth}_mlp": unsized(vgg.OnlineVgg, depth) for depth in (16, 19)},
    "mobilenet_v2": unsized(mobilenet_v2.CifarMobileNetV2, 0.5),
    "mobilenet_v2_x1_0": unsized(mobilenet_v2.CifarMobileNetV2, 1.0),
    "shufflenet_v1": unsized(shufflenet_v1.ShuffleNetV1),
    "shufflenet_v2": unsized(shufflenet_v2.CifarShuffleNetV2, "1"),
    **{
        f"shufflenet_v2_x{w.replace('.', '_')}": unsized(shufflenet_v2.CifarShuffleNetV2, w)
        for w in ("0.3", "0.5", "1.5")
    },
    "lenet5": sized(lenet.LeNet5),
    "alexnet": sized(alexnet.AlexNet),
    **{f"imagenet/resnet{depth}": unsized(residual.imagenet, depth) for depth in (18, 34, 50)},
    **{f"imagenet/vgg{depth}": unsized(vgg.ImagenetVgg, depth, False) for depth in (11, 13, 16, 19)},
    **{f"imagenet/vgg{depth}_bn": unsized(vgg.ImagenetVgg, depth, True) for depth in (11, 13, 16, 19)},
    "imagenet/mobilenet_v2": unsized(mobilenet_v2.ImagenetMobileNetV2),
    **{
        f"imagenet/shufflenet_v2_x{w.replace('.', '_')}": unsized(shufflenet_v2.ImagenetShuffleNetV2, width)
        for width, w in (("0.5", "0.5"), ("1", "1.0"), ("1.5", "1.5"))
    },
}


def build(name, classes=10, input=RGB, **options):
    return NETWORKS[name](classes, input, **options)
