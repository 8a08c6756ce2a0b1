"""MobileNetV2 for CIFAR, named as in RepDistiller, and for ImageNet, named as in torchvision."""

from torch import nn

from .parts import Network, conv, depthwise, global_average

# Expansion, channels, blocks, stride of the first block for ImageNet. For CIFAR the second stage keeps the resolution.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
TAPPED = (1, 2, 4, 6)


class CifarBlock(nn.Module):
    """1x1, depthwise 3x3 with the stride, 1x1; ReLU after the first two. Expands by a 1x1 even where the factor is 1."""

    def __init__(self, inputs, outputs, stride, factor):
        super().__init__()
        inner = inputs * factor
        self.skips = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            conv(inputs, inner, 1),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            depthwise(inner, stride),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            conv(inner, outputs, 1),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x):
        return x + self.conv(x) if self.skips else self.conv(x)


class CifarMobileNetV2(Network):
    """Channels are int(width * channels); the last convolution has 1280 for widths up to 1."""

    def __init__(self, width, classes=10, channels=3):
        super().__init__()
        inputs = int(32 * width)
        self.conv1 = nn.Sequential(conv(channels, inputs, 3, 2), nn.BatchNorm2d(inputs), nn.ReLU())
        self.blocks = nn.ModuleList()
        for stage, (factor, outputs, count, stride) in enumerate(STAGES):
            outputs = int(outputs * width)
            chain = []
            for i in range(count):
                chain.append(CifarBlock(inputs, outputs, stride if i == 0 and stage != 1 else 1, factor))
                inputs = outputs
            self.blocks.append(nn.Sequential(*chain))
        last = max(1280, int(1280 * width))
        self.conv2 = nn.Sequential(conv(inputs, last, 1), nn.BatchNorm2d(last), nn.ReLU())
        self.classifier = nn.Sequential(nn.Linear(last, classes))

    def features(self, x):
        """The stem after its ReLU and four stages, which end in a batch norm."""
        x = self.conv1(x)
        out = {"stem": x}
        for i, stage in enumerate(self.blocks):
            x = stage(x)
            if i in TAPPED:
                out[f"blocks{i}"] = x
        out["pooled"] = global_average(self.conv2(x))
        out["logits"] = self.classifier(out["pooled"])
        return out


def normed(inputs, outputs, kernel, stride=1, groups=1):
    return nn.Sequential(conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs), nn.ReLU6())


class ImagenetBlock(nn.Module):
    """As for CIFAR with ReLU6, and without the expansion where the factor is 1."""

    def __init__(self, inputs, outputs, stride, factor):
        super().__init__()
        inner = inputs * factor
        self.skips = stride == 1 and inputs == outputs
        expansion = [normed(inputs, inner, 1)] if factor != 1 else []
        rest = [normed(inner, inner, 3, stride, inner), conv(inner, outputs, 1), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*expansion, *rest)

    def forward(self, x):
        return x + self.conv(x) if self.skips else self.conv(x)


class ImagenetMobileNetV2(Network):
    """Width 1."""

    def __init__(self, classes=10, channels=3, dropout=0.2):
        super().__init__()
        layers = [normed(channels, 32, 3, 2)]
        inputs = 32
        self.ends = []
        for factor, outputs, count, stride in STAGES:
            for i in range(count):
                layers.append(ImagenetBlock(inputs, outputs, stride if i == 0 else 1, factor))
                inputs = outputs
            self.ends.append(len(layers))
        layers.append(normed(inputs, 1280, 1))
        self._modules["features"] = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(1280, classes))

    def features(self, x):
        """The taps of the CIFAR form."""
        out = {}
        for i, layer in enumerate(self._modules["features"], 1):
            x = layer(x)
            if i == 1:
                out["stem"] = x
            elif i in self.ends and self.ends.index(i) in TAPPED:
                out[f"blocks{self.ends.index(i)}"] = x
        out["pooled"] = global_average(x)
        out["logits"] = self.classifier(out["pooled"])
        return out
