"""Wide residual networks with pre-activation basic blocks, named as in RepDistiller."""

import torch.nn.functional as F
from torch import nn

from .parts import Network, conv, global_average


class Block(nn.Module):
    """BN, ReLU, 3x3, BN, ReLU, 3x3. Where the channels change the shortcut is a 1x1 convolution of the activated input."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(outputs, outputs)
        self.convShortcut = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x):
        active = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return y + (x if self.convShortcut is None else self.convShortcut(active))


class WideResNet(Network):
    def __init__(self, depth, factor, classes=10, channels=3):
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if rest:
            raise ValueError(f"depth {depth} is not 6n + 4")
        self.conv1 = conv(channels, 16)
        inputs = 16
        for stage in (1, 2, 3):
            outputs = 8 * 2**stage * factor
            chain = []
            for i in range(blocks):
                chain.append(Block(inputs, outputs, 2 if stage > 1 and i == 0 else 1))
                inputs = outputs
            setattr(self, f"block{stage}", nn.ModuleDict({"layer": nn.Sequential(*chain)}))
        self.bn1 = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs, classes)

    def features(self, x):
        """The stem and the stages before any batch norm or ReLU of what follows."""
        x = self.conv1(x)
        out = {"stem": x}
        for stage in (1, 2, 3):
            x = out[f"block{stage}"] = getattr(self, f"block{stage}")["layer"](x)
        out["pooled"] = global_average(F.relu(self.bn1(x)))
        out["logits"] = self.fc(out["pooled"])
        return out
