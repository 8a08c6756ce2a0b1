"""CIFAR residual networks in PyTorch, from the text of He et al., "Deep Residual Learning" (2015), Section 4.2.

A 3x3 stem, three stages of n = (depth - 2) / 6 basic blocks, global average pooling, a linear layer. Stages two and three
start with stride 2. Shortcuts where the shape changes: option "A" takes every second pixel and pads channels with zeros, half
before and half after; option "B" is a 1x1 convolution with batch normalisation. The names of the tensors are those of the
public checkpoints of each kind: `linear` with option A, `downsample.0`, `downsample.1` and `fc` with option B.
"""

import torch
import torch.nn.functional as F
from torch import nn

NARROW = (16, 16, 32, 64)
X4 = (32, 64, 128, 256)


def conv(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, option):
        super().__init__()
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.pad = (outputs - inputs) // 2
        self.stride = stride
        self.downsample = None
        if option == "B" and (stride != 1 or inputs != outputs):
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def shortcut(self, x):
        if self.downsample is not None:
            return self.downsample(x)
        if self.pad == 0:
            return x
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, depth, widths=NARROW, classes=10, option="B", channels=3):
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest:
            raise ValueError(f"depth {depth} is not 6n + 2")
        self.conv1 = conv(channels, widths[0], 3)
        self.bn1 = nn.BatchNorm2d(widths[0])
        inputs = widths[0]
        for stage in (1, 2, 3):
            chain = []
            for i in range(blocks):
                stride = 2 if stage > 1 and i == 0 else 1
                chain.append(Block(inputs, widths[stage], stride, option))
                inputs = widths[stage]
            setattr(self, f"layer{stage}", nn.Sequential(*chain))
        self.head = "linear" if option == "A" else "fc"
        setattr(self, self.head, nn.Linear(inputs, classes))

    def features(self, x):
        """Stem, the three stages (each after its last ReLU), the pooled embedding and the logits, by name."""
        out = {"stem": F.relu(self.bn1(self.conv1(x)))}
        x = out["stem"]
        for stage in (1, 2, 3):
            x = out[f"layer{stage}"] = getattr(self, f"layer{stage}")(x)
        out["pooled"] = x.mean(dim=(2, 3))
        out["logits"] = getattr(self, self.head)(out["pooled"])
        return out

    def forward(self, x):
        return self.features(x)["logits"]
