"""Cohesion, adhesion and discrimination of embeddings.

The embeddings are standardised over all rows (scikit-learn's StandardScaler; a dimension that does not vary becomes 0),
S is scikit-learn's cosine_similarity (0 of a row of zeros). Loops: cohesion of a class is the mean of S over its pairs
i < j, null below two rows; adhesion of two classes the mean of S over all pairs between them, null where one has no
row and on the diagonal. The means are over the classes, and the unordered pairs of classes, that have a value;
discrimination = (mean cohesion - mean adhesion) / sqrt(d), d counting every dimension.
"""

import math

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import StandardScaler

from .common import grid


def mean(values):
    return sum(values) / len(values) if values else None


def case(name, classes, e, labels):
    s = cosine_similarity(StandardScaler().fit_transform(e))
    members = [[i for i, label in enumerate(labels) if label == c] for c in range(classes)]
    cohesion = [mean([s[i, j] for i in rows for j in rows if i < j]) for rows in members]
    adhesion = [
        [None if a == b else mean([s[i, j] for i in members[a] for j in members[b]]) for b in range(classes)]
        for a in range(classes)
    ]
    inside = mean([value for value in cohesion if value is not None])
    between = mean([adhesion[a][b] for a in range(classes) for b in range(a) if adhesion[a][b] is not None])
    return {
        "name": name,
        "classes": classes,
        "embeddings": e,
        "labels": labels,
        "cohesion": cohesion,
        "adhesion": adhesion,
        "mean_cohesion": inside,
        "mean_adhesion": between,
        "discrimination": (inside - between) / math.sqrt(e.shape[1]),
    }


def clusters(rng, labels, classes, dimensions):
    """Rows about a centre for each class."""
    centres = rng.normal(0.0, 1.5, (classes, dimensions))
    return grid(centres[labels] + rng.normal(0.0, 1.0, (len(labels), dimensions)) + 0.5)


def random(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, 90)
    return case("random", 5, clusters(rng, labels, 5, 8), labels)


def sparse(seed):
    """Class 7 has no row, class 4 one; dimension 3 does not vary."""
    rng = np.random.default_rng(seed)
    others = [c for c in range(10) if c not in (4, 7)]
    labels = np.array(others + [4] + rng.choice(others, 31).tolist())
    rng.shuffle(labels)
    e = clusters(rng, labels, 10, 16)
    e[:, 3] = 0.75
    return case("sparse", 10, e, labels)


def pair(seed):
    """Class 2 is two equal rows."""
    rng = np.random.default_rng(seed)
    labels = np.array([0, 1, 2, 0, 1, 0, 1, 2, 0, 1, 0, 1])
    e = clusters(rng, labels, 3, 4)
    e[7] = e[2]
    return case("pair", 3, e, labels)


def cases():
    # Of equal rows no dimension varies.
    equal = case("equal", 2, np.tile([0.5, -1.25, 2.0], (4, 1)), np.array([0, 1, 1, 0]))
    return [random(1), sparse(2), pair(3), equal]
