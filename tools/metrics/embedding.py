"""Principal components and t-SNE's affinities.

PCA: scikit-learn's, svd_solver="full"; explained variance with n - 1, projections without their signs.

t-SNE (van der Maaten and Hinton 2008), loops: p_{j|i} proportional to exp(-beta_i |x_i - x_j|^2), beta_i by bisection
until exp(H_i), H_i in nats, is the perplexity to 1e-10; p_ij = (p_{j|i} + p_{i|j}) / (2 N), which scikit-learn's
_joint_probabilities, in float32 and to its own tolerance, repeats to 1e-4 of the largest. KL(P || Q) is the sum over
i != j of p log(p / q), q_ij proportional to 1 / (1 + |y_i - y_j|^2); fitted_kl is what scikit-learn's exact descent
reaches from the first two principal components.
"""

import math

import numpy as np
from scipy.spatial.distance import pdist, squareform
from scipy.special import rel_entr
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.manifold._t_sne import _joint_probabilities

from .common import grid


def pca_case(seed, samples, dimensions):
    rng = np.random.default_rng(seed)
    # A spread of its own in each dimension keeps the components apart.
    spread = np.linspace(3.0, 0.5, dimensions)
    mixing = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    x = grid(rng.normal(size=(samples, dimensions)) * spread @ mixing + 0.25)
    pca = PCA(n_components=2, svd_solver="full")
    projected = pca.fit_transform(x)
    return {
        "rows": x,
        "components": 2,
        "explained_variance": pca.explained_variance_,
        "explained_variance_ratio": pca.explained_variance_ratio_,
        "projected_abs": np.abs(projected),
    }


def conditional(distances, own, perplexity):
    """p_{j|i} of one row of squared distances."""
    others = np.delete(distances, own)
    low, high = 0.0, 1.0

    def row(beta):
        weight = np.exp(-beta * (others - others.min()))
        return weight / weight.sum()

    def reached(beta):
        p = row(beta)
        return math.exp(-sum(value * math.log(value) for value in p if value > 0))

    while reached(high) > perplexity:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) > perplexity else (low, middle)
    assert abs(reached(high) - perplexity) < 1e-10
    return np.insert(row(high), own, 0.0)


def affinity_case(seed, samples, dimensions, perplexity):
    rng = np.random.default_rng(seed)
    centres = rng.normal(0.0, 2.0, (4, dimensions))
    x = grid(centres[np.arange(samples) % 4] + rng.normal(size=(samples, dimensions)))
    layout = grid(rng.normal(0.0, 2.0, (samples, 2)))
    distances = squareform(pdist(x, "sqeuclidean"))
    p = np.array([conditional(row, i, perplexity) for i, row in enumerate(distances)])
    joint = (p + p.T) / (2 * samples)
    assert abs(joint.sum() - 1) < 1e-12
    library = squareform(_joint_probabilities(distances, perplexity, 0))
    assert np.abs(joint - library).max() < 1e-4 * joint.max()
    q = 1 / (1 + squareform(pdist(layout, "sqeuclidean")))
    np.fill_diagonal(q, 0.0)
    q /= q.sum()
    return {
        "rows": x,
        "perplexity": perplexity,
        "joint": joint,
        "layout": layout,
        "kl_divergence": rel_entr(joint, q).sum(),
        "fitted_kl": TSNE(perplexity=perplexity, init="pca", method="exact").fit(x).kl_divergence_,
    }


def pca_cases():
    return [pca_case(1, 60, 6), pca_case(2, 5, 12)]


def affinity_cases():
    return [affinity_case(3, 40, 5, 10)]
