"""Calibration errors and the temperature.

ECE and MCE with bins of equal width are netcal's, the confidence given against whether the prediction is right; so is
each class's error, p_c against [y = c]. Loops over the formula with bins (lower, upper], the first with 0, agree; they
alone give the case `edges`, in which confidences lie on edges (netcal puts those into the upper bin). Elsewhere no
probability is within 1e-6 of an inner edge, nor are two confidences that the bins of equal mass part.

Equal mass: confidences in ascending order, parted as numpy.array_split does, sum_m n_m / N |acc_m - conf_m|, a loop.

Temperature: the root of the derivative of NLL(logits / T) by 1 / T (scipy.optimize.brentq), null where the optimum is
a bound of [0.01, 100], in which case nll_after is the NLL there; minimize_scalar over log T agrees, and so does, with
--check, netcal's TemperatureScaling.
"""

import math

import numpy as np
from netcal.metrics import ECE, MCE
from scipy.optimize import brentq, minimize_scalar
from scipy.special import softmax

from .common import drawn_labels, nll, normal_logits, probabilities

LOWEST, HIGHEST = 0.01, 100.0
CLOSE = 1e-6


def gaps(confidence, correct, bins):
    """Samples and |accuracy - confidence| of each bin (lower, upper] that is not empty."""
    found = []
    for b in range(bins):
        lower, upper = b / bins, (b + 1) / bins
        chosen = [i for i, c in enumerate(confidence) if (lower < c or b == 0) and c <= upper]
        if chosen:
            accuracy = sum(float(correct[i]) for i in chosen) / len(chosen)
            mean = sum(float(confidence[i]) for i in chosen) / len(chosen)
            found.append((len(chosen), abs(accuracy - mean)))
    assert sum(count for count, _ in found) == len(confidence)
    return found


def errors(confidence, correct, bins, exact_edges):
    """ECE and MCE with bins of equal width."""
    found = gaps(confidence, correct, bins)
    own = sum(count * gap for count, gap in found) / len(confidence), max(gap for _, gap in found)
    if exact_edges:
        return own
    correct = np.asarray(correct, dtype=np.int64)
    library = tuple(float(measure(bins).measure(confidence, correct)) for measure in (ECE, MCE))
    assert np.allclose(own, library, rtol=0, atol=1e-12), (own, library)
    return library


def equal_mass(confidence, correct, bins):
    order = np.argsort(confidence, kind="stable")
    total = 0.0
    for group in np.array_split(order, bins):
        if len(group):
            total += abs(sum(float(correct[i]) for i in group) - sum(float(confidence[i]) for i in group))
    return total / len(confidence)


def temperature(z, labels):
    """The temperature, None at a bound, and the NLL there."""

    def slope(log_t):
        p = softmax(z / math.exp(log_t), axis=1)
        return float(((p * z).sum(1) - z[np.arange(len(labels)), labels]).mean())

    low, high = math.log(LOWEST), math.log(HIGHEST)
    # The NLL is convex in 1 / T, so the slope falls as T rises.
    if slope(low) <= 0 or slope(high) >= 0:
        bound = LOWEST if slope(low) <= 0 else HIGHEST
        assert nll(z / bound, labels) <= min(nll(z / LOWEST, labels), nll(z / HIGHEST, labels))
        return None, nll(z / bound, labels)
    root = brentq(slope, low, high, xtol=1e-14, rtol=1e-14)
    search = minimize_scalar(
        lambda log_t: nll(z / math.exp(log_t), labels),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-12},
    )
    assert abs(search.x - root) < 1e-6, (search.x, root)
    return math.exp(root), nll(z / math.exp(root), labels)


def clear(z, bins):
    """Whether float32 sorts all probabilities into the same bins."""
    p = probabilities(z)
    confidence = np.sort(p.max(1))
    edges = np.arange(1, bins) / bins
    parted = [len(group) for group in np.array_split(confidence, bins)]
    borders = [i for i in np.cumsum(parted)[:-1] if 0 < i < len(confidence)]
    return (
        np.abs(p[..., None] - edges).min() > CLOSE
        and all(confidence[i] - confidence[i - 1] > CLOSE for i in borders)
        and (np.diff(np.sort(z, axis=1), axis=1)[:, -1] > 0).all()
    )


def case(name, z, labels, bins, exact_edges=False):
    classes = z.shape[1]
    p = probabilities(z)
    confidence, correct = p.max(1), z.argmax(1) == labels
    ece, mce = errors(confidence, correct, bins, exact_edges)
    classwise = [errors(p[:, c], labels == c, bins, exact_edges)[0] for c in range(classes)]
    best, after = temperature(z, labels)
    return {
        "name": name,
        "classes": classes,
        "logits": z,
        "labels": labels,
        "bins": bins,
        "ece": ece,
        "mce": mce,
        "ece_equal_mass": equal_mass(confidence, correct, bins),
        "classwise": classwise,
        "classwise_ece": sum(classwise) / classes,
        "temperature": best,
        "nll_before": nll(z, labels),
        "nll_after": after,
    }


def drawn(name, seed, samples, classes, bins, scale=2.0, sharpened=1.5, absent=None):
    """Labels drawn from the softmax of the logits over `sharpened`, so that about that is the temperature."""
    # A generator follows another until float32 has no choice of bins.
    for attempt in range(1000):
        rng = np.random.default_rng([seed, attempt])
        z = normal_logits(rng, samples, classes, scale)
        softer = z / sharpened
        if absent is not None:
            softer[:, absent] = -np.inf
        labels = drawn_labels(rng, softer)
        if clear(z, bins) and (samples == 1 or temperature(z, labels)[0] is not None):
            return case(name, z, labels, bins)
    raise RuntimeError(f"no inputs for {name}")


def edges():
    """Confidences of exactly 1/2, an edge; the three tied rows are the first group of equal mass."""
    z = np.array(
        [(0, 0), (1, 0), (2, 0), (0, 3), (0, 0), (0, 1.5), (2.5, 0), (0, 0), (0, 3.5), (0.5, 0), (0, 4), (0, 0.75)]
    )
    labels = np.array([0, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 0])
    return case("edges", z, labels, 4, exact_edges=True)


def cases():
    return [
        drawn("random", 1, 200, 10, 15),
        drawn("overconfident", 2, 150, 5, 10, 4.0, 4.0),
        drawn("one", 3, 1, 10, 15),
        drawn("few", 4, 7, 5, 15),
        drawn("binary", 5, 80, 2, 10),
        drawn("absent", 6, 90, 6, 15, absent=4),
        edges(),
    ]


def check():
    """netcal's temperature, fitted to the probabilities, against the stored one."""
    from netcal.scaling import TemperatureScaling

    lines = []
    for item in cases():
        if item["temperature"] is None or item["classes"] == 2:
            continue
        if len(set(item["labels"].tolist())) < item["classes"]:
            # netcal takes the number of classes from the labels.
            continue
        scaling = TemperatureScaling()
        scaling.fit(probabilities(item["logits"]), item["labels"])
        # netcal multiplies by its parameter.
        found = 1 / float(np.ravel(scaling.temperature)[0])
        assert abs(found / item["temperature"] - 1) < 1e-3, (found, item["temperature"])
        lines.append(f"temperature of {item['name']}: {item['temperature']:.8f}, netcal {found:.8f}")
    return lines
