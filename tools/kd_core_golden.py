"""Golden values of the distillation losses from PyTorch in float64.

Writes crates/kd-core/tests/fixtures/kd_loss.json. Inputs are formulas that the Rust test computes too, so the file holds
only results:

    logits[i][j] = 3 sin(0.37 i + 1.3 j + phase)    phase = 0 for the student, 2 for the teacher
    labels[i]    = (7 i + 3) mod classes

For each batch, classes, temperature and alpha:
    kd, kl       mean over the batch of (1 - alpha) CE + alpha tau^2 KL(teacher || student), and of tau^2 KL alone
    kd_gradient, kl_gradient
                 gradient with respect to the student's logits: all of it, row by row, where batch * classes <= 20;
                 else one number per row, sum_j gradient[i][j] cos(0.7 j + 0.3)
`kl` depends on no alpha and stands in `kl_cases`.

    python tools/kd_core_golden.py
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

OUT = Path(__file__).parent.parent / "crates/kd-core/tests/fixtures/kd_loss.json"


def logits(batch, classes, phase):
    rows = [[3 * math.sin(0.37 * i + 1.3 * j + phase) for j in range(classes)] for i in range(batch)]
    return torch.tensor(rows, dtype=torch.float64)


def digest(gradient):
    batch, classes = gradient.shape
    if batch * classes <= 20:
        return gradient.flatten().tolist()
    weights = torch.tensor([math.cos(0.7 * j + 0.3) for j in range(classes)], dtype=torch.float64)
    return (gradient @ weights).tolist()


def teacher_term(student, teacher, tau):
    log_s = F.log_softmax(student / tau, dim=1)
    p_t = F.softmax(teacher / tau, dim=1)
    return F.kl_div(log_s, p_t, reduction="batchmean") * tau**2


def main():
    torch.set_num_threads(1)
    kd_cases, kl_cases = [], []
    for batch in (1, 2, 64):
        for classes in (2, 10, 100):
            teacher = logits(batch, classes, 2.0)
            labels = torch.tensor([(7 * i + 3) % classes for i in range(batch)])
            for tau in (1.0, 4.0, 20.0):
                key = {"batch": batch, "classes": classes, "temperature": tau}
                student = logits(batch, classes, 0.0).requires_grad_()
                loss = teacher_term(student, teacher, tau)
                loss.backward()
                kl_cases.append({**key, "value": loss.item(), "gradient": digest(student.grad)})
                for alpha in (0.0, 0.5, 0.9, 1.0):
                    student = logits(batch, classes, 0.0).requires_grad_()
                    ce = F.cross_entropy(student, labels)
                    loss = (1 - alpha) * ce + alpha * teacher_term(student, teacher, tau)
                    loss.backward()
                    kd_cases.append({**key, "alpha": alpha, "value": loss.item(), "gradient": digest(student.grad)})
    OUT.parent.mkdir(parents=True, exist_ok=True)
    lines = lambda cases: ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    OUT.write_text(
        f'{{"torch":"{torch.__version__}","kd":[\n{lines(kd_cases)}\n],"kl":[\n{lines(kl_cases)}\n]}}\n'
    )
    print(f"{OUT}: {OUT.stat().st_size} bytes, {len(kd_cases)} + {len(kl_cases)} cases")


if __name__ == "__main__":
    main()
