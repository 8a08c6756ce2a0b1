"""What several losses are made of."""

import torch
import torch.nn.functional as F


def soft(logits, temperature=1.0):
    return F.softmax(logits / temperature, dim=1)


def log_soft(logits, temperature=1.0):
    return F.log_softmax(logits / temperature, dim=1)


def cross_entropy(logits, labels):
    return -log_soft(logits).gather(1, labels[:, None]).mean()


def one_hot(labels, classes):
    return F.one_hot(labels, classes).double()  # a float times an integer tensor would be of 32 bits


def divergence(log_p, log_q):
    """KL(p || q) of every row."""
    return (log_p.exp() * (log_p - log_q)).sum(1)


def kl(target, logits, temperature, target_temperature=None):
    """Mean over the batch of KL(soft(target) || soft(logits)), both given as logits."""
    return divergence(log_soft(target, target_temperature or temperature), log_soft(logits, temperature)).mean()


def unit(x, dim=1):
    """x / max(||x||, 1e-12)."""
    return x / x.norm(dim=dim, keepdim=True).clamp_min(1e-12)


def pool(x, size):
    return x if tuple(x.shape[2:]) == tuple(size) else F.adaptive_avg_pool2d(x, size)


def match(a, b):
    """Both maps averaged down to the smaller height and the smaller width."""
    size = min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3])
    return pool(a, size), pool(b, size)


def mean_square(a, b):
    return ((a - b) ** 2).mean()


def linear(x, tensors, name):
    return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]


def batch_norm(x, tensors, name):
    """With the batch's own mean and biased variance; eps 1e-5."""
    axes = [0, *range(2, x.dim())]
    shape = [1, -1] + [1] * (x.dim() - 2)
    mean = x.mean(axes, keepdim=True)
    variance = ((x - mean) ** 2).mean(axes, keepdim=True)
    unscaled = (x - mean) / torch.sqrt(variance + 1e-5)
    return unscaled * tensors[f"{name}.gamma"].view(shape) + tensors[f"{name}.beta"].view(shape)


def squared_distances(x):
    """||x_i - x_j||^2 for all pairs, at least 1e-12, and 0 for i = j."""
    flat = x.flatten(1)
    squares = ((flat[:, None] - flat[None]) ** 2).sum(-1).clamp_min(1e-12)
    return squares * (1 - torch.eye(len(flat), dtype=x.dtype))
