"""VGG networks in three layouts, named as in the published code of each.

CIFAR       block0 ... block4, classifier                        RepDistiller: one linear layer after global pooling
ImageNet    features, classifier.0, classifier.3, classifier.6   torchvision
online      conv1, bn1, conv2, bn2, layer1 ... layer4,           OKDDip: three linear layers on 512 features
            classifier.0, classifier.3, classifier.6
"""

import torch.nn.functional as F
from torch import nn

from .parts import Network, conv, global_average

COUNTS = {8: (1, 1, 1, 1, 1), 11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)


def convolutions(inputs, outputs, count, norm):
    """`count` times a 3x3 convolution with bias, batch norm if `norm`, ReLU."""
    layers = []
    for _ in range(count):
        layers.append(conv(inputs, outputs, bias=True))
        layers += [nn.BatchNorm2d(outputs)] if norm else []
        layers.append(nn.ReLU())
        inputs = outputs
    return layers


def perceptron(inputs, hidden, classes, dropout):
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, classes),
    )


class CifarVgg(Network):
    def __init__(self, depth, norm=True, classes=10, channels=3):
        super().__init__()
        inputs = channels
        for i, (width, count) in enumerate(zip(WIDTHS, COUNTS[depth])):
            setattr(self, f"block{i}", nn.Sequential(*convolutions(inputs, width, count, norm)[:-1]))
            inputs = width
        self.classifier = nn.Linear(inputs, classes)

    def features(self, x):
        """Each block after its last ReLU. A 2x2 maximum follows blocks 0, 1, 2, and 3 only if the image has 64 rows."""
        large = x.shape[2] == 64
        out = {}
        for i in range(5):
            x = out[f"block{i}"] = F.relu(getattr(self, f"block{i}")(x))
            if i < 3 or (i == 3 and large):
                x = F.max_pool2d(x, 2)
        out["pooled"] = global_average(x)
        out["logits"] = self.classifier(out["pooled"])
        return out


class ImagenetVgg(Network):
    def __init__(self, depth, norm, classes=10, channels=3, hidden=4096, dropout=0.5):
        super().__init__()
        layers = []
        inputs = channels
        self.ends = []
        for width, count in zip(WIDTHS, COUNTS[depth]):
            layers += convolutions(inputs, width, count, norm)
            self.ends.append(len(layers))
            layers.append(nn.MaxPool2d(2, 2))
            inputs = width
        self._modules["features"] = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = perceptron(49 * inputs, hidden, classes, dropout)

    def features(self, x):
        """Each block after its last ReLU, the 7x7 maps in a row, the last hidden layer."""
        out = {}
        for i, layer in enumerate(self._modules["features"], 1):
            x = layer(x)
            if i in self.ends:
                out[f"block{self.ends.index(i)}"] = x
        out["flat"] = self.avgpool(x).flatten(1)
        out["hidden"] = self.classifier[:6](out["flat"])
        out["logits"] = self.classifier[6](out["hidden"])
        return out


class OnlineVgg(Network):
    def __init__(self, depth, classes=10, channels=3, dropout=0.0):
        super().__init__()
        self.conv1 = conv(channels, 64, bias=True)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = conv(64, 64, bias=True)
        self.bn2 = nn.BatchNorm2d(64)
        inputs = 64
        for i in (1, 2, 3, 4):
            layers = convolutions(inputs, WIDTHS[i], COUNTS[depth][i], True)
            setattr(self, f"layer{i}", nn.Sequential(*layers, nn.MaxPool2d(2, 2)))
            inputs = WIDTHS[i]
        self.classifier = perceptron(512, 512, classes, dropout)

    def features(self, x):
        """The first two convolutions, each layer before its pooling, the pooled maps in a row, the last hidden layer."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        out = {"stem": x}
        x = F.max_pool2d(x, 2)
        for i in (1, 2, 3, 4):
            layers = getattr(self, f"layer{i}")
            out[f"layer{i}"] = layers[:-1](x)
            x = layers[-1](out[f"layer{i}"])
        out["flat"] = x.flatten(1)
        out["hidden"] = self.classifier[:6](out["flat"])
        out["logits"] = self.classifier[6](out["hidden"])
        return out
