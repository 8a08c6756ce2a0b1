"""ShuffleNet for CIFAR with three groups, named as in RepDistiller."""

import torch.nn.functional as F
from torch import nn

from .parts import Network, cat, conv, depthwise, global_average, shuffle

GROUPS = 3
STAGES = ((240, 4), (480, 8), (960, 4))


class Block(nn.Module):
    """Grouped 1x1, BN, ReLU, shuffle, depthwise 3x3, BN, ReLU, grouped 1x1, BN; then ReLU of the sum with the input, or,
    with stride 2, of the concatenation with the input's 3x3 average (zeros outside the image are averaged in)."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        inner = outputs // 4
        self.groups = 1 if inputs == 24 else GROUPS
        self.stride = stride
        self.conv1 = conv(inputs, inner, 1, groups=self.groups)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = depthwise(inner, stride)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = conv(inner, outputs, 1, groups=GROUPS)
        self.bn3 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        y = shuffle(F.relu(self.bn1(self.conv1(x))), self.groups)
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(cat(y, F.avg_pool2d(x, 3, 2, padding=1)) if self.stride == 2 else y + x)


class ShuffleNetV1(Network):
    def __init__(self, classes=10, channels=3):
        super().__init__()
        self.conv1 = conv(channels, 24, 1)
        self.bn1 = nn.BatchNorm2d(24)
        inputs = 24
        for i, (outputs, count) in enumerate(STAGES, 1):
            chain = [Block(inputs, outputs - inputs, 2)]
            chain += [Block(outputs, outputs, 1) for _ in range(count - 1)]
            setattr(self, f"layer{i}", nn.Sequential(*chain))
            inputs = outputs
        self.linear = nn.Linear(inputs, classes)

    def features(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        out = {"stem": x}
        for i in (1, 2, 3):
            x = out[f"layer{i}"] = getattr(self, f"layer{i}")(x)
        out["pooled"] = global_average(x)
        out["logits"] = self.linear(out["pooled"])
        return out
