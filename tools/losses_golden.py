"""Golden values of every loss from PyTorch's automatic differentiation in float64.

Writes crates/kd-core/tests/fixtures/losses.json: {"torch": version, "cases": [...]}, a case a line. A case states its
loss, its parameters and how its tensors are filled, by a formula of their names (README.md); then the value and the
gradients. The losses are in losses/, a function each: logit.py, feature.py, relation.py, online.py and own.py
(self-distillation).

    python tools/losses_golden.py                   writes the fixture
    python tools/losses_golden.py --upstream DIR    compares with published implementations, checked out in DIR as
                                                    owner+name or name; prints a table and writes nothing
"""

import argparse
import json
from pathlib import Path

import torch

from losses import feature, logit, online, own, relation

OUT = Path(__file__).parent.parent / "crates/kd-core/tests/fixtures/losses.json"


def all_cases():
    return [case for module in (logit, feature, relation, online, own) for case in module.cases()]


def main():
    parser = argparse.ArgumentParser(description="golden values of the losses")
    parser.add_argument(
        "--upstream", type=Path, help="folder of checkouts of published implementations to compare with"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = all_cases()
    if arguments.upstream:
        from losses import upstream

        print("\n".join(upstream.table(cases, arguments.upstream)))
        return
    lines = ",\n".join(json.dumps(case.record(), separators=(",", ":"), allow_nan=False) for case in cases)
    OUT.write_text(f'{{"torch":"{torch.__version__}","cases":[\n{lines}\n]}}\n')
    print(f"{OUT}: {OUT.stat().st_size} bytes, {len(cases)} cases of {len({case.loss for case in cases})} losses")


if __name__ == "__main__":
    main()
