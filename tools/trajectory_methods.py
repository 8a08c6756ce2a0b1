"""PyTorch's course of twenty training steps of each method, to compare the trainer's terms with.

Writes crates/kd-train/tests/fixtures/methods.json; README.md beside this file states the methods,
the formulas and the fields.

    python tools/trajectory_methods.py              writes the fixture
    python tools/trajectory_methods.py dml one      prints the courses of these, and writes nothing
"""

import argparse
import json
from pathlib import Path

import torch

from trajectories.course import run
from trajectories.offline import Crd, SpKdTwoViews, Vid
from trajectories.online import CutnMix, Dml, Kdcl, Okddip, One
from trajectories.own import CsKd, Ddgsd, PsKd

OUT = Path(__file__).parent.parent / "crates/kd-train/tests/fixtures/methods.json"
METHODS = {
    "sp_kd_two_views": SpKdTwoViews,
    "vid": Vid,
    "crd": Crd,
    "dml": Dml,
    "cutnmix": CutnMix,
    "kdcl": Kdcl,
    "one": One,
    "okddip": Okddip,
    "ps_kd": PsKd,
    "cs_kd": CsKd,
    "ddgsd": Ddgsd,
}


def rounded(value, digits):
    """A copy in which every float has so many digits."""
    if isinstance(value, dict):
        return {key: rounded(v, digits) for key, v in value.items()}
    if isinstance(value, list):
        return [rounded(v, digits) for v in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def main():
    parser = argparse.ArgumentParser(description="courses of training of every method")
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=", ".join(METHODS))
    chosen = parser.parse_args().methods
    if unknown := set(chosen) - METHODS.keys():
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(METHODS)}")
    torch.set_num_threads(1)
    courses = {}
    for name in chosen or METHODS:
        course = run(METHODS[name]())
        losses = course["loss"]
        print(f"{name:16} loss {losses[0]:.6f} -> {losses[-1]:.6f}, terms of the first step:")
        print(" " * 17 + ", ".join(f"{n} {v:.3g}" for n, v in course["terms"].items()))
        courses[name] = rounded(course, 9) | {"loss": rounded(losses, 12)}
    if chosen:
        return
    text = json.dumps({"torch": torch.__version__, "methods": courses}, separators=(",", ":"))
    OUT.write_text(text.replace('},"', '},\n"').replace('],"', '],\n"') + "\n")
    print(f"{OUT}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
