"""ShuffleNetV2 for CIFAR, named as in RepDistiller, and for ImageNet, named as in torchvision."""

import torch.nn.functional as F
from torch import nn

from .parts import Network, cat, conv, depthwise, global_average, shuffle

# Channels of the three stages and of the last convolution.
WIDTHS = {
    "0.3": (40, 80, 160, 512),
    "0.5": (48, 96, 192, 1024),
    "1": (116, 232, 464, 1024),
    "1.5": (176, 352, 704, 1024),
}
BLOCKS = (4, 8, 4)


class Keep(nn.Module):
    """The second half of the channels through 1x1, depthwise 3x3 and 1x1; then both halves shuffled."""

    def __init__(self, channels):
        super().__init__()
        self.half = channels // 2
        self.conv1 = conv(self.half, self.half, 1)
        self.bn1 = nn.BatchNorm2d(self.half)
        self.conv2 = depthwise(self.half)
        self.bn2 = nn.BatchNorm2d(self.half)
        self.conv3 = conv(self.half, self.half, 1)
        self.bn3 = nn.BatchNorm2d(self.half)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x[:, self.half :])))
        y = F.relu(self.bn3(self.conv3(self.bn2(self.conv2(y)))))
        return shuffle(cat(x[:, : self.half], y), 2)


class Halve(nn.Module):
    """All channels through two branches of half the outputs each; the depthwise convolutions have stride 2."""

    def __init__(self, inputs, outputs):
        super().__init__()
        half = outputs // 2
        self.conv1 = depthwise(inputs, 2)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = conv(inputs, half, 1)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = conv(inputs, half, 1)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv4 = depthwise(half, 2)
        self.bn4 = nn.BatchNorm2d(half)
        self.conv5 = conv(half, half, 1)
        self.bn5 = nn.BatchNorm2d(half)

    def forward(self, x):
        left = F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = self.bn4(self.conv4(F.relu(self.bn3(self.conv3(x)))))
        return shuffle(cat(left, F.relu(self.bn5(self.conv5(right)))), 2)


class CifarShuffleNetV2(Network):
    def __init__(self, width, classes=10, channels=3):
        super().__init__()
        *stages, last = WIDTHS[width]
        self.conv1 = conv(channels, 24, 1)
        self.bn1 = nn.BatchNorm2d(24)
        inputs = 24
        for i, (outputs, count) in enumerate(zip(stages, BLOCKS), 1):
            setattr(
                self, f"layer{i}", nn.Sequential(Halve(inputs, outputs), *(Keep(outputs) for _ in range(count - 1)))
            )
            inputs = outputs
        self.conv2 = conv(inputs, last, 1)
        self.bn2 = nn.BatchNorm2d(last)
        self.linear = nn.Linear(last, classes)

    def features(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        out = {"stem": x}
        for i in (1, 2, 3):
            x = out[f"layer{i}"] = getattr(self, f"layer{i}")(x)
        out["pooled"] = global_average(F.relu(self.bn2(self.conv2(x))))
        out["logits"] = self.linear(out["pooled"])
        return out


class ImagenetBlock(nn.Module):
    """The same two blocks under torchvision's names."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        half = outputs // 2
        self.half = half
        self.branch1 = nn.Sequential()
        if stride == 2:
            layers = [
                depthwise(inputs, 2),
                nn.BatchNorm2d(inputs),
                conv(inputs, half, 1),
                nn.BatchNorm2d(half),
                nn.ReLU(),
            ]
            self.branch1 = nn.Sequential(*layers)
        self.branch2 = nn.Sequential(
            conv(inputs if stride == 2 else half, half, 1),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            depthwise(half, stride),
            nn.BatchNorm2d(half),
            conv(half, half, 1),
            nn.BatchNorm2d(half),
            nn.ReLU(),
        )

    def forward(self, x):
        if len(self.branch1) > 0:
            return shuffle(cat(self.branch1(x), self.branch2(x)), 2)
        return shuffle(cat(x[:, : self.half], self.branch2(x[:, self.half :])), 2)


class ImagenetShuffleNetV2(Network):
    def __init__(self, width, classes=10, channels=3):
        super().__init__()
        *stages, last = WIDTHS[width]
        self.conv1 = nn.Sequential(conv(channels, 24, 3, 2), nn.BatchNorm2d(24), nn.ReLU())
        inputs = 24
        for i, (outputs, count) in enumerate(zip(stages, BLOCKS), 2):
            chain = [ImagenetBlock(inputs, outputs, 2)] + [ImagenetBlock(outputs, outputs, 1) for _ in range(count - 1)]
            setattr(self, f"stage{i}", nn.Sequential(*chain))
            inputs = outputs
        self.conv5 = nn.Sequential(conv(inputs, last, 1), nn.BatchNorm2d(last), nn.ReLU())
        self.fc = nn.Linear(last, classes)

    def features(self, x):
        """The stem before its 3x3 maximum, the stages, the embedding."""
        x = self.conv1(x)
        out = {"stem": x}
        x = F.max_pool2d(x, 3, 2, padding=1)
        for i in (2, 3, 4):
            x = out[f"stage{i}"] = getattr(self, f"stage{i}")(x)
        out["pooled"] = global_average(self.conv5(x))
        out["logits"] = self.fc(out["pooled"])
        return out
