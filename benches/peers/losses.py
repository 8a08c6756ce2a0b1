"""Losses of kd beside the same formulas in PyTorch, forward and backward, in interleaved pairs. Started by `run --losses`.

The formulas are those that make the golden values (tools/losses), in float32. Inputs are what a ResNet-20 and its ResNet-56 teacher give:
logits of 100 classes, maps of three stages, embeddings of 64 numbers. Every row also says what share of ResNet-20's training step, measured
in the same turns, the loss takes.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

import machine
import options
from networks import LEAST_MS, Ours, timed

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from losses import feature, logit, online, own, relation  # noqa: E402
from losses.harness import Tensors  # noqa: E402
from losses.terms import batch_norm  # noqa: E402

CLASSES, SAMPLES, NEGATIVES, WIDTH = 100, 50_000, 16_384, 64
STAGES = [(16, 32), (32, 16), (64, 8)]


class Inputs:
    """Makes tensors and remembers those that get a gradient."""

    def __init__(self, batch: int, layout: torch.memory_format):
        torch.manual_seed(0)
        self.batch, self.layout, self.leaves = batch, layout, []

    def leaf(self, x):
        self.leaves.append(x.requires_grad_())
        return x

    def logits(self):
        return 6 * torch.rand(self.batch, CLASSES) - 3

    def embedding(self):
        return 2 * torch.rand(self.batch, WIDTH) - 1

    def map(self, stage):
        channels, side = STAGES[stage]
        return (2 * torch.rand(self.batch, channels, side, side) - 1).contiguous(memory_format=self.layout)

    def weight(self, *shape):
        return self.leaf((2 * torch.rand(*shape) - 1) / shape[-1] ** 0.5)

    def linear(self, name, inputs, outputs):
        return {f"{name}.weight": self.weight(outputs, inputs), f"{name}.bias": self.weight(outputs)}

    def norm(self, name, channels):
        return {f"{name}.gamma": self.leaf(torch.ones(channels)), f"{name}.beta": self.leaf(torch.zeros(channels))}

    def labels(self):
        return torch.arange(self.batch) % CLASSES

    def of_logits(self, other="teacher"):
        return Tensors(student=self.leaf(self.logits()), labels=self.labels(), **{other: self.logits()})

    def of_embeddings(self):
        return Tensors(student=self.leaf(self.embedding()), teacher=self.embedding())

    def of_maps(self, stages):
        return [Tensors(student=self.leaf(self.map(i)), teacher=self.map(i)) for i in stages]

    def of_peers(self):
        peers = {f"peer{j}": self.leaf(self.logits()) for j in range(2)}
        features = {f"feature{j}": self.leaf(self.embedding()) for j in range(2)}
        return Tensors(labels=self.labels(), **peers, **features)


def sums(function, stages):
    """The loss of every stage."""
    return lambda make: (lambda xs: lambda: sum(function(x) for x in xs))(make.of_maps(stages))


def logits(function, *arguments, other="teacher"):
    return lambda make: (lambda x: lambda: function(x, *arguments))(make.of_logits(other))


def embeddings(function, *arguments):
    return lambda make: (lambda x: lambda: function(x, *arguments))(make.of_embeddings())


def peers(function, *arguments):
    return lambda make: (lambda x: lambda: function(x, *arguments))(make.of_peers())


def value(result):
    return result[0] if isinstance(result, tuple) else result


def fitnet(make):
    (x,) = make.of_maps([1])
    x |= {"conv.weight": make.weight(32, 32, 1, 1), "conv.bias": make.weight(32)} | make.norm("norm", 32)
    return lambda: feature.fitnet(x, True)


def vid(make):
    xs = make.of_maps([0, 1, 2])
    for x in xs:
        c = x.student.shape[1]
        x |= {f"regressor.{i}.weight": make.weight(c, c, 1, 1) for i in range(3)}
        x["log_scale"] = make.leaf(torch.full((c,), 5.0))
    return lambda: sum(feature.vid(x) for x in xs)


def fsp(make):
    """From the stem on, which has the shape of the first stage."""
    s, t = ([make.map(i) for i in (0, 0, 1, 2)] for _ in range(2))
    s = [make.leaf(x) for x in s]
    pairs = [
        Tensors(student_lower=s[i], student_upper=s[i + 1], teacher_lower=t[i], teacher_upper=t[i + 1]) for i in range(3)
    ]
    return lambda: sum(feature.fsp(x) for x in pairs)


def ab(make):
    """Each stage behind a 1x1 convolution and batch norm; the last has weight 1, and each before it half of its successor's."""
    xs = make.of_maps(ALL)
    for x in xs:
        c = x.student.shape[1]
        x |= {"conv.weight": make.weight(c, c, 1, 1), "conv.bias": make.weight(c)} | make.norm("norm", c)

    def stage(x):
        y = batch_norm(F.conv2d(x.student, x["conv.weight"], x["conv.bias"]), x, "norm")
        return feature.ab(Tensors(student=y, teacher=x.teacher), "sum", 1.0)

    return lambda: sum(stage(x) * 2.0 ** (i - 2) for i, x in enumerate(xs))


def ft(make):
    (x,) = make.of_maps([2])
    for i, (a, b) in enumerate(((64, 64), (64, 32), (32, 32))):
        x |= {f"encoder.{i}.weight": make.weight(b, a, 3, 3), f"encoder.{i}.bias": make.weight(b)}
        x |= make.norm(f"norms.{i}", b)
    encoder = [torch.nn.Conv2d(a, b, 3, 1, 1).requires_grad_(False) for a, b in ((64, 64), (64, 32), (32, 32))]
    teacher = x["teacher"]

    def run():
        y = teacher
        for convolution in encoder:
            y = torch.nn.functional.leaky_relu(convolution(y), 0.1)
        x["teacher"] = y
        return feature.translator(x)

    return run


def cc(form):
    def build(make):
        x = make.of_embeddings()
        x |= make.linear("embed_s", WIDTH, 128) | make.linear("embed_t", WIDTH, 128)
        return lambda: relation.cc(x, form)

    return build


def irg(make):
    def of(name, leaf):
        parts = {"lower": make.map(1), "upper": make.map(2), "embedding": make.embedding(), "logits": make.logits()}
        return {f"{name}_{part}": leaf(x) for part, x in parts.items()}

    x = Tensors(of("student", make.leaf) | of("teacher", lambda x: x))
    return lambda: relation.irg(x, 0.1, 5.0, 5.0)


def crd(form):
    def build(make):
        x = make.of_embeddings()
        x |= make.linear("embed_s", WIDTH, 128) | make.linear("embed_t", WIDTH, 128)
        bank = lambda: (2 * torch.rand(SAMPLES, 128) - 1) * (3 / 128) ** 0.5  # noqa: E731
        x |= {"bank_s": bank(), "bank_t": bank(), "indices": torch.arange(make.batch) * 191 % SAMPLES}
        x["negatives"] = torch.randint(SAMPLES, (make.batch, NEGATIVES))
        return lambda: relation.crd(x, form, 0.07, 0.5)

    return build


def peer_teacher(make):
    x = make.of_peers()
    x |= make.linear("linear", 2 * WIDTH, CLASSES)
    return lambda: online.peer_teacher(x, 3.0)


def one(make):
    x = make.of_peers()
    x |= {"shared": make.leaf(make.embedding())} | make.linear("gate", WIDTH, 2) | make.norm("norm", 2)
    return lambda: online.one(x, 3.0)


def okddip(make):
    x = make.of_peers()
    x |= {"leader": make.leaf(make.logits()), "query.weight": make.weight(8, WIDTH), "key.weight": make.weight(8, WIDTH)}
    return lambda: online.okddip(x, "attention", 3.0)


def mmd(make):
    x = Tensors({f"peer{j}": make.leaf(make.embedding()) for j in range(2)})
    return lambda: online.mmd(x)


def ddgsd(make):
    x = make.of_peers()
    x |= {f"view{j}": x[f"peer{j}"] for j in range(2)}
    return lambda: own.ddgsd(x, temperature=3.0, mu=1.0, **{"lambda": 1.0})


ALL = [0, 1, 2]
LOSSES = {
    "kd": logits(logit.kd, 0.9, 4.0, 4.0, True),
    "soft_cross_entropy": logits(logit.soft_cross_entropy),
    "label_smoothing": logits(logit.label_smoothing, 0.1),
    "dkd": logits(logit.dkd, 1.0, 8.0, 4.0),
    "dist": logits(logit.dist, 1.0, 1.0, 1.0),
    "js": logits(logit.js, 4.0),
    "reverse_kl": logits(logit.reverse_kl, 4.0),
    "mse_logits": logits(logit.mse_logits),
    "fitnet": fitnet,
    "at": sums(lambda x: feature.at(x, "mean_square", 2), ALL),
    "sp": sums(lambda x: relation.sp(x, "rows"), [2]),
    "cc": cc("consecutive"),
    "cc_gaussian": cc("rbf"),
    "pkt": embeddings(relation.pkt),
    "vid": vid,
    "nst": sums(feature.nst, ALL),
    "rkd": embeddings(relation.rkd, 25.0, 50.0),
    "fsp": fsp,
    "ab": ab,
    "ft": ft,
    "irg": irg,
    "crd": crd("nce"),
    "crd_info_nce": crd("info_nce"),
    "dml": peers(online.dml, "pairwise", 3.0),
    "mmd": mmd,
    "peer_teacher": peer_teacher,
    "kdcl_min_logit": peers(online.kdcl, "min_logit", 2.0),
    "one": one,
    "okddip": okddip,
    "tf_kd_virtual": logits(own.tf_kd_virtual, 0.1, 20.0, 0.99, 100.0, "element_mean"),
    "cs_kd": lambda make: (lambda x: lambda: own.cs_kd(x, temperature=4.0, **{"lambda": 1.0}))(make.of_logits("partner")),
    "ps_kd": logits(own.ps_kd, 0.4, other="previous"),
    "ddgsd": ddgsd,
}


def backward(build, batch: int, layout: torch.memory_format):
    """A closure that computes the loss and every gradient."""
    make = Inputs(batch, layout)
    run = build(make)

    def both():
        for leaf in make.leaves:
            leaf.grad = None
        value(run()).backward()

    return both


def measure(name: str, batch: int, build, ours: Ours, step: dict, rounds: int) -> dict:
    """A row: ours, PyTorch's in its faster layout and the step, in turns."""
    layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    closures = {layout: backward(build, batch, form) for layout, form in layouts.items()}
    trial = {}
    for layout, closure in closures.items():
        timed(closure, 1)
        trial[layout] = min(timed(closure, 1) for _ in range(3))
    layout = min(trial, key=trial.get)
    closure = closures[layout]
    request = {"loss": name, "batch": batch}
    first = max(1e-3, min(ours.ask(request | {"repeat": 1})["ms"] for _ in range(3)))
    repeats = [max(1, round(LEAST_MS / time)) for time in (first, trial[layout])]
    ours.ask(request | {"repeat": repeats[0]})
    mine, theirs = [], []
    for turn in range(rounds):
        for who in ((0, 1), (1, 0))[turn % 2]:
            if who == 0:
                mine.append(ours.ask(request | {"repeat": repeats[0]})["ms"])
            else:
                theirs.append(timed(closure, repeats[1]))
    mine, theirs = np.array(mine), np.array(theirs)
    return {
        "loss": name,
        "batch": batch,
        "threads": torch.get_num_threads(),
        "ours_ms": float(np.median(mine)),
        "pytorch_ms": float(np.median(theirs)),
        "ratio": float(np.median(theirs / mine)),
        "share_of_step": float(np.median(mine)) / step["ms"],
    }


def main() -> None:
    wanted = options.parse()
    torch.set_num_threads(wanted.threads)
    rows, steps = [], {}
    ours, trainer = Ours(wanted.binary, wanted.threads), Ours(wanted.binary, wanted.threads)
    try:
        for batch in (64, 256):
            request = {"network": "resnet20", "pass": "step", "batch": batch, "size": 32, "classes": CLASSES, "repeat": 3}
            trainer.ask(request)
            steps[batch] = {"ms": float(np.median([trainer.ask(request)["ms"] for _ in range(9)]))}
            for name, build in LOSSES.items():
                if wanted.only in name:
                    print(f"losses: {name}, batch {batch}", file=sys.stderr, flush=True)
                    rows.append(measure(name, batch, build, ours, steps[batch], wanted.rounds))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        ours.close()
        trainer.close()
    if not rows:
        sys.exit(f"losses: no loss holds {wanted.only!r} in its name")
    if wanted.json:
        json.dump({"steps": steps, "rows": rows}, sys.stdout, indent=1)
        print()
        return
    print("| loss | batch | kd, ms | of the step | PyTorch, ms | ratio |\n|---|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row['loss']} | {row['batch']} | {row['ours_ms']:.3g} | {row['share_of_step']:.2%} "
            f"| {row['pytorch_ms']:.3g} | {row['ratio']:.2f} |"
        )
    for batch, step in steps.items():
        print(f"\n- resnet20 step, batch {batch}: {step['ms']:.1f} ms")
    for name, text in machine.describe(["torch"]).items():
        print(f"- {name}: {text}")


if __name__ == "__main__":
    main()
