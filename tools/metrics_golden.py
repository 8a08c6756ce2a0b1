"""Golden values for kd-metrics, by numpy, scipy and scikit-learn.

    pip install numpy scipy scikit-learn netcal
    python tools/metrics_golden.py
    python tools/metrics_golden.py --check          compares with simulation and fitted models too; writes nothing

Writes two files to crates/kd-metrics/tests/fixtures. The inputs of evaluation.json are formulas over integers that
crates/kd-metrics/tests/golden.rs repeats, exact in float32, so it holds results alone. metrics.json, from the modules
in metrics/, holds its inputs too: a list of cases a key, a case a line.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.special import log_softmax, rel_entr
from scipy.stats import binned_statistic, bootstrap
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score

from metrics import augmentation, calibration, classification, embedding, relation, structure
from metrics import human as people
from metrics.common import plain

FIXTURES = Path(__file__).parent.parent / "crates/kd-metrics/tests/fixtures"
BINS = 15


def logits(samples, classes):
    """Multiples of 1/64 in [-8, 8)."""
    i, c = np.indices((samples, classes), dtype=np.int64)
    return ((i * 7919 + c * 104729 + (i * i) % 97 * c * 31) % 1024) / 64.0 - 8.0


def labels(samples, classes):
    """Half the labels follow the logits, half a formula."""
    i = np.arange(samples)
    return np.where(i % 2 == 0, logits(samples, classes).argmax(1), (i * 13 + 5) % classes)


def human(samples, classes):
    """Answers of 64 people; most classes get none."""
    counts = np.zeros((samples, classes))
    for i in range(samples):
        first, second = i % classes, (i * 3 + 1) % classes
        counts[i, first] += 64 - i % 32
        counts[i, second] += i % 32
    return counts / 64.0


def ece(probs, truth):
    confidence, correct = probs.max(1), probs.argmax(1) == truth
    # No confidence near an edge: there float32 and float64 may disagree about the bin.
    edges = np.linspace(0, 1, BINS + 1)
    inner = np.abs(confidence[:, None] - edges[1:-1]).min()
    assert inner > 1e-6, inner
    count, _, index = binned_statistic(confidence, confidence, "count", edges)
    bins = []
    total = 0.0
    for b in range(BINS):
        chosen = index == b + 1
        if chosen.any():
            accuracy, mean = correct[chosen].mean(), confidence[chosen].mean()
            total += chosen.mean() * abs(accuracy - mean)
        else:
            accuracy = mean = 0.0
        bins.append({"count": int(count[b]), "confidence": float(mean), "accuracy": float(accuracy)})
    return float(total), bins


def case(samples, classes):
    z, y, h = logits(samples, classes), labels(samples, classes), human(samples, classes)
    log_q = log_softmax(z, axis=1)
    q = np.exp(log_q)
    every = np.arange(classes)
    # A stable descending sort: of tied classes the lower index stands first.
    order = np.argsort(-z, axis=1, kind="stable")
    ties = int((np.sort(z, axis=1)[:, 1:] == np.sort(z, axis=1)[:, :-1]).any(1).sum())
    top1 = accuracy_score(y, order[:, 0])
    top5 = float((order[:, :5] == y[:, None]).any(1).mean())
    if not ties and classes > 5:
        assert top5 == top_k_accuracy_score(y, z, k=5, labels=every)
    nll = float(-log_q[np.arange(samples), y].mean())
    assert abs(nll - log_loss(y, q, labels=every)) < 1e-9
    error, bins = ece(q, y)
    return {
        "samples": samples,
        "classes": classes,
        "ties": ties,
        "top1": float(top1),
        "top5": top5,
        "nll": nll,
        "ece": error,
        "bins": bins,
        "kl_human": float(rel_entr(h, q).sum(1).mean()),
    }


def mean_probabilities(draws, classes):
    """Rows that sum to 1, from integers."""
    m, c = np.indices((draws, classes), dtype=np.int64)
    weight = 1000 + (m * 7919 + c * 104729 + m * m * c * 31) % 211
    return weight / weight.sum(1, keepdims=True)


def t_stddev(draws, classes):
    u = mean_probabilities(draws, classes)
    per_class = u.std(axis=0, ddof=1)
    interval = bootstrap(
        (np.arange(draws),),
        lambda index, axis: u[index].std(axis=-2, ddof=1).mean(-1),
        n_resamples=20000,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return {
        "draws": draws,
        "classes": classes,
        "value": float(per_class.mean()),
        "per_class": per_class.tolist(),
        "interval": [float(interval.low), float(interval.high)],
    }


def evaluation():
    fixture = {
        "evaluations": [case(503, 10), case(211, 100), case(101, 3), case(1, 10)],
        "t_stddev": [t_stddev(64, 10), t_stddev(7, 3)],
    }
    print(json.dumps([{k: v for k, v in e.items() if k != "bins"} for e in fixture["evaluations"]], indent=1))
    print(fixture["t_stddev"])
    return json.dumps(fixture, indent=1) + "\n"


def measures():
    """The text of metrics.json, a case a line."""

    def lines(value):
        if isinstance(value, dict):
            return "{\n" + ",\n".join(f"{json.dumps(key)}:{lines(item)}" for key, item in value.items()) + "\n}"
        cases = ",\n".join(json.dumps(item, separators=(",", ":"), allow_nan=False) for item in value)
        return f"[\n{cases}\n]"

    fixture = {
        "classification": classification.cases(),
        "calibration": calibration.cases(),
        "human": people.cases(),
        "separability": people.separability_cases(),
        "structure": structure.cases(),
        "pca": embedding.pca_cases(),
        "tsne_affinities": embedding.affinity_cases(),
        "augmentation": augmentation.cases(),
        "relation": relation.cases(),
        "kendall_exact": relation.exact_cases(),
        "paired": relation.paired_cases(),
    }
    return lines(plain(fixture)) + "\n"


def main():
    parser = argparse.ArgumentParser(description="golden values of the measures")
    parser.add_argument("--check", action="store_true", help="compare with simulation and fitted models; write nothing")
    if parser.parse_args().check:
        print("\n".join(augmentation.check() + calibration.check()))
        return
    for name, text in (("evaluation.json", evaluation()), ("metrics.json", measures())):
        path = FIXTURES / name
        path.write_text(text)
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
