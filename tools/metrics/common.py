"""Inputs that are exact in float32, from seeded generators, and the softmax in float64 (scipy.special)."""

import math

import numpy as np
from scipy.special import log_softmax, softmax


def grid(values, step=64):
    """The nearest multiples of 1/step."""
    # A sum with 0.0 has no -0.0.
    return np.round(np.asarray(values, dtype=np.float64) * step) / step + 0.0


def normal_logits(rng, samples, classes, scale=2.0):
    """Multiples of 1/64, normally distributed."""
    return grid(rng.normal(0.0, scale, (samples, classes)))


def drawn_labels(rng, z):
    """A label a row, drawn from the softmax of `z`."""
    return np.array([rng.choice(z.shape[1], p=row) for row in softmax(z, axis=1)])


def probabilities(z):
    return softmax(z, axis=1)


def nll(z, labels):
    """Mean of -log p_y, by scipy's log_softmax."""
    # 0.0 where no rounding leaves anything, not -0.0.
    return 0.0 - float(log_softmax(z, axis=1)[np.arange(len(labels)), labels].mean())


def class_means(rows, labels, classes):
    """Mean row of each label; None for a label that no row has."""
    labels = np.asarray(labels)
    return [rows[labels == c].mean(0) if (labels == c).any() else None for c in range(classes)]


def plain(value):
    """Lists and Python's numbers, for JSON."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a value that is not finite")
    return value
