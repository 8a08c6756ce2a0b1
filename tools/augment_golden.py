#!/usr/bin/env python3
"""Writes crates/kd-augment/tests/fixtures/augment.json: expected pixels for given parameters.

Images come from a formula that the Rust test repeats (see `image`); the fixture holds parameters and results only.
Expected values are computed with PyTorch and torchvision-style calls (`pad`, slicing, `flip`, indexing), never by index
arithmetic on single pixels, so that they are independent of the implementation.

Needs: python3, numpy, torch. Run from the repository root: python3 tools/augment_golden.py
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
OUT = pathlib.Path(__file__).resolve().parent.parent / "crates/kd-augment/tests/fixtures/augment.json"
SHAPES = [(3, 5, 7), (1, 1, 1), (1, 4, 4), (3, 6, 3)]


def image(shape, index):
    """Level of the k-th element of image `index`: (k * 37 + index * 101 + 11) mod 256."""
    c, h, w = shape
    k = torch.arange(c * h * w, dtype=torch.int64)
    return ((k * 37 + index * 101 + 11) % 256).to(torch.uint8).reshape(c, h, w)


def crop(x, pad, ox, oy):
    _, h, w = x.shape
    return F.pad(x, (pad, pad, pad, pad))[:, oy : oy + h, ox : ox + w]


def erase(x, box, fill):
    x0, y0, x1, y1 = box
    x = x.clone()
    x[:, y0:y1, x0:x1] = torch.tensor(fill, dtype=torch.uint8).reshape(-1, 1, 1)
    return x


def chain(x, steps):
    for step in steps:
        match step["op"]:
            case "flip":
                x = torch.flip(x, [2])
            case "crop":
                x = crop(x, step["pad"], step["ox"], step["oy"])
            case "erase":
                fill = step["fill"]
                x = erase(x, step["box"], fill if isinstance(fill, list) else [fill])
    return x


def image_cases():
    cases = []
    for shape in SHAPES:
        c, h, w = shape
        box = [w // 3, h // 4, max(w // 3 + 1, w - 1), max(h // 4 + 1, h - 1)]
        chains = [
            [],
            [{"op": "flip"}],
            [{"op": "crop", "pad": 2, "ox": 0, "oy": 4}],
            [{"op": "crop", "pad": 2, "ox": 2, "oy": 2}],
            [{"op": "crop", "pad": 1, "ox": 2, "oy": 0}, {"op": "flip"}],
            [{"op": "flip"}, {"op": "crop", "pad": 3, "ox": 1, "oy": 6}],
            [{"op": "crop", "pad": 2, "ox": 4, "oy": 1}, {"op": "flip"}, {"op": "crop", "pad": 2, "ox": 3, "oy": 0}],
            [{"op": "crop", "pad": 9, "ox": 18, "oy": 9}],
            [{"op": "erase", "box": box, "fill": 0}],
            [{"op": "crop", "pad": 1, "ox": 0, "oy": 1}, {"op": "erase", "box": box, "fill": 77}, {"op": "flip"}],
        ]
        if c == 3:
            chains.append([{"op": "erase", "box": box, "fill": [125, 123, 114]}, {"op": "crop", "pad": 1, "ox": 2, "oy": 2}])
        for index, steps in enumerate(chains):
            out = chain(image(shape, index), steps)
            cases.append({"shape": shape, "index": index, "steps": steps, "expected": out.flatten().tolist()})
    return cases


def clip_box(h, w, lam, cx, cy):
    """The published box: centre, sides truncated, halves by integer division, clipped."""
    cut = np.sqrt(1.0 - lam)
    cut_w, cut_h = int(w * cut), int(h * cut)
    x0, x1 = np.clip([cx - cut_w // 2, cx + cut_w // 2], 0, w)
    y0, y1 = np.clip([cy - cut_h // 2, cy + cut_h // 2], 0, h)
    return [int(x0), int(y0), int(x1), int(y1)]


def box_cases():
    cases = []
    for h, w in [(32, 32), (17, 32), (1, 1), (5, 2)]:
        for lam in [0.0, 0.13, 0.5, 0.75, 0.999, 1.0]:
            for cx, cy in [(0, 0), (w // 2, h // 2), (w - 1, h - 1), (w // 3, h - 1)]:
                box = clip_box(h, w, lam, cx, cy)
                share = 1 - (box[2] - box[0]) * (box[3] - box[1]) / (h * w)
                cases.append({"size": [h, w], "lambda": lam, "centre": [cx, cy], "box": box, "share": share})
    return cases


def mix_cases():
    mean, std = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]
    cases = []
    for shape in SHAPES:
        c, h, w = shape
        levels = torch.stack([image(shape, i) for i in range(3)])
        unit = levels.to(torch.float64) / 255
        m = torch.tensor(mean[:c], dtype=torch.float64).reshape(1, -1, 1, 1)
        s = torch.tensor(std[:c], dtype=torch.float64).reshape(1, -1, 1, 1)
        partner = [1, 2, 0]
        lam = [0.3, 1.0, 0.875]
        weights = torch.tensor(lam, dtype=torch.float64).reshape(-1, 1, 1, 1)
        boxes = [[0, 0, w, h], [0, 0, 0, 0], [w // 2, 0, w, (h + 1) // 2]]
        for normalised in (False, True):
            x = (unit - m) / s if normalised else unit
            pasted = x.clone()
            for i, (x0, y0, x1, y1) in enumerate(boxes):
                pasted[i, :, y0:y1, x0:x1] = x[partner[i], :, y0:y1, x0:x1]
            linear = weights * x + (1 - weights) * x[partner]
            cases.append(
                {
                    "shape": shape,
                    "mean": mean[:c] if normalised else None,
                    "std": std[:c] if normalised else None,
                    "partner": partner,
                    "lambda": lam,
                    "boxes": boxes,
                    "linear": [round(v, 9) for v in linear.flatten().tolist()],
                    "pasted": [round(v, 9) for v in pasted.flatten().tolist()],
                }
            )
    return cases


def main():
    fixture = {"images": image_cases(), "boxes": box_cases(), "mixes": mix_cases()}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(f"{OUT}: {OUT.stat().st_size} bytes, torch {torch.__version__}, numpy {np.__version__}")


if __name__ == "__main__":
    main()
