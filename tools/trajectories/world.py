"""The images, the views and the networks of the methods. `../README.md` states them in full."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

import formula
from resnet import ResNet

SIZE, BATCH, CLASSES = 16, 16, 10
SHARE = 0.75  # what is left of an image beside a box of 8 x 8


def pixels(ids):
    """Images by their numbers, in [0, 1]."""
    return torch.cat([formula.pixels(n, 1, torch.float64, SIZE) for n in ids])


def labels(ids):
    return torch.cat([torch.from_numpy(formula.labels(n, 1)) for n in ids])


def consecutive(step):
    """The numbers of the images of a step: no image comes twice."""
    return list(range(step * BATCH, (step + 1) * BATCH))


def partners(ids):
    """For each image the next one of the same class."""
    return [next(m for m in range(n + 1, n + 1000) if labels([m]) == labels([n])) for n in ids]


def pasted(images, top, left):
    """A box of 8 x 8 of each image comes from its partner, the batch in reversed order."""
    mixed = images.clone()
    box = (..., slice(top, top + 8), slice(left, left + 8))
    mixed[box] = images.flip(0)[box]
    return mixed


def mixed_labels(hard):
    """The labels of images with a pasted box."""
    own = F.one_hot(hard, CLASSES).double()
    return SHARE * own + (1 - SHARE) * own.flip(0)


def mirrored(images):
    """Each row in reversed order."""
    return images.flip(3)


def lowered(images):
    """Two black rows on top, and all others two rows further down."""
    return torch.cat([torch.zeros_like(images[:, :, :2]), images[:, :, :-2]], dim=2)


class Branched(nn.Module):
    """A ResNet whose last stage and head stand several times, named as in OKDDip's code."""

    def __init__(self, depth, branches):
        super().__init__()
        network = ResNet(depth)
        for name in ("conv1", "bn1", "layer1", "layer2"):
            setattr(self, name, getattr(network, name))
        self.branches = branches
        for i in range(branches):
            setattr(self, f"layer3_{i}", copy.deepcopy(network.layer3))
            setattr(self, f"classifier3_{i}", copy.deepcopy(network.fc))

    def heads(self, x):
        """What the branches share, pooled; then the embedding and the logits of each branch."""
        trunk = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))
        stages = [getattr(self, f"layer3_{i}")(trunk) for i in range(self.branches)]
        embeddings = [stage.mean(dim=(2, 3)) for stage in stages]
        logits = [getattr(self, f"classifier3_{i}")(e) for i, e in enumerate(embeddings)]
        return trunk.mean(dim=(2, 3)), embeddings, logits


def student(name="student", network=None):
    return formula.fill(network or ResNet(8), name, False).double().train()


def teacher():
    return formula.fill(ResNet(14), "teacher", True).double().eval()


def see(network, images):
    """A pass of a network in training: stages, embedding and logits by name."""
    return network.features(formula.normalise(images, formula.CIFAR))


def see_heads(network, images):
    return network.heads(formula.normalise(images, formula.CIFAR))


@torch.no_grad()
def ask(network, images):
    """What the teacher makes of the images, without a graph."""
    return network.features(formula.normalise(images, formula.IMAGENET))
