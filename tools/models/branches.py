"""Networks whose branches share a trunk, as in OKDDip's code for ONE and for OKDDip itself, and named as there.

The last stage and the classifier of a network stand once for each branch, as `layer3_i` and `classifier3_i`; the DenseNet has a
`norm_final_i` for each, but one third block for all of them.
"""

import torch
import torch.nn.functional as F
from torch import nn

from . import build
from .parts import global_average


def residual(networks):
    first = networks[0]
    trunk = {name: getattr(first, name) for name in ("conv1", "bn1", "layer1", "layer2")}
    return trunk, [{"layer3": n.layer3, "classifier3": n.fc} for n in networks]


def residual_trunk(self, x):
    return self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))


def vgg(networks):
    first = networks[0]
    trunk = {name: getattr(first, name) for name in ("conv1", "bn1", "conv2", "bn2", "layer1", "layer2", "layer3")}
    return trunk, [{"layer3": n.layer4, "classifier3": n.classifier} for n in networks]


def vgg_trunk(self, x):
    x = F.relu(self.bn1(self.conv1(x)))
    x = F.relu(self.bn2(self.conv2(x)))
    return self.layer3(self.layer2(self.layer1(F.max_pool2d(x, 2))))


def densenet(networks):
    bodies = [n._modules["features"] for n in networks]
    shared = bodies[0].pop("denseblock3")
    norms = [body.pop("norm_final") for body in bodies]
    parts = [{"layer3": shared, "norm_final": m, "classifier3": n.classifier} for m, n in zip(norms, networks)]
    return {"features": bodies[0]}, parts


def densenet_trunk(self, x):
    for module in self.features.values():
        x = module(x)
    return x


FAMILIES = {
    "resnet32": (residual, residual_trunk, 32, 64),
    "resnet110_bottleneck": (residual, residual_trunk, 128, 256),
    "wrn_20_8": (residual, residual_trunk, 128, 256),
    "vgg16_mlp": (vgg, vgg_trunk, 512, 512),
    "vgg19_mlp": (vgg, vgg_trunk, 512, 512),
    "densenet_40_12": (densenet, densenet_trunk, 60, 132),
}


class Branched(nn.Module):
    """The trunk and the branches. `add_heads` stands where the published state dict has the heads."""

    def __init__(self, name, branches, classes):
        super().__init__()
        split, self.trunk, self.shared, self.embedded = FAMILIES[name]
        trunk, parts = split([build(name, classes) for _ in range(branches)])
        self.branches = branches
        for key, module in trunk.items():
            self.add_module(key, module)
        if "norm_final" in parts[0]:
            self.add_parts(parts, "layer3")
            self.add_heads()
            self.add_parts(parts, "norm_final")
            self.add_parts(parts, "classifier3")
        else:
            self.add_parts(parts, "layer3", "classifier3")
            self.add_heads()

    def add_parts(self, parts, *keys):
        for i, part in enumerate(parts):
            for key in keys:
                self.add_module(f"{key}_{i}", part[key])

    def embedding(self, i, x):
        x = getattr(self, f"layer3_{i}")(x)
        if hasattr(self, f"norm_final_{i}"):
            x = F.relu(getattr(self, f"norm_final_{i}")(x))
        return global_average(x)

    def classify(self, i, embedding):
        return getattr(self, f"classifier3_{i}")(embedding)


class One(Branched):
    """The branches' logits, [batch, classes, branches], and their sum weighted by a gate on the trunk."""

    def add_heads(self):
        self.control_v1 = nn.Linear(self.shared, self.branches)
        self.bn_v1 = nn.BatchNorm1d(self.branches)

    def forward(self, x):
        x = self.trunk(self, x)
        logits = [self.classify(i, self.embedding(i, x)) for i in range(self.branches)]
        out = {"branches": torch.stack(logits, dim=2)}
        out["gate"] = F.relu(self.bn_v1(self.control_v1(global_average(x)))).softmax(dim=1)
        out["ensemble"] = (out["branches"] * out["gate"][:, None, :]).sum(dim=2)
        return out


class Okddip(Branched):
    """The logits of all branches but the last, each peer's mean of them by attention, and the last branch's logits."""

    def add_heads(self):
        self.query_weight = nn.Linear(self.embedded, self.embedded // 8, bias=False)
        self.key_weight = nn.Linear(self.embedded, self.embedded // 8, bias=False)

    def forward(self, x):
        x = self.trunk(self, x)
        embeddings = [self.embedding(i, x) for i in range(self.branches)]
        logits = [self.classify(i, embedding) for i, embedding in enumerate(embeddings)]
        peers = torch.stack(embeddings[:-1], dim=1)
        out = {"branches": torch.stack(logits[:-1], dim=2)}
        scores = self.query_weight(peers) @ self.key_weight(peers).transpose(1, 2)
        out["attention"] = scores.softmax(dim=2)
        out["ensemble"] = out["branches"] @ out["attention"].transpose(1, 2)
        out["leader"] = logits[-1]
        return out


# OKDDip's own DenseNet leaves out the leader's last norm; it is not repeated here.
BRANCHED = {
    **{f"one/{name}": One for name in FAMILIES},
    **{f"okddip/{name}": Okddip for name in FAMILIES if name != "densenet_40_12"},
}


def build_branched(name, branches=3, classes=10):
    return BRANCHED[name](name.partition("/")[2], branches, classes)
