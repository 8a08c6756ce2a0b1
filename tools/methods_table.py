"""Trains a student by every named recipe and prints one Markdown table.

    python tools/methods_table.py DISTILL --data DIR --teacher FILE --out DIR [--only NAME ...]

DISTILL is the built example. Each run is of ResNet-8 on the first 10,000 images of CIFAR-10 for
three epochs, with the recipe as it is named; what counts epochs is scaled to three of them. Offline
methods learn from the teacher, a ResNet-20, `tf_kd_self` from the student of `ce`. A run that is complete is not
repeated, and one that was stopped goes on.
"""

import argparse
import json
import subprocess
from pathlib import Path

EPOCHS = 3

# Ramps count epochs, so they are scaled: 20 of 240, and 80 of 300.
RAMPS = {
    "dkd": 'terms.dkd.ramp={ kind = "linear", epochs = 0.25 }',
    "one": 'terms.one.ramp={ kind = "gaussian", epochs = 0.8 }',
    "okddip": 'terms.okddip.ramp={ kind = "gaussian", epochs = 0.8 }',
    "okddip_networks": 'terms.okddip.ramp={ kind = "gaussian", epochs = 0.8 }',
}


def run(options, recipe):
    """Runs one recipe to its end. Returns what it printed as JSON."""
    folder = options.out / recipe
    own = recipe == "tf_kd_self"
    teacher = options.out / "ce/student.safetensors" if own else options.teacher
    command = [options.distill, "--recipe", recipe, "--data", options.data, "--student", "resnet8"]
    command += ["--limit", "10000", "--epochs", str(EPOCHS), "--set", "log.evaluate_epochs=0"]
    command += ["--teacher", "resnet8" if own else "resnet20", "--teacher-weights", teacher]
    command += ["--out", folder, "--resume", "--json"]
    if recipe in RAMPS:
        command += ["--set", RAMPS[recipe]]
    result = subprocess.run(
        [str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True
    )
    found = json.loads(result.stdout)
    lines = (folder / "timing.jsonl").read_text().splitlines()
    found["timings"] = [json.loads(line) for line in lines]
    return found


def row(recipe, found):
    """One line of the table."""
    timings = found["timings"]
    images = EPOCHS * found["train_samples"]
    passes = lambda key: sum(timing[key] for timing in timings) / images
    peers = found["peers"] or [found]
    several = lambda key, form: " / ".join(form(peer[key]) for peer in peers)
    cells = [
        f"`{recipe}`",
        several("top1", lambda top1: f"{100 * top1:.2f}"),
        several("nll", lambda nll: f"{nll:.3f}"),
        several("ece", lambda ece: f"{ece:.3f}"),
        f"{sum(timing['seconds'] for timing in timings):.0f}",
        f"{passes('student_images'):.2f}",
        f"{passes('student_scored_images'):.2f}",
        f"{passes('teacher_images'):.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("distill", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    listed = subprocess.run(
        [str(options.distill), "--list-recipes"], check=True, stdout=subprocess.PIPE, text=True
    )
    recipes = [line.split()[0] for line in listed.stdout.splitlines()]
    print("| recipe | top-1, % | NLL | ECE | seconds | passes with a gradient | forward alone | teacher |")
    print("|---|---|---|---|---:|---:|---:|---:|")
    for recipe in recipes:
        if options.only and recipe not in options.only:
            continue
        print(row(recipe, run(options, recipe)), flush=True)


if __name__ == "__main__":
    main()
