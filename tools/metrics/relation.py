"""Correlation and regression of two series, by scipy.stats.

pearsonr, spearmanr, kendalltau (variant b; method "auto": the exact distribution without ties up to n = 33, otherwise
the normal approximation) and linregress. `kendall_exact`: p of every count of discordant pairs of n values without
ties, from kendalltau(method="exact") of a permutation with that many inversions; counting all permutations agrees.
"""

from itertools import combinations, permutations

import numpy as np
from scipy.stats import kendalltau, linregress, pearsonr, spearmanr, ttest_rel

from .common import grid


def case(name, x, y, tied=False):
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    assert tied == (len(set(x)) < len(x) or len(set(y)) < len(y)), name
    pearson, spearman, kendall, line = pearsonr(x, y), spearmanr(x, y), kendalltau(x, y), linregress(x, y)
    return {
        "name": name,
        "x": x,
        "y": y,
        "pearson": {"r": pearson.statistic, "p": pearson.pvalue},
        "spearman": {"r": spearman.statistic, "p": spearman.pvalue},
        "kendall": {"tau": kendall.statistic, "p": kendall.pvalue},
        "line": {"slope": line.slope, "intercept": line.intercept},
    }


def distinct(rng, count, pull):
    """Two series without ties; `pull` of the first is in the second."""
    x = rng.choice(np.arange(-256, 256), count, replace=False) / 64
    while True:
        y = grid(pull * x + rng.normal(0.0, 2.0, count))
        if len(set(y)) == count:
            return x, y


def paired_cases():
    """Differences of pairs: scipy.stats.ttest_rel and its confidence interval."""
    rng = np.random.default_rng(2)
    found = []
    for count, level in [(2, 0.95), (3, 0.95), (5, 0.9), (12, 0.99), (400, 0.95)]:
        first = grid(rng.normal(0.0, 1.0, count))
        second = grid(first + 0.5 + rng.normal(0.0, 0.75, count))
        test = ttest_rel(second, first)
        interval = test.confidence_interval(level)
        found.append({
            "first": first,
            "second": second,
            "level": level,
            "mean": (second - first).mean(),
            "deviation": (second - first).std(ddof=1),
            "interval": [interval.low, interval.high],
        })
    return found


def cases():
    rng = np.random.default_rng(1)
    steps = np.array([0.5, 1.75, -2.25, 4.0, 3.125, -0.75])
    tied = np.array([1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4]), np.array([2, 1, 2, 2, 3, 1, 3, 3, 3, 2, 4, 3])
    return [
        case("n3", [1.0, 2.0, 4.0], [0.5, 0.25, 2.0]),
        case("n9", *distinct(rng, 9, 1.0)),
        case("n9_ties", [1, 2, 2, 3, 4, 5, 5, 6, 7], [2.5, 1, 1, 3.5, 3.5, 3, 5, 4, 6], tied=True),
        case("n25", *distinct(rng, 25, -0.5)),
        case("n60", *distinct(rng, 60, 0.3)),
        case("n5_rising", steps[:5], 2 * steps[:5] + 1),
        case("n6_falling", steps, 0.5 - 4 * steps),
        case("n12_ties", *tied, tied=True),
    ]


def with_inversions(n, count):
    """A permutation of n values with `count` inversions."""
    remaining, order = list(range(n)), []
    for left in range(n - 1, -1, -1):
        take = min(count, left)
        order.append(remaining.pop(take))
        count -= take
    assert count == 0
    return order


def inversions(order):
    return sum(a > b for a, b in combinations(order, 2))


def counted(n):
    """p of each count of inversions, from all permutations."""
    pairs = n * (n - 1) // 2
    total = np.bincount([inversions(order) for order in permutations(range(n))], minlength=pairs + 1)
    share = total / total.sum()
    return [min(1.0, 2 * share[: min(d, pairs - d) + 1].sum()) for d in range(pairs + 1)]


def exact_cases():
    found = []
    for n in range(2, 11):
        pairs = n * (n - 1) // 2
        values = []
        for dis in range(pairs + 1):
            order = with_inversions(n, dis)
            assert inversions(order) == dis
            values.append(kendalltau(range(n), order, method="exact").pvalue)
        if n <= 7:
            assert np.allclose(values, counted(n), rtol=0, atol=1e-12), n
        found += [{"n": n, "dis": dis, "p": p} for dis, p in enumerate(values)]
    return found
