"""A model's probabilities against the shares of people's answers, and how far its mean answers of the classes part.

All divergences are scipy.stats.entropy(p, q), KL(p || q) in nats; means of rows and of classes are numpy's. A class
that no label names has null. KL(model || human) is against (1 - s) h + s / C.

Separability: 1 / C^2 sum_ij KL(pbar_i || pbar_j), a loop over the C classes that have rows.
"""

import numpy as np
from scipy.stats import entropy

from .common import class_means, drawn_labels, normal_logits, probabilities


def answers(rng, z, people=64):
    """Shares of 64 answers, most of them zero."""
    return np.array([rng.multinomial(people, row) for row in probabilities(1.5 * z)]) / people


def human_case(seed, samples, classes, smoothing, absent=None):
    rng = np.random.default_rng(seed)
    z = normal_logits(rng, samples, classes)
    seen = z.copy()
    if absent is not None:
        seen[:, absent] -= 1.0
    h = answers(rng, seen + rng.normal(0.0, 1.0, z.shape))
    order = np.argsort(-h, axis=1, kind="stable")
    labels = order[:, 0]
    if absent is not None:
        labels = np.where(labels == absent, order[:, 1], labels)
    assert (h == 0).mean() > 0.3
    assert len(set(labels.tolist())) == classes - (absent is not None)
    p = probabilities(z)
    per_sample = np.array([entropy(a, b) for a, b in zip(h, p)])
    smooth = (1 - smoothing) * h + smoothing / classes
    model, people = class_means(p, labels, classes), class_means(h, labels, classes)
    return {
        "classes": classes,
        "logits": z,
        "labels": labels,
        "human": h,
        "smoothing": smoothing,
        "kl_human_model": per_sample.mean(),
        "kl_model_human": np.mean([entropy(a, b) for a, b in zip(p, smooth)]),
        "per_sample": per_sample,
        "per_class": class_means(per_sample, labels, classes),
        "model_confidence": model,
        "human_confidence": people,
        "kl_confusion": [[None if a is None or b is None else entropy(a, b) for b in model] for a in people],
        "human_entropy": np.mean([entropy(row) for row in h]),
    }


def separability_case(seed, samples, classes, absent=None):
    rng = np.random.default_rng(seed)
    z = normal_logits(rng, samples, classes)
    allowed = z.copy()
    if absent is not None:
        allowed[:, absent] = -np.inf
    labels = drawn_labels(rng, allowed)
    present = [mean for mean in class_means(probabilities(z), labels, classes) if mean is not None]
    assert len(present) == classes - (absent is not None)
    total = 0.0
    for a in present:
        for b in present:
            total += entropy(a, b)
    return {"classes": classes, "logits": z, "labels": labels, "value": total / len(present) ** 2}


def cases():
    return [human_case(1, 80, 10, 0.01), human_case(2, 30, 4, 0.001, absent=2)]


def separability_cases():
    return [
        separability_case(11, 90, 10),
        separability_case(12, 40, 5, absent=3),
        separability_case(13, 25, 2),
        separability_case(14, 6, 1),
    ]
