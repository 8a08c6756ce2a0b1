"""Post-activation residual networks other than the CIFAR ones of `../resnet.py`.

One class serves three layouts; their tensors are named as in the published code of each:

    CIFAR, 3x3 stem of 64      shortcut.0, shortcut.1, linear         RepDistiller resnetv2, Good-DA-in-KD
    ImageNet, 7x7 stem of 64   downsample.0, downsample.1, fc         torchvision
    CIFAR, 3x3 stem of 16      downsample.0, downsample.1, fc         OKDDip: ResNet-110 and WRN-20-8 of bottleneck blocks
"""

import torch.nn.functional as F
from torch import nn

from .parts import Network, conv, global_average


class Block(nn.Module):
    """Two 3x3 convolutions, or a bottleneck of 1x1, 3x3 (with the stride) and 1x1; ReLU after the sum."""

    def __init__(self, inputs, width, outputs, stride, bottleneck, shortcut):
        super().__init__()
        kernels = [(1, inputs, width, 1), (3, width, width, stride), (1, width, outputs, 1)]
        if not bottleneck:
            kernels = [(3, inputs, width, stride), (3, width, outputs, 1)]
        for i, (kernel, before, after, step) in enumerate(kernels, 1):
            setattr(self, f"conv{i}", conv(before, after, kernel, step))
            setattr(self, f"bn{i}", nn.BatchNorm2d(after))
        self.count = len(kernels)
        self.name = shortcut
        setattr(self, shortcut, nn.Sequential())
        if stride != 1 or inputs != outputs:
            setattr(self, shortcut, nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)))

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.count:
                y = F.relu(y)
        return F.relu(y + getattr(self, self.name)(x))


class ResidualNet(Network):
    """`widths`: of the 3x3 convolutions of each stage; a bottleneck block puts out 4 * width / `wider` channels."""

    def __init__(self, stem, widths, blocks, bottleneck, names, classes=10, channels=3, imagenet=False, wider=1):
        super().__init__()
        shortcut, self.head = names
        self.conv1 = conv(channels, stem, 7, 2) if imagenet else conv(channels, stem)
        self.bn1 = nn.BatchNorm2d(stem)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if imagenet else nn.Identity()
        self.stages = [f"layer{i}" for i in range(1, len(widths) + 1)]
        inputs = stem
        for i, (name, width, count) in enumerate(zip(self.stages, widths, blocks)):
            outputs = 4 * width // wider if bottleneck else width
            chain = []
            for j in range(count):
                stride = 2 if i > 0 and j == 0 else 1
                chain.append(Block(inputs, width, outputs, stride, bottleneck, shortcut))
                inputs = outputs
            setattr(self, name, nn.Sequential(*chain))
        setattr(self, self.head, nn.Linear(inputs, classes))

    def features(self, x):
        out = {"stem": F.relu(self.bn1(self.conv1(x)))}
        x = self.maxpool(out["stem"])
        for name in self.stages:
            x = out[name] = getattr(self, name)(x)
        out["pooled"] = global_average(x)
        out["logits"] = getattr(self, self.head)(out["pooled"])
        return out


WIDTHS = (64, 128, 256, 512)
DEPTHS = {18: ((2, 2, 2, 2), False), 34: ((3, 4, 6, 3), False), 50: ((3, 4, 6, 3), True)}


def cifar(depth, classes, channels):
    blocks, bottleneck = DEPTHS[depth]
    return ResidualNet(64, WIDTHS, blocks, bottleneck, ("shortcut", "linear"), classes, channels)


def imagenet(depth, classes, channels):
    blocks, bottleneck = DEPTHS[depth]
    return ResidualNet(64, WIDTHS, blocks, bottleneck, ("downsample", "fc"), classes, channels, imagenet=True)


def online(blocks, wider, classes, channels):
    """OKDDip's bottleneck networks: outputs 64, 128, 256; `wider` widens the inner convolutions only."""
    widths = tuple(wider * width for width in (16, 32, 64))
    return ResidualNet(16, widths, (blocks,) * 3, True, ("downsample", "fc"), classes, channels, wider=wider)
