"""PyTorch's course of a distillation training, step by step, to compare the trainer with.

Writes crates/kd-train/tests/fixtures/trajectory.json; README.md beside this file states the experiment, the formulas and the
fields.

    python tools/trajectory.py
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import formula
from resnet import ResNet

OUT = Path(__file__).parent.parent / "crates/kd-train/tests/fixtures/trajectory.json"
STEPS, BATCH, TAU = 50, 16, 4.0
LR, DROP_AFTER = 0.05, 30
MOMENTUM, DECAY = float(np.float32(0.9)), float(np.float32(5e-4))  # as single-precision optimisers hold them
MODES = {
    "ce": {"ce": 1.0},
    "kd": {"ce": 0.1, "kl": 0.9},
    "kd_mixed": {"ce": 0.1, "kl": 0.9, "kl_mixed": 0.9},
}


def batch(step, dtype):
    return formula.pixels(step * BATCH, BATCH, dtype), torch.from_numpy(formula.labels(step * BATCH, BATCH))


def cutmix(pixels):
    """Rows 8..24 and columns 4..20 of each image come from its partner, the batch in reversed order."""
    mixed = pixels.clone()
    mixed[:, :, 8:24, 4:20] = pixels.flip(0)[:, :, 8:24, 4:20]
    return mixed


def kl(student, teacher):
    log_s, log_t = F.log_softmax(student / TAU, dim=1), F.log_softmax(teacher / TAU, dim=1)
    return F.kl_div(log_s, log_t, reduction="batchmean", log_target=True) * TAU**2


def summary(tensor):
    flat = tensor.detach().double().flatten()
    return [flat.sum().item(), flat.abs().sum().item(), *flat[:4].tolist()]


def train(mode, nesterov, dtype):
    weights = MODES[mode]
    student = formula.fill(ResNet(8), "student", False).to(dtype).train()
    teacher = formula.fill(ResNet(14), "teacher", True).to(dtype).eval()
    see = lambda pixels: student(formula.normalise(pixels, formula.CIFAR))
    ask = lambda pixels: teacher(formula.normalise(pixels, formula.IMAGENET)).detach()
    sgd = torch.optim.SGD(student.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY, nesterov=nesterov)
    losses, first = [], None
    for step in range(STEPS):
        for group in sgd.param_groups:
            group["lr"] = LR if step < DROP_AFTER else LR * 0.1
        pixels, labels = batch(step, dtype)
        logits = see(pixels)
        terms = {"ce": F.cross_entropy(logits, labels)}
        if "kl" in weights:
            terms["kl"] = kl(logits, ask(pixels))
        if "kl_mixed" in weights:
            mixed = cutmix(pixels)
            terms["kl_mixed"] = kl(see(mixed), ask(mixed))
        loss = sum(weights[name] * terms[name] for name in weights)
        losses.append(loss.item())
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        if step == 0:
            first = {"terms": {name: term.item() for name, term in terms.items()}}
            first["student_logits"] = logits.detach().double().flatten().tolist()
            first["teacher_logits"] = ask(pixels).double().flatten().tolist()
            first["momentum"] = {p: summary(sgd.state[w]["momentum_buffer"]) for p, w in student.named_parameters()}
            first["weights"] = {p: summary(w) for p, w in student.named_parameters()}
            for path, layer in student.named_modules():
                if isinstance(layer, torch.nn.BatchNorm2d):
                    first.setdefault("running_mean", {})[path] = summary(layer.running_mean)
                    first.setdefault("running_var", {})[path] = summary(layer.running_var)
    return losses, first


def rounded(value, digits):
    if isinstance(value, dict):
        return {key: rounded(v, digits) for key, v in value.items()}
    if isinstance(value, list):
        return [rounded(v, digits) for v in value]
    return float(f"{value:.{digits}g}")


def largest(a, b, steps):
    return max(abs(x - y) for x, y in zip(a[:steps], b[:steps]))


def probes():
    images = formula.images(0, 2 * BATCH)
    state = {
        "student.conv1.weight": formula.parameter("student", "conv1.weight", (16, 3, 3, 3), False),
        "teacher.layer2.0.downsample.1.running_var": formula.parameter(
            "teacher", "layer2.0.downsample.1.running_var", (32,), True
        ),
    }
    return {
        "fnv1a_student.conv1.weight": hex(formula.fnv1a("student.conv1.weight")),
        "weights": {name: tensor.flatten()[:8].tolist() for name, tensor in state.items()},
        "labels": formula.labels(0, BATCH).tolist(),
        "image_0_channel_0_row_0": images[0, 0, 0, :8].tolist(),
        "image_17_channel_2_row_31": images[17, 2, 31, :8].tolist(),
    }


def main():
    torch.set_num_threads(1)
    runs = {}
    for mode in MODES:
        for nesterov in (False, True):
            name = f"{mode}{'_nesterov' if nesterov else ''}"
            double, first = train(mode, nesterov, torch.float64)
            single, _ = train(mode, nesterov, torch.float32)
            with torch.backends.mkldnn.flags(enabled=False):
                other, _ = train(mode, nesterov, torch.float32)
            if nesterov:  # differ from the plain run only in the weights
                first = {"weights": first["weights"]}
            runs[name] = {
                "loss_f64": rounded(double, 12),
                "loss_f32": rounded(single, 9),
                "after_step_1": rounded(first, 9),
            }
            gaps = [f"{largest(double, x, n):.1e}" for x in (single, other) for n in (5, 10, 20, 50)]
            print(f"{name:18} loss {double[0]:.4f} -> {double[29]:.4f} -> {double[-1]:.4f}, |f32 - f64| in the first")
            print(f"{'':18} 5, 10, 20, 50 steps: oneDNN {' '.join(gaps[:4])}, PyTorch's own {' '.join(gaps[4:])}")
    fixture = {"torch": torch.__version__, "probes": probes(), "runs": runs}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(fixture, separators=(",", ":")).replace('},"', '},\n"') + "\n")
    print(f"{OUT}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
