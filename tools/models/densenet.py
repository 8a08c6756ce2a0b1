"""DenseNet-BC for CIFAR, named as in OKDDip and in torchvision but for the last norm."""

import torch.nn.functional as F
from torch import nn

from .parts import Network, cat, conv, global_average


class Layer(nn.Module):
    """BN, ReLU, 1x1 to 4 * growth, BN, ReLU, 3x3 to growth channels; they follow the input's."""

    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv(inputs, 4 * growth, 1)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = conv(4 * growth, growth)

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        return cat(x, self.conv2(F.relu(self.norm2(y))))


class Transition(nn.Module):
    """BN, ReLU, 1x1 to half the channels, 2x2 average."""

    def __init__(self, inputs):
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = conv(inputs, inputs // 2, 1)

    def forward(self, x):
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2)


class DenseNet(Network):
    def __init__(self, layers, growth=12, classes=10, channels=3):
        super().__init__()
        body = {"conv0": conv(channels, 2 * growth)}
        inputs = 2 * growth
        for block in (1, 2, 3):
            chain = nn.Sequential()
            for i in range(1, layers + 1):
                chain.add_module(f"denselayer{i}", Layer(inputs, growth))
                inputs += growth
            body[f"denseblock{block}"] = chain
            if block < 3:
                body[f"transition{block}"] = Transition(inputs)
                inputs //= 2
        body["norm_final"] = nn.BatchNorm2d(inputs)
        self._modules["features"] = nn.ModuleDict(body)
        self.classifier = nn.Linear(inputs, classes)

    def features(self, x):
        """The stem, a convolution alone, and the blocks as they leave their last concatenation."""
        body = self._modules["features"]
        x = body["conv0"](x)
        out = {"stem": x}
        for block in (1, 2, 3):
            x = out[f"denseblock{block}"] = body[f"denseblock{block}"](x)
            if block < 3:
                x = body[f"transition{block}"](x)
        out["pooled"] = global_average(F.relu(body["norm_final"](x)))
        out["logits"] = self.classifier(out["pooled"])
        return out
