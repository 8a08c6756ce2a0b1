"""Twenty steps of a small network by each optimiser, schedule, clipping, accumulation and average.

    python tools/optimisers.py

Writes crates/kd-train/tests/fixtures/optimisers.json: the loss before each step, the learning rate
of each step, and sums over the weights after the last one, in float64. The network is linear, tanh,
linear: 12 inputs, 16 units, 5 classes, filled by formula. Batches of 8 of 40 inputs, in order, for
four epochs.
"""

import json
import math
from pathlib import Path

import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

INPUTS, UNITS, CLASSES, BATCH, IMAGES, EPOCHS = 12, 16, 5, 8, 40, 4
STEPS = IMAGES // BATCH * EPOCHS


def formula(count, phase, scale):
    """Numbers that a formula gives on both sides."""
    return torch.tensor([scale * math.sin(1.7 * i + phase) for i in range(count)])


def network():
    """The network, filled."""
    made = nn.Sequential(nn.Linear(INPUTS, UNITS), nn.Tanh(), nn.Linear(UNITS, CLASSES))
    with torch.no_grad():
        made[0].weight.copy_(formula(UNITS * INPUTS, 0.1, 0.4).reshape(UNITS, INPUTS))
        made[0].bias.copy_(formula(UNITS, 0.2, 0.1))
        made[2].weight.copy_(formula(CLASSES * UNITS, 0.3, 0.4).reshape(CLASSES, UNITS))
        made[2].bias.copy_(formula(CLASSES, 0.4, 0.1))
    return made


def batch(number):
    """Inputs and labels of a batch, counted over the epochs."""
    first = number % (IMAGES // BATCH) * BATCH
    inputs = formula(IMAGES * INPUTS, 0.5, 1.0).reshape(IMAGES, INPUTS)
    labels = torch.arange(IMAGES) * 7 % CLASSES
    return inputs[first : first + BATCH], labels[first : first + BATCH]


def course(make, schedule=None, accumulate=1, clip=None, average=None, decay_weights_alone=None):
    """Trains, and says what happened."""
    model = network()
    parameters = model.parameters()
    if decay_weights_alone is not None:
        ranks = [[p for p in model.parameters() if (p.dim() > 1) == wide] for wide in (True, False)]
        parameters = [
            {"params": ranks[0], "weight_decay": decay_weights_alone},
            {"params": ranks[1], "weight_decay": 0.0},
        ]
    optimizer = make(parameters)
    scheduler = schedule(optimizer) if schedule else None
    shadow = average and AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(average))
    losses, rates = [], []
    for step in range(STEPS):
        inputs, labels = batch(step)
        loss = nn.functional.cross_entropy(model(inputs), labels)
        losses.append(loss.item())
        (loss / accumulate).backward()
        if (step + 1) % accumulate == 0:
            rates.append(optimizer.param_groups[0]["lr"])
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            optimizer.zero_grad()
            if scheduler:
                scheduler.step()
            if shadow:
                shadow.update_parameters(model)
    sums = [[p.sum().item(), p.abs().sum().item()] for p in model.parameters()]
    found = {"loss": losses, "rate": rates, "weights": sums}
    if shadow:
        found["average"] = [[p.sum().item(), p.abs().sum().item()] for p in shadow.parameters()]
    return found


def warm_cosine(optimizer):
    """A rise over the first fifth of the steps, then half a cosine over the rest."""
    warm = math.ceil(0.2 * STEPS)

    def factor(step):
        rise = min(1.0, (step + 1) / warm)
        share = max(0, step - warm) / (STEPS - warm)
        return rise * 0.5 * (1 + math.cos(math.pi * share))

    return lr_scheduler.LambdaLR(optimizer, factor)


def sgd(parameters, rate=0.3, decay=5e-4):
    return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=decay)


def one_cycle_of_the_run(optimizer):
    """OneCycleLR over exactly the steps of the run; it refuses the step after the last."""
    scheduler = lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.5, total_steps=STEPS, pct_start=0.3, cycle_momentum=False
    )
    rates = []
    for _ in range(STEPS - 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    rates.append(optimizer.param_groups[0]["lr"])
    return rates


def main():
    rates = one_cycle_of_the_run(sgd([nn.Parameter(torch.zeros(1))], rate=0.5))
    cycle = lambda optimizer: lr_scheduler.LambdaLR(
        optimizer, lambda step: rates[min(step, STEPS - 1)] / 0.5
    )
    # Burn raises betas to powers in single precision: of these the first powers are exact.
    betas = (0.875, 0.96875)
    courses = {
        "adamw_warm_cosine": course(
            lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.05, betas=betas), warm_cosine
        ),
        "adamw": course(lambda p: torch.optim.AdamW(p, lr=0.02)),
        "one_cycle": course(lambda p: sgd(p, rate=0.5), cycle),
        "accumulate": course(sgd, accumulate=2),
        "clip": course(sgd, clip=0.2),
        "accumulate_and_clip": course(sgd, accumulate=2, clip=0.2),
        "ema": course(sgd, average=0.9),
        "decay_weights_alone": course(lambda p: sgd(p, decay=0.05), decay_weights_alone=0.05),
        "adam": course(lambda p: torch.optim.Adam(p, lr=0.02, weight_decay=0.01, betas=betas)),
        "rmsprop": course(lambda p: torch.optim.RMSprop(p, lr=0.005, alpha=0.95, momentum=0.5)),
        "adagrad": course(lambda p: torch.optim.Adagrad(p, lr=0.05)),
    }
    path = Path(__file__).parent.parent / "crates/kd-train/tests/fixtures/optimisers.json"
    path.write_text(json.dumps(courses, indent=1) + "\n")


if __name__ == "__main__":
    main()
