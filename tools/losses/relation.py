"""Losses of the relations between samples, and of a bank of embeddings."""

import math

import torch
import torch.nn.functional as F

import formula

from .feature import SHAPES, pair
from .harness import Case, linear as linear_parameters, logits, tensor
from .terms import linear, mean_square, pool, squared_distances, unit

# batch, student's and teacher's dimension
EMBEDDINGS = ((1, 5, 6), (2, 7, 7), (5, 16, 24), (64, 64, 48))


def sp(x, form):
    """Squared difference of the batch's Gram matrices over B^2; each row, or the whole, of length 1."""

    def gram(f):
        product = f.flatten(1) @ f.flatten(1).T
        return unit(product) if form == "rows" else product / product.norm()

    return ((gram(x.teacher) - gram(x.student)) ** 2).sum() / len(x.student) ** 2


def cc(x, form, gamma=0.4, order=2):
    """Of two linear embeddings: products of neighbours' differences, or their Gaussian kernels by a Taylor series."""
    s, t = linear(x.student, x, "embed_s"), linear(x.teacher, x, "embed_t")
    if form == "consecutive":
        difference = (s - t).abs()
        return (difference[:-1] * difference[1:]).sum() / max(len(s) - 1, 1)

    def kernel(e):
        cosine = unit(e) @ unit(e).T
        terms = [(2 * gamma) ** p / math.factorial(p) * cosine**p for p in range(order + 1)]
        return math.exp(-2 * gamma) * sum(terms)

    return mean_square(kernel(s), kernel(t))


def pkt(x):
    """Mean over B^2 of S_t log(S_t / S_s), S the rows of (cosine + 1) / 2 over their sums."""

    def similarity(e):
        e = e / (e.norm(dim=1, keepdim=True) + 1e-7)
        s = (e @ e.T + 1) / 2
        return s / s.sum(1, keepdim=True)

    s, t = similarity(x.student), similarity(x.teacher)
    return (t * torch.log((t + 1e-7) / (s + 1e-7))).mean()


def rkd(x, w_d, w_a):
    """Smooth L1 of distances over their mean, and of the cosines of the angles at every sample."""
    if len(x.student) == 1:
        return 0 * x.student.sum()

    def distances(e):
        squares = squared_distances(e)
        apart = squares > 0
        d = torch.zeros_like(squares)
        d[apart] = squares[apart].sqrt()
        return d / d[apart].mean()

    def angles(e):
        towards = unit(e[None] - e[:, None], 2)  # [i, j]: from i to j
        return towards @ towards.transpose(1, 2)

    distance = F.smooth_l1_loss(distances(x.student), distances(x.teacher))
    angle = F.smooth_l1_loss(angles(x.student), angles(x.teacher))
    return w_d * distance + w_a * angle


def over_maximum(d):
    return d / d.max() if d.max() > 0 else d


def irg(x, w_vertex, w_edge, w_transform):
    """Logits; distances between samples in three layers; each sample's distance between two layers."""

    def edges(name):
        return mean_square(*(over_maximum(squared_distances(x[f"{side}_{name}"])) for side in ("student", "teacher")))

    def transform(side):
        lower, upper = x[f"{side}_lower"], x[f"{side}_upper"]
        lower = pool(lower, upper.shape[2:])
        upper = upper.unflatten(1, (lower.shape[1], -1)).mean(2)
        return over_maximum(((lower - upper) ** 2).sum((1, 2, 3)).clamp_min(1e-12))

    vertex = mean_square(x.student_logits, x.teacher_logits)
    edge = sum(edges(name) for name in ("embedding", "lower", "upper")) / 3
    return w_vertex * vertex + w_edge * edge + w_transform * mean_square(transform("student"), transform("teacher"))


def crd(x, form, temperature, momentum, eps=1e-7, steps=1):
    """Contrast with a bank: noise-contrastive with the first batch's Z, or cross-entropy over all columns."""
    bank_s, bank_t, normaliser = x.bank_s, x.bank_t, []
    values = []
    for step in ("", "2")[:steps]:
        indices = x[f"indices{step}"]
        columns = torch.cat([indices[:, None], x[f"negatives{step}"]], 1)
        v_s = unit(linear(x[f"student{step}"], x, "embed_s"))
        v_t = unit(linear(x[f"teacher{step}"], x, "embed_t"))
        value = 0
        for anchor, (v, bank) in enumerate(((v_s, bank_t), (v_t, bank_s))):
            scores = (bank[columns] @ v[:, :, None])[:, :, 0] / temperature
            if form == "info_nce":
                value = value - F.log_softmax(scores, 1)[:, 0].mean()
                continue
            if len(normaliser) <= anchor:
                normaliser.append(scores.detach().exp().mean() * len(bank))
            p, noise = scores.exp() / normaliser[anchor], x.negatives.shape[1] / len(bank)
            positive = torch.log(p[:, 0] / (p[:, 0] + noise + eps))
            negative = torch.log(noise / (p[:, 1:] + noise + eps)).sum(1)
            value = value - (positive + negative).mean()
        values.append(value)
        bank_s, bank_t = moved(bank_s, v_s, indices, momentum), moved(bank_t, v_t, indices, momentum)
    extra = {"bank_s": bank_s, "bank_t": bank_t}
    if normaliser:
        extra["z"] = torch.stack(normaliser)
    if steps == 2:
        extra["value2"] = values[1]
    return values[0], extra


def moved(bank, v, indices, momentum):
    """The bank with the rows `indices` moved towards v and brought to length 1."""
    result = bank.clone()
    result[indices] = unit(momentum * bank[indices] + (1 - momentum) * v.detach())
    return result


def irg_cases():
    sizes = {
        "batch1": (1, (8, 8), (4, 4)),
        "batch2": (2, (5, 7), (5, 7)),
        "odd": (5, (7, 5), (3, 3)),
        "big": (64, (8, 8), (4, 4)),
    }
    for name, (batch, lower, upper) in sizes.items():
        inputs = {}
        for side, channels, dimension in (("student", 4, 7), ("teacher", 6, 9)):
            inputs |= {
                f"{side}_lower": tensor((batch, channels, *lower)),
                f"{side}_upper": tensor((batch, channels if name == "batch2" else 2 * channels, *upper)),
                f"{side}_embedding": tensor((batch, dimension)),
                f"{side}_logits": logits(batch, 10),
            }
        yield Case("irg", name, irg, inputs, {"w_vertex": 0.1, "w_edge": 5.0, "w_transform": 5.0})


def drawn(key, indices, rows, count):
    """For every index `count` other rows of the bank: the first ones in the order of u(key + position)."""
    result = []
    for position, index in enumerate(indices):
        order = formula.uniform(f"{key}{position}", rows).argsort(kind="stable").tolist()
        result.append([row for row in order if row != index][:count])
    return result


def crd_cases():
    # batch, student's, teacher's and embedding's dimension, rows of the bank, negatives, steps
    sizes = (
        (1, 5, 6, 8, 40, 7, 1),
        (2, 7, 5, 8, 40, 7, 1),
        (5, 16, 24, 8, 40, 7, 1),
        (5, 9, 11, 8, 40, 7, 2),
        (64, 64, 48, 16, 300, 50, 1),
    )
    for batch, d_s, d_t, d, rows, negatives, steps in sizes:
        name = f"b{batch}" + "_steps" * (steps == 2)
        parameters = linear_parameters("embed_s", d_s, d) | linear_parameters("embed_t", d_t, d)
        parameters |= {bank: tensor((rows, d), 1 / math.sqrt(d / 3), 0.0) for bank in ("bank_s", "bank_t")}
        inputs, integers = {}, {}
        for step in range(steps):
            suffix = "2" * step
            inputs |= {f"student{suffix}": tensor((batch, d_s)), f"teacher{suffix}": tensor((batch, d_t))}
            indices = [(7 * (i + step) + 3) % rows for i in range(batch)]
            integers[f"indices{suffix}"] = indices
            integers[f"negatives{suffix}"] = drawn(f"crd.{name}.negatives{suffix}.", indices, rows, negatives)
        for form in ("nce", "info_nce"):
            params = {"form": form, "temperature": 0.07, "momentum": 0.5} | ({"steps": 2} if steps == 2 else {})
            yield Case("crd", name, crd, inputs, params, parameters, constant=("bank_",), integers=integers)


def cases():
    for name, (s, t) in SHAPES.items():
        for form in ("rows", "global"):
            yield Case("sp", name, sp, pair(s, t), {"form": form})
    for batch, d_s, d_t in EMBEDDINGS:
        name, inputs = f"b{batch}_d{d_s}", pair((batch, d_s), (batch, d_t))
        embeddings = linear_parameters("embed_s", d_s, 8) | linear_parameters("embed_t", d_t, 8)
        yield Case("cc", name, cc, inputs, {"form": "consecutive"}, embeddings)
        yield Case("cc", name, cc, inputs, {"form": "rbf", "gamma": 0.4, "order": 2}, embeddings)
        yield Case("pkt", name, pkt, inputs)
        yield Case("rkd", name, rkd, inputs, {"w_d": 25.0, "w_a": 50.0})
    yield from irg_cases()
    yield from crd_cases()
