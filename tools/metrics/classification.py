"""Accuracy, confusion, precision, recall, F1 and likelihood of logits.

Top k: a stable descending sort, of tied classes the lower index first; scikit-learn's top_k_accuracy_score agrees where
no logits are tied. The prediction is the first of that order. Confusion (rows: true label), precision, recall, F1
(zero_division=0, over all classes) and NLL (log_loss) are scikit-learn's, the entropy scipy.stats.entropy's in nats.
The Brier score, mean over the samples of sum_c (p_c - [y = c])^2, is a loop over the formula; scikit-learn's
brier_score_loss agrees.
"""

import warnings

import numpy as np
from scipy.stats import entropy
from sklearn.metrics import (
    brier_score_loss,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from .common import drawn_labels, grid, nll, normal_logits, probabilities

TOP = (1, 2, 3, 5)
SCORES = ("precision", "recall", "f1")


def top_k(z, order, labels, k):
    classes = z.shape[1]
    if k >= classes:
        return 1.0
    value = float((order[:, :k] == labels[:, None]).any(1).mean())
    tied = (np.diff(np.sort(z, axis=1), axis=1) == 0).any()
    if not tied and classes > 2:
        assert abs(value - top_k_accuracy_score(labels, z, k=k, labels=np.arange(classes))) < 1e-12
    return value


def brier(p, labels):
    total = 0.0
    for row, label in zip(p, labels):
        for c, value in enumerate(row):
            total += (value - (c == label)) ** 2
    value = total / len(p)
    if p.shape[1] > 2:
        every = np.arange(p.shape[1])
        assert abs(value - brier_score_loss(labels, p, labels=every, scale_by_half=False)) < 1e-12
    else:
        # Of two classes scikit-learn takes the probability of the second; both classes' terms are equal.
        assert abs(value - 2 * np.mean((p[:, 1] - labels) ** 2)) < 1e-12
    return value


def case(name, z, labels):
    classes = z.shape[1]
    every = np.arange(classes)
    p = probabilities(z)
    order = np.argsort(-z, axis=1, kind="stable")
    predicted = order[:, 0]
    scores = {}
    with warnings.catch_warnings():
        # A single row is one class, which scikit-learn remarks on.
        warnings.simplefilter("ignore", UserWarning)
        for average in (None, "macro", "weighted"):
            values = precision_recall_fscore_support(labels, predicted, labels=every, average=average, zero_division=0)
            scores[average] = dict(zip(SCORES, values[:3]))
        likelihood = log_loss(labels, p, labels=every)
    assert abs(likelihood - nll(z, labels)) < 1e-12
    return {
        "name": name,
        "classes": classes,
        "logits": z,
        "labels": labels,
        "top": {str(k): top_k(z, order, labels, k) for k in TOP},
        "confusion": confusion_matrix(labels, predicted, labels=every),
        **scores[None],
        "macro": scores["macro"],
        "weighted": scores["weighted"],
        "nll": likelihood,
        "brier": brier(p, labels),
        "entropy": entropy(p, axis=1).mean(),
    }


def random(name, seed, samples, classes):
    rng = np.random.default_rng(seed)
    z = normal_logits(rng, samples, classes)
    return case(name, z, drawn_labels(rng, z / 2))


def missing(seed):
    """Class 3 is never a label, class 5 never predicted."""
    rng = np.random.default_rng(seed)
    z = normal_logits(rng, 120, 7)
    labels = drawn_labels(rng, z / 2)
    labels[labels == 3] = 5
    z[:, 5] = z.min(1) - 0.25
    assert (z.argmax(1) == 3).any() and (labels == 5).any()
    return case("missing", z, labels)


def ties(seed):
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 4, (64, 6)) / 2.0
    top = np.sort(z, axis=1)
    assert (top[:, -1] == top[:, -2]).sum() > 10
    return case("ties", z, drawn_labels(rng, z))


def perfect(seed):
    """The label's logit is 8 above the next."""
    rng = np.random.default_rng(seed)
    z = normal_logits(rng, 50, 10, 0.5)
    labels = rng.integers(0, 10, 50)
    z[np.arange(50), labels] = -np.inf
    z[np.arange(50), labels] = z.max(1) + 8.0
    return case("perfect", z, labels)


def adversarial(seed):
    """The label's logit is the lowest."""
    rng = np.random.default_rng(seed)
    z = normal_logits(rng, 45, 10, 1.0)
    labels = rng.integers(0, 10, 45)
    z[np.arange(45), labels] = z.min(1) - grid(rng.uniform(0.25, 2.0, 45))
    return case("adversarial", z, labels)


def cases():
    return [
        random("one", 1, 1, 10),
        random("random", 2, 97, 10),
        missing(3),
        ties(4),
        random("binary", 5, 60, 2),
        perfect(6),
        case("uniform", np.zeros((30, 5)), np.arange(30) * 3 % 5),
        adversarial(8),
    ]
