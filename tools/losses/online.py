"""Losses of peers that learn together. The value is the sum over peers, each with the others' side detached."""

import torch
import torch.nn.functional as F

from .harness import Case, labels, linear as linear_parameters, logits, norm, tensor, weight
from .terms import batch_norm, cross_entropy, kl, linear, one_hot, soft

SHAPES = [(batch, classes) for batch in (1, 2, 64) for classes in (2, 10, 100, 1000)]
SOME = [(2, 10), (5, 10), (64, 100)]


def towards(target, peers, temperature):
    """Sum over peers of tau^2 KL(target || peer), the target's logits detached."""
    return sum(temperature**2 * kl(target.detach(), peer, temperature) for peer in peers)


def dml(x, form, temperature):
    """Each peer towards every other one, or towards the mean of the others' logits."""
    peers, value = x.all("peer"), 0
    for j, peer in enumerate(peers):
        others = [other for k, other in enumerate(peers) if k != j]
        targets = others if form == "pairwise" else [torch.stack(others).mean(0)]
        value = value + sum(towards(target, [peer], temperature) for target in targets) / len(targets)
    return value


def mmd(x):
    """Squared distance of each peer's mean feature from each other's, averaged over the others."""
    means = [feature.mean(0) for feature in x.all("peer")]
    pairs = [((own - other.detach()) ** 2).sum() for own in means for other in means if own is not other]
    return sum(pairs) / (len(means) - 1)


def peer_teacher(x, temperature):
    """A linear classifier of all peers' features learns the labels and teaches the peers."""
    teacher = linear(torch.cat(x.all("feature"), 1), x, "linear")
    return cross_entropy(teacher, x.labels) + towards(teacher, x.all("peer"), temperature)


def simplex_weights(stack, target, sweeps=1000):
    """For every sample the a >= 0 with sum 1 that minimises CE(sum a_j z_j, label): stack [J, B, C] to a [B, J].

    Moves mass between two peers at a time, by bisection on the derivative, until no exchange lowers the loss.
    """
    peers, batch = stack.shape[:2]
    a = torch.full((batch, peers), 1 / peers, dtype=stack.dtype)
    rows = torch.arange(batch)

    def slope(a):
        """The derivative of the cross-entropy in every a_j."""
        mixed = torch.einsum("bj,jbc->bc", a, stack)
        return (torch.einsum("bc,jbc->jb", soft(mixed), stack) - stack[:, rows, target]).T

    for _ in range(sweeps):
        for i in range(peers):
            for j in range(i):
                low, high = -a[:, i], a[:, j]  # what may go from j to i
                for _ in range(60):
                    middle = (low + high) / 2
                    trial = a.clone()
                    trial[:, i] += middle
                    trial[:, j] -= middle
                    g = slope(trial)
                    falls = g[:, i] < g[:, j]
                    low, high = torch.where(falls, middle, low), torch.where(falls, high, middle)
                total, new = a[:, i] + a[:, j], (a[:, i] + (low + high) / 2).clamp_min(0)
                new = torch.where(new < 1e-15, torch.zeros_like(new), torch.where(total - new < 1e-15, total, new))
                a[:, i], a[:, j] = new, total - new
        g = slope(a)
        gap = (torch.where(a > 0, g, -torch.inf).amax(1) - g.amin(1)).max()
        if gap < 1e-12:
            return a
    raise ValueError(f"weights not found: gap {gap}")


def ensemble_weights(validation, target):
    """C^-1 1 / (1^T C^-1 1), C the mean products of two peers' errors on the validation set."""
    errors = [soft(z) - one_hot(target, z.shape[1]) for z in validation]
    covariance = torch.stack([torch.stack([(a * b).sum(1).mean() for b in errors]) for a in errors])
    solved = torch.linalg.solve(covariance, torch.ones(len(errors), dtype=covariance.dtype))
    return solved / solved.sum()


def kdcl(x, form, temperature):
    """Peers towards one target made of them: the best, the best mixture, the least logits, or a weighted mean."""
    peers, extra = x.all("peer"), {}
    stack, rows = torch.stack(peers).detach(), torch.arange(len(x.labels))
    if form == "naive":
        own = F.log_softmax(stack, 2)[:, rows, x.labels]
        target = stack[own.argmax(0), rows]
    elif form == "linear":
        extra["weights"] = simplex_weights(stack, x.labels)
        target = torch.einsum("bj,jbc->bc", extra["weights"], stack)
    elif form == "min_logit":
        target = (stack - stack[:, rows, x.labels][:, :, None]).amin(0)
    else:
        validation = x.all("val")
        extra["weights"] = ensemble_weights(validation, labels(*validation[0].shape))
        target = torch.einsum("j,jbc->bc", extra["weights"], stack)
    return towards(target, peers, temperature), extra


def one(x, temperature):
    """A gate mixes the peers' logits; the mixture learns the labels and teaches the peers."""
    gate = F.softmax(batch_norm(linear(x.shared, x, "gate"), x, "norm").relu(), 1)
    mixed = torch.einsum("bj,jbc->bc", gate, torch.stack(x.all("peer")))
    return cross_entropy(mixed, x.labels) + towards(mixed, x.all("peer"), temperature)


def okddip(x, form, temperature):
    """Each peer towards its own attention-weighted mixture of all, a leader towards their mean."""
    peers = x.all("peer")
    features = torch.stack(x.all("feature"), 1)
    query, key = features @ x["query.weight"].T, features @ x["key.weight"].T
    attention = F.softmax(query @ key.transpose(1, 2), 2)
    targets = attention @ torch.stack(peers, 1).detach()
    targets = targets if form == "attention" else targets.detach()
    value = sum(temperature**2 * kl(targets[:, j], peer, temperature) for j, peer in enumerate(peers))
    return value + towards(torch.stack(peers).mean(0), [x.leader], temperature)


def peers_of(count, batch, classes):
    return {f"peer{j}": logits(batch, classes) for j in range(count)}


def features_of(count, batch, dimension, name="feature"):
    return {f"{name}{j}": tensor((batch, dimension)) for j in range(count)}


def sized(few, many):
    """Peers, batch, classes: all shapes with few peers, some with many."""
    yield from ((few, *shape) for shape in SHAPES)
    yield from ((many, *shape) for shape in SOME)


def kdcl_cases():
    for form in ("naive", "linear", "min_logit", "general"):
        for count, batch, classes in sized(2, 3):
            inputs = peers_of(count, batch, classes)
            if form == "general":
                inputs |= {f"val{j}": logits(40, classes) for j in range(count)}
            name = f"b{batch}_c{classes}_j{count}"
            yield Case(
                "kdcl", name, kdcl, inputs, {"form": form, "temperature": 2.0}, classes=classes, constant=("val",)
            )


def cases():
    for count, batch, classes in sized(2, 4):
        for form in ("pairwise", "mean_logits"):
            inputs = peers_of(count, batch, classes)
            yield Case("dml", f"b{batch}_c{classes}_j{count}", dml, inputs, {"form": form, "temperature": 3.0})
    for batch, dimension in ((1, 5), (2, 7), (5, 16), (64, 64)):
        for count in (2, 4):
            yield Case("mmd", f"b{batch}_d{dimension}_j{count}", mmd, features_of(count, batch, dimension, "peer"))
    yield from kdcl_cases()
    for count, batch, classes in sized(2, 3):
        name, dimension, params = f"b{batch}_c{classes}_j{count}", 7, {"temperature": 3.0}
        peers, features = peers_of(count, batch, classes), features_of(count, batch, dimension)
        parameters = linear_parameters("linear", count * dimension, classes)
        inputs = peers | features
        yield Case("peer_teacher", name, peer_teacher, inputs, params, parameters, classes, constant=("feature",))
        if batch > 1:
            parameters = linear_parameters("gate", dimension, count) | norm("norm", count)
            inputs = peers | {"shared": tensor((batch, dimension))}
            yield Case("one", name, one, inputs, params, parameters, classes)
        parameters = {f"{side}.weight": weight(4, dimension, fan_in=dimension) for side in ("query", "key")}
        inputs = peers | {"leader": logits(batch, classes)} | features
        yield Case("okddip", name, okddip, inputs, {"form": "attention"} | params, parameters)
        if (batch, classes) in SOME:
            unused = ("feature", "query", "key")
            yield Case("okddip", name, okddip, inputs, {"form": "detached"} | params, parameters, constant=unused)
