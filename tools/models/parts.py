"""What the families share."""

import torch
from torch import nn


class Network(nn.Module):
    """A network whose method `features` returns its taps and its logits by name.

    Some published networks have a module called `features`; it stands in `_modules` under that name.
    """

    def forward(self, x):
        return self.features(x)["logits"]


def conv(inputs, outputs, kernel=3, stride=1, groups=1, bias=False):
    """A convolution padded so that stride 1 keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=bias)


def depthwise(channels, stride=1):
    return conv(channels, channels, 3, stride, groups=channels)


def global_average(x):
    return x.mean(dim=(2, 3))


def shuffle(x, groups):
    """Channel c of the result is channel (c mod groups) * (C / groups) + c / groups."""
    batch, channels, height, width = x.shape
    split = x.reshape(batch, groups, channels // groups, height, width)
    return split.transpose(1, 2).reshape(x.shape)


def cat(*tensors):
    return torch.cat(tensors, dim=1)
