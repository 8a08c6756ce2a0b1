"""Losses of self-distillation: the other side is the network itself, earlier, on another image, or a rule."""

import torch

from .harness import Case, logits, tensor
from .logit import BATCHES, CLASSES, grid
from .terms import cross_entropy, divergence, kl, log_soft, one_hot, soft


def averaged(rows, classes, form):
    """`element_mean` divides the sum by batch and classes, `batch_mean` by the batch."""
    return rows.mean() / classes if form == "element_mean" else rows.mean()


def tf_kd_self(x, alpha, temperature, multiplier, form):
    """(1 - alpha) CE + alpha tau^2 multiplier KL(teacher || student)."""
    rows = divergence(log_soft(x.teacher, temperature), log_soft(x.student, temperature))
    term = temperature**2 * multiplier * averaged(rows, x.student.shape[1], form)
    return (1 - alpha) * cross_entropy(x.student, x.labels) + alpha * term


def tf_kd_virtual(x, alpha, temperature, correct_probability, multiplier, form):
    """As above against softmax(u / tau), u the probabilities of a nearly right teacher; the student's at tau 1."""
    classes = x.student.shape[1]
    u = torch.full_like(x.student, (1 - correct_probability) / (classes - 1))
    u[range(len(u)), x.labels] = correct_probability
    rows = divergence(log_soft(u, temperature), log_soft(x.student))
    return (1 - alpha) * cross_entropy(x.student, x.labels) + alpha * multiplier * averaged(rows, classes, form)


def cs_kd(x, temperature, **weight):
    """CE + lambda tau^2 KL(logits of another image of the class || student)."""
    term = temperature**2 * kl(x.partner, x.student, temperature)
    return cross_entropy(x.student, x.labels) + weight["lambda"] * term


def ps_kd(x, alpha):
    """Cross-entropy with (1 - alpha) onehot + alpha softmax(previous logits)."""
    target = (1 - alpha) * one_hot(x.labels, x.student.shape[1]) + alpha * soft(x.previous)
    return -(target * log_soft(x.student)).sum(1).mean()


def ddgsd(x, temperature, mu, **weight):
    """CE of two views, KL from each to the other (detached), and the distance of their mean features."""
    pairs = (x.view0, x.view1), (x.view1, x.view0)
    own = sum(cross_entropy(view, x.labels) for view, _ in pairs)
    mutual = sum(kl(other.detach(), view, temperature) for view, other in pairs)
    distance = ((x.feature0.mean(0) - x.feature1.mean(0)) ** 2).sum()
    return own + weight["lambda"] * temperature**2 * mutual + mu * distance


def cases():
    forms = [{"form": "element_mean"}, {"form": "batch_mean"}]
    sets = [{"alpha": 0.9, "temperature": 20.0, "multiplier": 1.0} | form for form in forms]
    yield from grid("tf_kd_self", tf_kd_self, sets)
    sets = [
        {"alpha": 0.1, "temperature": 20.0, "correct_probability": 0.99, "multiplier": 100.0} | form for form in forms
    ]
    yield from grid("tf_kd_virtual", tf_kd_virtual, sets, other=None)
    yield from grid("cs_kd", cs_kd, [{"lambda": 1.0, "temperature": 4.0}], other="partner")
    yield from grid("ps_kd", ps_kd, [{"alpha": 0.8}, {"alpha": 0.25}], other="previous")
    for batch in BATCHES:
        for classes in CLASSES:
            inputs = {f"view{v}": logits(batch, classes) for v in (0, 1)} | {
                f"feature{v}": tensor((batch, 7)) for v in (0, 1)
            }
            params = {"lambda": 1.0, "mu": 0.005, "temperature": 3.0}
            yield Case("ddgsd", f"b{batch}_c{classes}", ddgsd, inputs, params, classes=classes)
