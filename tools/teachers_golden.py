"""Golden values of three pretrained CIFAR-10 teachers on the real test images, from PyTorch in float32 and numpy.

Writes crates/kd-models/tests/fixtures/teachers.json. DIR holds `teachers/*.th` (option-A ResNet-20/32/56, input normalised with
ImageNet's statistics), `cifar-10-batches-bin/test_batch.bin` in the order of the python version, and
`cifar-10h/cifar10h-probs.npy`. For each teacher:
    logits     of the first 256 test images, row by row, 6 significant digits
and over all 10,000, from softmax in float64 of the float32 logits:
    top1, top5 share of images whose label is the first, or among the first five (ties: the lower class index first)
    nll        mean of -log p(label), nats
    ece        expected calibration error of the top class, 15 bins of equal width, (lo, hi], 0 in the first bin
    kl_human   mean over images of KL(human || teacher), nats; 0 log 0 = 0

    python tools/teachers_golden.py --data DIR
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import formula
from resnet import ResNet

OUT = Path(__file__).parent.parent / "crates/kd-models/tests/fixtures/teachers.json"
FILES = {
    "resnet20": (20, "resnet20-12fca82f.th"),
    "resnet32": (32, "resnet32-d509ac18.th"),
    "resnet56": (56, "resnet56-4bfd9763.th"),
}


def test_set(data):
    raw = np.fromfile(data / "cifar-10-batches-bin/test_batch.bin", np.uint8).reshape(10000, 3073)
    return raw[:, 1:].reshape(10000, 3, 32, 32), raw[:, 0].astype(np.int64)


def load(depth, path):
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    model = ResNet(depth, classes=10, option="A")
    model.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
    return model.eval()


def logits_of(model, images):
    out = []
    with torch.no_grad():
        for chunk in np.array_split(images, 40):
            pixels = (torch.from_numpy(chunk).float() / 255).to(model.conv1.weight.dtype)
            out.append(model(formula.normalise(pixels, formula.IMAGENET)).numpy())
    return np.concatenate(out)


def log_softmax(z):
    z = z.astype(np.float64)
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def ece(confidence, correct, bins=15):
    """Each sample is put into its bin by looking for it, bin by bin."""
    total = 0.0
    for b in range(bins):
        lo, hi = b / bins, (b + 1) / bins
        inside = (confidence > lo) & (confidence <= hi)
        if b == 0:
            inside |= confidence == 0
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return total


def measures(logits, labels, human):
    log_p = log_softmax(logits)
    order = np.argsort(-logits, axis=1, kind="stable")
    hits = order == labels[:, None]
    safe = np.where(human > 0, human, 1.0)
    kl = np.where(human > 0, human * (np.log(safe) - log_p), 0.0).sum(axis=1)
    return {
        "top1": float(hits[:, 0].mean()),
        "top5": float(hits[:, :5].any(axis=1).mean()),
        "nll": float(-log_p[np.arange(len(labels)), labels].mean()),
        "ece": float(ece(np.exp(log_p.max(axis=1)), hits[:, 0])),
        "kl_human": float(kl.mean()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    torch.set_num_threads(1)
    images, labels = test_set(data)
    human = np.load(data / "cifar-10h/cifar10h-probs.npy")
    lines = []
    for name, (depth, file) in FILES.items():
        model = load(depth, data / "teachers" / file)
        logits = logits_of(model, images)
        found = measures(logits, labels, human)
        exact = logits_of(model.double(), images[:256])
        print(name, found, f"|float32 - float64| of the logits: {np.abs(exact - logits[:256]).max():.1e}", flush=True)
        rounded = [float(f"{v:.6g}") for v in logits[:256].flatten().tolist()]
        lines.append(f'"{name}":' + json.dumps({"file": file, **found, "logits": rounded}, separators=(",", ":")))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(f'{{"torch":"{torch.__version__}",\n' + ",\n".join(lines) + "}\n")
    print(f"{OUT}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
