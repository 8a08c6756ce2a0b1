"""What all methods have in common: what is trained, the optimiser, and the digests."""

import numpy as np
import torch
from torch import nn

import formula

STEPS, RATE = 20, 0.05
# As single-precision optimisers hold them.
MOMENTUM, DECAY = float(np.float32(0.9)), float(np.float32(5e-4))
# Tensors of parts that start as the loss defines it, not by formula.
DEFINED = ("log_scale", "normalizers", "predictions")


class Method:
    """A method: its networks by name, and the parts of its terms, which are trained with them."""

    weights = {}

    def __init__(self, parts=None, **networks):
        self.networks = networks
        self.parts = nn.ModuleDict(parts or {}).double().train()
        with torch.no_grad():
            for path, tensor in self.parts.state_dict().items():
                if tensor.is_floating_point() and not path.endswith(DEFINED):
                    values = formula.parameter("terms", path, tuple(tensor.shape), False)
                    tensor.copy_(values)

    def terms(self, step):
        """The losses of a step by name, not weighted."""
        raise NotImplementedError

    def remember(self):
        """Keeps what an applied step leaves to remember."""

    def probes(self):
        return {}

    def weight(self, name):
        """`peer_teacher.teacher` has a weight of its own; `dml.1` has that of `dml`."""
        return self.weights[name] if name in self.weights else self.weights[name.split(".")[0]]

    def parameters(self):
        modules = [*self.networks.values(), self.parts]
        return [parameter for module in modules for parameter in module.parameters()]

    def modules(self):
        return self.networks | ({"terms": self.parts} if len(self.parts) else {})


def run(method):
    """The course of a method, as it stands in the fixture."""
    parameters = method.parameters()
    sgd = torch.optim.SGD(parameters, lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    probes, losses, first = method.probes(), [], {}
    for step in range(STEPS):
        terms = method.terms(step)
        total = sum(method.weight(name) * value for name, value in terms.items())
        losses.append(total.item())
        first = first or {name: value.item() for name, value in terms.items()}
        sgd.zero_grad()
        total.backward()
        if step == 0 and any(parameter.grad is None for parameter in parameters):
            raise ValueError("a parameter without a gradient")
        sgd.step()
        with torch.no_grad():
            method.remember()
    return {"loss": losses, "terms": first, "after": digests(method)} | probes


def digests(method):
    """Of every parameter, statistic and memory: sum, sum of magnitudes, first four elements."""
    result = {}
    for name, module in method.modules().items():
        state = module.state_dict().items()
        result[name] = {path: digest(x) for path, x in state if x.is_floating_point()}
    return result


def digest(tensor):
    flat = tensor.detach().flatten()
    if not torch.isfinite(flat).all():
        raise ValueError("not finite")
    return [flat.sum().item(), flat.abs().sum().item(), *flat[:4].tolist()]
