"""Checkpoints as PyTorch writes them, in small: two tensors of a ResNet-8, under the entries that published code uses.

Writes crates/kd-models/tests/fixtures/checkpoints: `model.pth` (RepDistiller), `state_dict.th` (with `module.` before the names),
`bare.pth`, `legacy.pth` (the format before PyTorch 1.6) and `harmful.pth`, whose pickle calls a function when Python loads it. `conv1.weight` is
that of formula.py for the network `checkpoint`; `fc.bias` is 0.

    python tools/checkpoints.py
"""

import pickle
import zipfile
from pathlib import Path

import torch

import formula

OUT = Path(__file__).parent.parent / "crates/kd-models/tests/fixtures/checkpoints"


class Harm:
    def __reduce__(self):
        return (open, ("harm.txt", "w"))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    weight = formula.parameter("checkpoint", "conv1.weight", (16, 3, 3, 3), True).float()
    tensors = {"conv1.weight": weight, "fc.bias": torch.zeros(10)}
    torch.save({"epoch": 240, "model": tensors, "best_acc": torch.tensor(72.5)}, OUT / "model.pth")
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}}, OUT / "state_dict.th")
    torch.save(tensors, OUT / "bare.pth")
    torch.save(tensors, OUT / "legacy.pth", _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(OUT / "harmful.pth", "w") as archive:
        archive.writestr("harmful/data.pkl", pickle.dumps({"model": Harm()}, protocol=2))
        archive.writestr("harmful/version", "3\n")
    for path in sorted(OUT.iterdir()):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
