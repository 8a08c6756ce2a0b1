"""What several methods are made of: divergences of logits, averaged over the batch."""

import torch.nn.functional as F


def towards(target, logits, temperature):
    """tau^2 KL(target || logits) of logits at a temperature. Nothing is detached here."""
    log_target = F.log_softmax(target / temperature, dim=1)
    log_own = F.log_softmax(logits / temperature, dim=1)
    return temperature**2 * F.kl_div(log_own, log_target, reduction="batchmean", log_target=True)


def mean_distance(a, b):
    """The squared distance of the mean embeddings of two batches: MMD with the linear kernel."""
    return (a.mean(dim=0) - b.mean(dim=0)).square().sum()


def each(term, losses):
    """The losses of several peers under the names that a log gives them."""
    return {f"{term}.{peer}": loss for peer, loss in enumerate(losses)}
