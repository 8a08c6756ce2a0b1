"""A case: inputs by formula, one loss, its value and its gradients. `../README.md` states the formulas."""

import math
from dataclasses import dataclass, field
from typing import Callable

import torch

import formula

LISTED = 12
DIGESTS = 4


def tensor(shape, scale=1.0, offset=0.3):
    """How a tensor is filled: offset + scale * u."""
    return {"shape": list(shape), "scale": scale, "offset": offset}


def logits(batch, classes):
    return tensor((batch, classes), 3.0, 0.0)


def weight(*shape, fan_in):
    return tensor(shape, 1 / math.sqrt(fan_in), 0.0)


def bias(*shape):
    return tensor(shape, 0.1, 0.0)


def linear(name, inputs, outputs):
    """The parameters `name.weight` and `name.bias` of a linear layer."""
    return {f"{name}.weight": weight(outputs, inputs, fan_in=inputs), f"{name}.bias": bias(outputs)}


def norm(name, channels):
    """The parameters `name.gamma` and `name.beta` of a batch norm."""
    return {f"{name}.gamma": tensor((channels,), 0.1, 1.0), f"{name}.beta": bias(channels)}


def labels(count, classes):
    return torch.tensor([(7 * i + 3) % classes for i in range(count)])


class Tensors(dict):
    """The tensors of a case by name: `x.student`, `x["conv.weight"]`, `x.all("peer")` for [peer0, peer1, ...]."""

    def __getattr__(self, name):
        return self[name]

    def all(self, prefix):
        return [self[f"{prefix}{j}"] for j in range(len(self)) if f"{prefix}{j}" in self]


@dataclass
class Case:
    """One call of `function(tensors, **params)`; it returns the loss, or the loss and a dict of further results."""

    loss: str
    name: str
    function: Callable
    inputs: dict
    params: dict = field(default_factory=dict)
    parameters: dict = field(default_factory=dict)
    classes: int = 0  # labels are given if it is not 0
    constant: tuple = ()  # inputs and parameters without a gradient, by the start of their names
    integers: dict = field(default_factory=dict)

    def differentiable(self):
        names = [*self.inputs, *self.parameters]
        return [name for name in names if not name.startswith(("teacher", *self.constant))]

    def tensors(self):
        result = Tensors()
        for name, fill in {**self.inputs, **self.parameters}.items():
            key = f"{self.loss}.{self.name}.{fill.get('same', name)}"
            u = torch.from_numpy(formula.uniform(key, math.prod(fill["shape"])))
            result[name] = (fill["offset"] + fill["scale"] * u).reshape(fill["shape"])
        for name in self.differentiable():
            result[name].requires_grad_()
        if self.classes:
            result["labels"] = labels(next(iter(self.inputs.values()))["shape"][0], self.classes)
        for name, values in self.integers.items():
            result[name] = torch.tensor(values)
        return result

    def evaluate(self, function=None):
        """The value, the gradients by name and further results, of this case's function or of another one."""
        x = self.tensors()
        value = (function or self.function)(x, **self.params)
        value, extra = value if isinstance(value, tuple) else (value, {})
        return value, gradients(value, {name: x[name] for name in self.differentiable()}), extra, x

    def record(self):
        """The case as it stands in the fixture."""
        value, gradient, extra, x = self.evaluate()
        second = extra.pop("value2", None)
        if second is not None:
            at_second = gradients(second, {n: x[n] for n in gradient if n != "student"})
            del gradient["student2"]
        result = {"loss": self.loss, "case": self.name, "params": self.params, "inputs": self.inputs}
        if self.parameters:
            result["parameters"] = self.parameters
        if self.classes:
            result["labels"] = True
        result |= self.integers | {"value": value.item(), "gradients": {n: digest(g) for n, g in gradient.items()}}
        if second is not None:
            result |= {"value2": second.item(), "gradients2": {n: digest(g) for n, g in at_second.items()}}
        if extra:
            result["extra"] = {n: digest(e) for n, e in extra.items()}
        return result


def gradients(value, tensors):
    found = torch.autograd.grad(value, list(tensors.values()), retain_graph=True, allow_unused=True)
    return {n: torch.zeros_like(t) if g is None else g for (n, t), g in zip(tensors.items(), found)}


def digest(values):
    """All elements if there are at most LISTED, else DIGESTS sums weighted by u("digest0"), u("digest1"), ..."""
    flat = values.detach().flatten()
    if not torch.isfinite(flat).all():
        raise ValueError("not finite")
    if len(flat) <= LISTED:
        return flat.tolist()
    return [(flat * torch.from_numpy(formula.uniform(f"digest{k}", len(flat)))).sum().item() for k in range(DIGESTS)]
