"""What a measure of an augmentation is without one, the covariance of rows, and answers to mixed labels.

Baseline, a loop over the draws: `means` means of `images` rows, each epoch floor(population / images) disjoint draws
without replacement from a population of unbiased variance v_c. Var = v / images (1 - images / population); covariance
-v / population in one epoch, 0 between two; the expected unbiased variance is Var less the mean covariance of the
pairs; value = mean over the classes of its root. --check draws them.

Covariance of two rows of a draw of n: (n Var(u) - Var(p)) / (n - 1), from the mean of the n^2 entries of the
covariance matrix of the rows, solved by scipy.optimize.brentq; `mean` is over the classes.

Disagreement: rows whose largest class (the first, on ties) is not the target's; rows whose largest class has none of
the target; scipy.stats.entropy(target, probs), of each row and their mean. The shares are loops.
"""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.stats import entropy

from .common import grid


def variance_factor(images, population, means):
    """The expected unbiased variance of the means where the population's is 1."""
    each_epoch = population // images
    pairs = [(a, b) for a in range(means) for b in range(a)]
    covariance = sum(-1 / population for a, b in pairs if a // each_epoch == b // each_epoch) / len(pairs)
    return (1 - images / population) / images - covariance


def baseline(variances, images, population, means):
    factor = variance_factor(images, population, means)
    return {
        "variances": variances,
        "images": images,
        "population": population,
        "means": means,
        "value": sum(math.sqrt(v * factor) for v in variances) / len(variances),
    }


def covariance(seed, classes, rows):
    rng = np.random.default_rng(seed)
    var_of_row = rng.integers(32, 256, classes) / 1024
    # From less than independent rows would have, a negative covariance, to fully dependent ones.
    share = rng.uniform(0.5 / rows, 1.0, classes)
    var_of_mean = np.maximum(grid(var_of_row * share, 65536), 1 / 65536)

    def solve(u, p):
        off = ~np.eye(rows, dtype=bool)
        return brentq(lambda c: np.where(off, c, p).mean() - u, -2 * p, 2 * p, xtol=1e-16, rtol=1e-15)

    value = [solve(u, p) for u, p in zip(var_of_mean, var_of_row)]
    closed = (rows * var_of_mean - var_of_row) / (rows - 1)
    assert np.allclose(value, closed, rtol=0, atol=1e-13)
    return {
        "var_of_mean": var_of_mean,
        "var_of_row": var_of_row,
        "rows": rows,
        "value": closed,
        "mean": closed.mean(),
    }


def first_largest(row):
    return max(range(len(row)), key=lambda c: (row[c], -c))


def disagreement(seed, samples, classes):
    rng = np.random.default_rng(seed)
    targets = np.zeros((samples, classes))
    probs = np.zeros((samples, classes))
    for i in range(samples):
        a, b = rng.choice(classes, 2, replace=False)
        # Half, of a tie, every fourth time; one class alone every eighth.
        share = 32 if i % 4 == 0 else 64 if i % 8 == 1 else rng.integers(1, 64)
        targets[i, a] += share / 64
        targets[i, b] += (64 - share) / 64
        weight = 0.5 * targets[i] + 0.5 * rng.dirichlet(np.full(classes, 0.3))
        counts = 1 + rng.multinomial(256 - classes, weight / weight.sum())
        probs[i] = counts / 256
    assert (targets.sum(1) == 1).all() and (probs.sum(1) == 1).all()
    largest = [(first_largest(t), first_largest(p)) for t, p in zip(targets, probs)]
    disagree = [a != b for a, b in largest]
    outside = [targets[i, b] == 0 for i, (_, b) in enumerate(largest)]
    kl = [entropy(t, p) for t, p in zip(targets, probs)]
    assert any(outside) and sum(disagree) > sum(outside) and not all(disagree)
    return {
        "targets": targets,
        "probs": probs,
        "disagree": sum(disagree) / samples,
        "outside": sum(outside) / samples,
        "kl": sum(kl) / samples,
        "disagree_rows": disagree,
        "outside_rows": outside,
        "kl_rows": kl,
    }


BASELINES = (
    ([0.0625, 0.125, 0.03125], 16, 64, 4),
    ([0.0625, 0.125, 0.03125, 0.0], 16, 70, 10),
    ([0.25, 0.001953125], 30, 50, 6),
    ([0.125, 0.0625, 0.25], 1, 12, 5),
    ([0.125, 0.0625, 0.25], 8, 50000, 64),
    ([0.125], 20, 20, 3),
)


def cases():
    return {
        "baseline": [baseline(*arguments) for arguments in BASELINES],
        "covariance": [covariance(1, 10, 64), covariance(2, 3, 2)],
        "disagreement": [disagreement(3, 48, 10), disagreement(4, 24, 3)],
    }


def check():
    """The expected variance against a Monte Carlo estimate of it."""
    rng = np.random.default_rng(0)
    lines = []
    for _, images, population, means in BASELINES:
        if population > 1000:
            continue
        values = rng.normal(size=population)
        values /= values.std(ddof=1)
        each_epoch = population // images
        epochs = -(-means // each_epoch)
        runs = 40000
        order = rng.permuted(np.tile(values, (runs * epochs, 1)), axis=1)[:, : each_epoch * images]
        drawn = order.reshape(runs, epochs * each_epoch, images).mean(2)[:, :means]
        estimates = drawn.var(axis=1, ddof=1)
        estimate, error = estimates.mean(), estimates.std() / math.sqrt(runs)
        factor = variance_factor(images, population, means)
        assert abs(estimate - factor) < 4 * error + 1e-12, (estimate, factor, error)
        lines.append(f"{means} means of {images} of {population}: {factor:.6f}, drawn {estimate:.6f} +- {error:.6f}")
    return lines
