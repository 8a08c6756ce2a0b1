"""Methods with a teacher: SP and KD on two views, VID, CRD."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .course import Method
from .losses import towards
from .negatives import negatives
from .world import BATCH, ask, consecutive, labels, pasted, pixels, see, student, teacher

STAGES = ("layer1", "layer2", "layer3")


def similarities(maps):
    """Tung and Mori (2019), Eq. 2: inner products of the flattened maps, each row of norm 1."""
    flat = maps.flatten(1)
    return F.normalize(flat @ flat.T, dim=1)


def sp(own, target):
    """Tung and Mori (2019), Eq. 4: ||G_s - G_t||_F^2 / batch^2."""
    return (similarities(own) - similarities(target)).square().sum() / len(own) ** 2


class SpKdTwoViews(Method):
    """0.1 CE + 0.9 KL + 3000 SP of the images, and 0.9 KL + 3000 SP of mixed ones."""

    weights = {"ce": 0.1, "kl": 0.9, "kl_mixed": 0.9, "sp": 3000.0, "sp_mixed": 3000.0}

    def __init__(self):
        super().__init__(student=student())
        self.teacher = teacher()

    def terms(self, step):
        images, truth = pixels(consecutive(step)), labels(consecutive(step))
        terms = {}
        for suffix, view in (("", images), ("_mixed", pasted(images, top=4, left=2))):
            own, target = see(self.networks["student"], view), ask(self.teacher, view)
            if not suffix:
                terms["ce"] = F.cross_entropy(own["logits"], truth)
            terms[f"kl{suffix}"] = towards(target["logits"], own["logits"], 4.0)
            terms[f"sp{suffix}"] = sp(own["layer3"], target["layer3"])
        return terms


class VidOfStage(nn.Module):
    """Ahn et al. (2019), Eq. 5-6, without the constant; the regressor of RepDistiller's code."""

    def __init__(self, channels, variance=5.0, least=1e-5):
        super().__init__()
        layers = [nn.Conv2d(channels, channels, 1, bias=False) for _ in range(3)]
        self.regressor, self.least = nn.ModuleList(layers), least
        start = math.log(math.expm1(variance - least))
        self.log_scale = nn.Parameter(torch.full((channels,), start, dtype=torch.float64))

    def forward(self, own, target):
        mean = self.regressor[0](own)
        for layer in self.regressor[1:]:
            mean = layer(F.relu(mean))
        variance = (F.softplus(self.log_scale) + self.least).view(1, -1, 1, 1)
        return ((mean - target).square() / (2 * variance) + variance.log() / 2).mean()


class Vid(Method):
    """CE + VID, summed over the stages."""

    weights = {"ce": 1.0, "vid": 1.0}

    def __init__(self):
        parts = nn.ModuleList(VidOfStage(channels) for channels in (16, 32, 64))
        super().__init__({"vid": parts}, student=student())
        self.teacher = teacher()

    def terms(self, step):
        images, truth = pixels(consecutive(step)), labels(consecutive(step))
        own, target = see(self.networks["student"], images), ask(self.teacher, images)
        stages = zip(self.parts["vid"], STAGES)
        return {
            "ce": F.cross_entropy(own["logits"], truth),
            "vid": sum(part(own[stage], target[stage]) for part, stage in stages),
        }


class Memory(nn.Module):
    """Tian et al. (2020): both layers, both banks, and the constant Z of each anchor."""

    def __init__(self, samples, width, features):
        super().__init__()
        self.embed_s, self.embed_t = nn.Linear(width, features), nn.Linear(width, features)
        self.register_buffer("bank_s", torch.zeros(samples, features))
        self.register_buffer("bank_t", torch.zeros(samples, features))
        self.register_buffer("normalizers", torch.zeros(2))


class Crd(Method):
    """CE + 0.8 CRD, over a training set of 80 images."""

    weights = {"ce": 1.0, "crd": 0.8}
    samples, count, seed = 80, 16, 7
    temperature, momentum, least = 0.07, 0.5, 1e-7

    def __init__(self):
        super().__init__({"crd": Memory(self.samples, 64, 16)}, student=student())
        self.teacher = teacher()
        self.classes = labels(range(self.samples)).tolist()

    def ids(self, step):
        epoch, index = divmod(step, self.samples // BATCH)
        return [(7 * (index * BATCH + b) + 3 * epoch) % self.samples for b in range(BATCH)]

    def negatives(self, step):
        epoch, index = divmod(step, self.samples // BATCH)
        number = epoch << 32 | index
        return negatives(self.classes, self.ids(step), self.count, self.seed, number)

    def contrast(self, anchor, bank, columns, side):
        """Eq. 18-19 and the released code: is each of the candidates the positive?"""
        scores = torch.einsum("bd,bkd->bk", anchor, bank[columns]) / self.temperature
        known = self.parts["crd"].normalizers
        if known[side] == 0:  # The first batch settles Z.
            known[side] = scores.detach().exp().mean() * self.samples
        p, noise = scores.exp() / known[side].item(), self.count / self.samples
        positive = p[:, 0] / (p[:, 0] + noise + self.least)
        negative = noise / (p[:, 1:] + noise + self.least)
        return -(positive.log() + negative.log().sum(dim=1)).mean()

    def terms(self, step):
        part, ids = self.parts["crd"], self.ids(step)
        images = pixels(ids)
        own, target = see(self.networks["student"], images), ask(self.teacher, images)
        of_student = F.normalize(part.embed_s(own["pooled"]), dim=1)
        of_teacher = F.normalize(part.embed_t(target["pooled"]), dim=1)
        columns = torch.tensor([[i, *row] for i, row in zip(ids, self.negatives(step))])
        self.seen = ids, of_student.detach(), of_teacher.detach()
        return {
            "ce": F.cross_entropy(own["logits"], labels(ids)),
            "crd": self.contrast(of_student, part.bank_t, columns, 0)
            + self.contrast(of_teacher, part.bank_s, columns, 1),
        }

    def remember(self):
        ids, *embeddings = self.seen
        for bank, new in zip((self.parts["crd"].bank_s, self.parts["crd"].bank_t), embeddings):
            moved = self.momentum * bank[ids] + (1 - self.momentum) * new
            bank[ids] = F.normalize(moved, dim=1)

    def probes(self):
        """The negatives of the first step, to compare with the sampler's draw first."""
        return {"negatives": self.negatives(0)}
