"""Losses of the student's logits against the teacher's or the labels."""

import torch
import torch.nn.functional as F

from .harness import Case, logits
from .terms import cross_entropy, divergence, kl, log_soft, mean_square, one_hot, soft

BATCHES = (1, 2, 64)
CLASSES = (2, 10, 100, 1000)


def kd(x, alpha, temperature, teacher_temperature, tau_squared):
    """(1 - alpha) CE + alpha tau^2 KL(teacher || student), or without tau^2."""
    scale = temperature**2 if tau_squared else 1.0
    term = kl(x.teacher, x.student, temperature, teacher_temperature)
    return (1 - alpha) * cross_entropy(x.student, x.labels) + alpha * scale * term


def soft_cross_entropy(x):
    """-sum p log softmax(student), with p = softmax(teacher)."""
    return -(soft(x.teacher) * log_soft(x.student)).sum(1).mean()


def label_smoothing(x, epsilon):
    """Cross-entropy with (1 - epsilon) onehot + epsilon / C."""
    target = (1 - epsilon) * one_hot(x.labels, x.student.shape[1]) + epsilon / x.student.shape[1]
    return -(target * log_soft(x.student)).sum(1).mean()


def dkd(x, alpha, beta, temperature):
    """tau^2 (alpha KL of (p_y, 1 - p_y) + beta KL among the other classes)."""

    def parts(logits):
        scaled = logits / temperature
        is_label = one_hot(x.labels, logits.shape[1]).bool()
        others = scaled[~is_label].view(len(logits), -1)
        total = torch.logsumexp(scaled, 1)
        binary = torch.stack([scaled[is_label] - total, torch.logsumexp(others, 1) - total], 1)
        return binary, F.log_softmax(others, 1)

    (binary_t, others_t), (binary_s, others_s) = parts(x.teacher), parts(x.student)
    target, rest = divergence(binary_t, binary_s), divergence(others_t, others_s)
    return temperature**2 * (alpha * target + beta * rest).mean()


def pearson(a, b):
    """Of the rows; 0, without a gradient, where a row is constant."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-8)


def dist(x, beta, gamma, temperature):
    """tau^2 (beta (1 - mean correlation of rows) + gamma (1 - mean correlation of columns)) of the probabilities."""
    s, t = soft(x.student, temperature), soft(x.teacher, temperature)
    between, within = 1 - pearson(s, t).mean(), 1 - pearson(s.T, t.T).mean()
    return temperature**2 * (beta * between + gamma * within)


def js(x, temperature):
    """tau^2 times the Jensen-Shannon divergence."""
    s, t = log_soft(x.student, temperature), log_soft(x.teacher, temperature)
    middle = ((s.exp() + t.exp()) / 2).log()
    return temperature**2 * (divergence(t, middle) / 2 + divergence(s, middle) / 2).mean()


def reverse_kl(x, temperature):
    """tau^2 KL(student || teacher)."""
    return temperature**2 * kl(x.student, x.teacher, temperature)


def mse_logits(x, centered=False):
    """Mean squared difference of the logits, of both less their row's mean if `centered`."""
    s, t = x.student, x.teacher
    if centered:
        s, t = s - s.mean(1, keepdim=True), t - t.mean(1, keepdim=True)
    return mean_square(s, t)


def grid(loss, function, sets, other="teacher", labelled=True, equal=True):
    """Every batch and number of classes with every set of parameters, 1000 classes with the first alone."""
    for batch in BATCHES:
        for classes in CLASSES:
            inputs = {"student": logits(batch, classes)}
            if other:
                inputs[other] = logits(batch, classes)
            for params in sets[:1] if classes == 1000 else sets:
                yield Case(
                    loss,
                    f"b{batch}_c{classes}",
                    function,
                    inputs,
                    params,
                    classes=classes * labelled,
                    constant=(other,) * bool(other),
                )
    if equal and other:
        inputs = {"student": logits(2, 10), other: logits(2, 10) | {"same": "student"}}
        yield Case(loss, "equal", function, inputs, sets[0], classes=10 * labelled, constant=(other,))


def cases():
    def kd_params(alpha, temperature, teacher_temperature, tau_squared=True):
        return {
            "alpha": alpha,
            "temperature": temperature,
            "teacher_temperature": teacher_temperature,
            "tau_squared": tau_squared,
        }

    yield from grid("kd", kd, [kd_params(0.9, 4.0, 4.0), kd_params(0.5, 2.0, 6.0), kd_params(1.0, 20.0, 20.0, False)])
    yield from grid("soft_cross_entropy", soft_cross_entropy, [{}], labelled=False)
    yield from grid("label_smoothing", label_smoothing, [{"epsilon": 0.1}], other=None)
    weights = [{"alpha": 1.0, "beta": 8.0, "temperature": 4.0}, {"alpha": 2.0, "beta": 0.5, "temperature": 1.0}]
    yield from grid("dkd", dkd, weights)
    weights = [{"beta": 1.0, "gamma": 1.0, "temperature": 1.0}, {"beta": 2.0, "gamma": 0.5, "temperature": 4.0}]
    yield from grid("dist", dist, weights, labelled=False)
    yield from grid("js", js, [{"temperature": 1.0}, {"temperature": 4.0}], labelled=False)
    yield from grid("reverse_kl", reverse_kl, [{"temperature": 4.0}], labelled=False)
    yield from grid("mse_logits", mse_logits, [{}, {"centered": True}], labelled=False)
