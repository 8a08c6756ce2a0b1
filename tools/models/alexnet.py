"""AlexNet for CIFAR, named as in bearpaw/pytorch-classification: one linear layer on 256 features."""

from torch import nn

from .parts import Network


class AlexNet(Network):
    """For 32x32 images; at 28x28 the first convolution pads by 2 more, and the rest is the same."""

    def __init__(self, classes=10, channels=3, size=32):
        super().__init__()
        self._modules["features"] = nn.Sequential(
            nn.Conv2d(channels, 64, 11, 4, padding=5 + (32 - size) // 2),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
        )
        self.classifier = nn.Linear(256, classes)

    def features(self, x):
        """The convolutions after ReLU, before any maximum, and the 256 features."""
        out = {}
        for layer in self._modules["features"]:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                out[f"conv{len(out) + 1}"] = x
        out["flat"] = x.flatten(1)
        out["logits"] = self.classifier(out["flat"])
        return out
