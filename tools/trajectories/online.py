"""Methods of networks, or branches of one network, that learn from each other."""

import torch
import torch.nn.functional as F
from torch import nn

from .course import Method
from .losses import each, mean_distance, towards
from .world import (
    CLASSES,
    Branched,
    consecutive,
    labels,
    lowered,
    mirrored,
    mixed_labels,
    pasted,
    pixels,
    see,
    see_heads,
    student,
)


def mutual(logits, temperature):
    """Zhang et al. (2018), Eq. 7: each peer towards every other one, whose answer is a constant."""
    pairs = ([other for other in logits if other is not own] for own in logits)
    return [
        sum(towards(other.detach(), own, temperature) for other in others) / len(others)
        for own, others in zip(logits, pairs)
    ]


class Peers(Method):
    """Two networks."""

    def __init__(self, parts=None):
        super().__init__(parts, peer0=student("peer0"), peer1=student("peer1"))

    def see(self, views):
        return [see(network, view) for network, view in zip(self.networks.values(), views)]


class Dml(Peers):
    """CE of each peer + DML, both peers on the same images."""

    weights = {"ce": 1.0, "dml": 1.0}

    def terms(self, step):
        images, truth = pixels(consecutive(step)), labels(consecutive(step))
        logits = [seen["logits"] for seen in self.see([images, images])]
        ce = [F.cross_entropy(own, truth) for own in logits]
        return each("ce", ce) | each("dml", mutual(logits, 3.0))


class PeerTeacher(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.linear = nn.Linear(features, CLASSES)


class CutnMix(Peers):
    """Shen et al., Eq. 8: CE + 0.6 DML + 0.3 MMD + 0.1 peer teacher; a box for each peer."""

    weights = {"ce": 1.0, "dml": 0.6, "mmd": 0.3, "peer_teacher": 0.1, "peer_teacher.teacher": 1.0}

    def __init__(self):
        super().__init__({"peer_teacher": PeerTeacher(2 * 64)})

    def terms(self, step):
        images, truth = pixels(consecutive(step)), mixed_labels(labels(consecutive(step)))
        seen = self.see([pasted(images, top=2, left=4), pasted(images, top=7, left=1)])
        logits, features = [s["logits"] for s in seen], [s["pooled"] for s in seen]
        # The embeddings are constants for the teacher, and so is its answer for the peers.
        together = torch.cat(features, dim=1).detach()
        answer = self.parts["peer_teacher"].linear(together)
        means = [
            mean_distance(features[0], features[1].detach()),
            mean_distance(features[1], features[0].detach()),
        ]
        taught = [towards(answer.detach(), own, 3.0) for own in logits]
        return (
            each("ce", [F.cross_entropy(own, truth) for own in logits])
            | each("dml", mutual(logits, 3.0))
            | each("mmd", means)
            | each("peer_teacher", taught)
            | {"peer_teacher.teacher": F.cross_entropy(answer, truth)}
        )


class Kdcl(Peers):
    """CE + KDCL-MinLogit (Guo et al., 2020, Eq. 4), each peer on a distortion of its own."""

    weights = {"ce": 1.0, "kdcl": 1.0}

    def terms(self, step):
        images, truth = pixels(consecutive(step)), labels(consecutive(step))
        logits = [seen["logits"] for seen in self.see([mirrored(images), lowered(images)])]
        relative = [own - own.gather(1, truth[:, None]) for own in logits]
        target = torch.minimum(*relative).detach()
        return each("ce", [F.cross_entropy(own, truth) for own in logits]) | each(
            "kdcl", [towards(target, own, 2.0) for own in logits]
        )


class Gate(nn.Module):
    def __init__(self, features, branches):
        super().__init__()
        self.gate, self.norm = nn.Linear(features, branches), nn.BatchNorm1d(branches)

    def forward(self, shared):
        return F.softmax(F.relu(self.norm(self.gate(shared))), dim=1)


class One(Method):
    """Lan, Zhu and Gong (2018), Eq. 8: CE of each of 3 branches and of their ensemble + KL."""

    weights = {"ce": 1.0, "one": 1.0, "one.ensemble": 1.0}

    def __init__(self):
        branched = student("student", Branched(8, 3))
        super().__init__({"one": Gate(32, 3)}, student=branched)

    def terms(self, step):
        images, truth = pixels(consecutive(step)), labels(consecutive(step))
        shared, _, logits = see_heads(self.networks["student"], images)
        weights = self.parts["one"](shared)
        ensemble = torch.einsum("bj,jbc->bc", weights, torch.stack(logits))
        return (
            each("ce", [F.cross_entropy(own, truth) for own in logits])
            | each("one", [towards(ensemble.detach(), own, 3.0) for own in logits])
            | {"one.ensemble": F.cross_entropy(ensemble, truth)}
        )


class Attention(nn.Module):
    def __init__(self, features, reduction=8):
        super().__init__()
        self.query = nn.Linear(features, features // reduction, bias=False)
        self.key = nn.Linear(features, features // reduction, bias=False)

    def forward(self, embeddings):
        """[batch, peers, features] to how much each peer takes from each: [batch, peers, peers]."""
        scores = torch.einsum("bjd,bkd->bjk", self.query(embeddings), self.key(embeddings))
        return F.softmax(scores, dim=2)


class Okddip(Method):
    """Chen et al. (2020), Eq. 5-9: three peers, each with a target of its own, and a leader."""

    weights = {"ce": 1.0, "okddip": 1.0}

    def __init__(self):
        branched = student("student", Branched(8, 4))
        super().__init__({"okddip": Attention(64)}, student=branched)

    def terms(self, step):
        images, truth = pixels(consecutive(step)), labels(consecutive(step))
        _, embeddings, logits = see_heads(self.networks["student"], images)
        peers, leader = logits[:-1], logits[-1]
        attention = self.parts["okddip"](torch.stack(embeddings[:-1], dim=1))
        # A peer's loss reaches the attention, but not the logits that are mixed.
        constants = torch.stack(peers, dim=1).detach()
        targets = torch.einsum("bjk,bkc->bjc", attention, constants).unbind(dim=1)
        losses = [towards(target, own, 3.0) for target, own in zip(targets, peers)]
        losses.append(towards(constants.mean(dim=1), leader, 3.0))
        ce = [F.cross_entropy(own, truth) for own in logits]
        return each("ce", ce) | each("okddip", losses)
