"""LeNet-5 with ReLU and maxima, named as in kuangliu/pytorch-cifar."""

import torch.nn.functional as F
from torch import nn

from .parts import Network


class LeNet5(Network):
    """For 32x32 images; at 28x28 the first convolution pads by 2, and the rest is the same."""

    def __init__(self, classes=10, channels=1, size=28):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, 5, padding=(32 - size) // 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def features(self, x):
        """The convolutions before their 2x2 maxima and the two hidden layers, all after ReLU."""
        out = {"conv1": F.relu(self.conv1(x))}
        out["conv2"] = F.relu(self.conv2(F.max_pool2d(out["conv1"], 2)))
        out["fc1"] = F.relu(self.fc1(F.max_pool2d(out["conv2"], 2).flatten(1)))
        out["fc2"] = F.relu(self.fc2(out["fc1"]))
        out["logits"] = self.fc3(out["fc2"])
        return out
