"""Methods of a network that is its own teacher."""

import torch
import torch.nn.functional as F
from torch import nn

from .course import Method
from .losses import mean_distance, towards
from .world import (
    BATCH,
    CLASSES,
    consecutive,
    labels,
    lowered,
    mirrored,
    partners,
    pixels,
    see,
    student,
)


class Predictions(nn.Module):
    def __init__(self, samples):
        super().__init__()
        self.register_buffer("predictions", torch.zeros(samples, CLASSES))


class PsKd(Method):
    """Kim et al. (2021), Eq. 3-5, over a training set of 64 images: five epochs of four steps."""

    weights = {"ps_kd": 1.0}
    samples, epochs, alpha = 64, 5, 0.8

    def __init__(self):
        super().__init__({"ps_kd": Predictions(self.samples)}, student=student())

    def ids(self, step):
        epoch, index = divmod(step, self.samples // BATCH)
        return [(5 * (index * BATCH + b) + 3 * epoch) % self.samples for b in range(BATCH)]

    def terms(self, step):
        epoch, ids = step // (self.samples // BATCH), self.ids(step)
        logits = see(self.networks["student"], pixels(ids))["logits"]
        own = F.one_hot(labels(ids), CLASSES).double()
        # In the first epoch nothing is known of an image but its label.
        past = self.parts["ps_kd"].predictions[ids] if epoch else own
        alpha = self.alpha * (epoch + 1) / self.epochs
        self.seen = ids, F.softmax(logits.detach(), dim=1)
        return {"ps_kd": F.cross_entropy(logits, (1 - alpha) * own + alpha * past)}

    def remember(self):
        ids, found = self.seen
        self.parts["ps_kd"].predictions[ids] = found


class CsKd(Method):
    """Yun et al. (2020), Eq. 2-3: CE + tau^2 KL from another image of the class, mirrored here."""

    weights = {"cs_kd": 1.0}

    def __init__(self):
        super().__init__(student=student())

    def terms(self, step):
        ids = consecutive(step)
        own = see(self.networks["student"], pixels(ids))["logits"]
        # In training mode, so the pass moves the running statistics a second time.
        with torch.no_grad():
            other = see(self.networks["student"], mirrored(pixels(partners(ids))))["logits"]
        return {"cs_kd": F.cross_entropy(own, labels(ids)) + towards(other, own, 4.0)}


class Ddgsd(Method):
    """Xu and Liu (2019): CE of two distortions + KL both ways + MMD, which moves both."""

    weights = {"ddgsd": 1.0}

    def __init__(self):
        super().__init__(student=student())

    def terms(self, step):
        images, truth = pixels(consecutive(step)), labels(consecutive(step))
        a, b = (see(self.networks["student"], view) for view in (mirrored(images), lowered(images)))
        ce = sum(F.cross_entropy(seen["logits"], truth) for seen in (a, b))
        to_a = towards(b["logits"].detach(), a["logits"], 3.0)
        to_b = towards(a["logits"].detach(), b["logits"], 3.0)
        return {"ddgsd": ce + to_a + to_b + mean_distance(a["pooled"], b["pooled"])}
