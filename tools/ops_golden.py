#!/usr/bin/env python3
"""Writes crates/kd-augment/tests/fixtures/ops.json: what Pillow and torchvision v2 make of small images, given parameters.

Reference: Pillow's pixels (torchvision v2's functions on PIL images, mode "L" for one channel, "RGB" for three), torchvision
v2's parameters. Two exceptions, where Pillow has no such operation: `gaussian_blur` and `posterize` with 0 bits come from
torchvision's uint8 tensors. Pixels are planar u8 in base64.

    images    {shape: [c, h, w], pixels}
    cases     {image, ops, expected, tolerance, tensor_differs}; the last is the largest difference between `expected` and
              torchvision v2's tensor path, null where that path does not exist
    regions   {image, step, expected}: a shift out(x, y) = in(x + dx, y + dy) of the padded image, or a box resized to the image's size
    policies  AutoAugment's sub-policies, [[name, p, magnitude id or null], the same again]
    spaces    magnitudes of AutoAugment, RandAugment and TrivialAugmentWide: f64 of the float32 items
    applied   their transforms applied to an image, nearest neighbour, fill None

With --data DIR writes ops_real.json instead: for operations of tolerance 0, the SHA-256 of the results on the first 256 test
images of CIFAR-10, planar and concatenated. DIR holds `cifar-10-batches-bin/test_batch.bin`. No image is stored.

Both print how torchvision's tensor path differs.

Needs: python3, numpy, torch, torchvision, pillow.
    python3 tools/ops_golden.py
    python3 tools/ops_golden.py --data DIR
"""

import argparse
import base64
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import AutoAugmentPolicy, InterpolationMode
from torchvision.transforms.v2 import functional as F

import formula

FIXTURES = Path(__file__).resolve().parent.parent / "crates/kd-augment/tests/fixtures"
MODES = {"nearest": InterpolationMode.NEAREST, "bilinear": InterpolationMode.BILINEAR}
NAMES = {
    "Identity": "identity",
    "ShearX": "shear_x",
    "ShearY": "shear_y",
    "TranslateX": "translate_x",
    "TranslateY": "translate_y",
    "Rotate": "rotate",
    "Brightness": "brightness",
    "Color": "color",
    "Contrast": "contrast",
    "Sharpness": "sharpness",
    "Posterize": "posterize",
    "Solarize": "solarize",
    "AutoContrast": "auto_contrast",
    "Equalize": "equalize",
    "Invert": "invert",
}
AFFINE = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}


# ---------------------------------------------------------------------------------------------------------------- images


def pattern(name, shape, low=0, high=255):
    """Gradients, bars and noise, different in each channel, stretched over [low, high]."""
    c, h, w = shape
    noise = (formula.bits(f"ops.{name}", np.arange(c * h * w)) >> np.uint64(57)).astype(np.int64).reshape(shape)
    ch, y, x = np.meshgrid(np.arange(c), np.arange(h), np.arange(w), indexing="ij")
    level = noise // 2 + (50 * ch + (7 + 3 * ch) * x + (11 - 4 * ch) * y) % 128 + 64 * ((x + ch * y) // 4 % 2)
    return (low + level * (high - low) // 254).astype(np.uint8)


def noise(name, shape):
    """Uniform levels, a quarter of them 0 and a quarter 255: saturated colours of every hue."""
    u = (formula.bits(f"ops.{name}", np.arange(math.prod(shape))) >> np.uint64(48)).astype(np.int64).reshape(shape)
    return np.where(u % 4 == 0, 0, np.where(u % 4 == 1, 255, u >> 8)).astype(np.uint8)


def images():
    """The images, and which operations each is worth: all of "geometry", all of "colour", or a few of either."""
    full = pattern("full", (1, 33, 31))
    full[0, 0, 0], full[0, 32, 30] = 0, 255
    two = np.where(pattern("two", (3, 17, 16)) < 120, 37, 201).astype(np.uint8)
    mixed = pattern("mixed", (3, 19, 41), 90, 200)  # channels: as it is, bright with few levels, constant but for one row
    mixed[1], mixed[2, 1:] = 160 + mixed[1] % 9, 64
    return [
        (pattern("a", (1, 1, 1)), "geometry colour"),
        (pattern("b", (3, 1, 1)), "geometry colour"),
        (pattern("c", (1, 4, 4)), "geometry colour"),
        (pattern("d", (3, 5, 7)), "geometry colour"),
        (pattern("e", (3, 6, 3)), "geometry colour"),
        (pattern("f", (3, 2, 2)), "geometry colour"),
        (pattern("g", (1, 9, 2)), "geometry colour"),
        (pattern("h", (3, 17, 16)), "geometry colour"),
        (pattern("i", (3, 8, 32)), "some-geometry"),
        (pattern("low", (3, 17, 16), 90, 150), "some-colour"),
        (np.full((3, 5, 7), 117, np.uint8), "colour"),
        (two, "some-colour"),
        (full, "some-colour"),
        (noise("noise", (3, 5, 7)), "colour"),
        (mixed, "some-colour"),
    ]


LARGE = 7  # the [3, 17, 16] image


def to_pil(levels):
    return Image.fromarray(levels[0]) if len(levels) == 1 else Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))


def from_pil(image):
    levels = np.asarray(image)
    return levels[None] if levels.ndim == 2 else levels.transpose(2, 0, 1)


def encode(levels):
    return base64.b64encode(np.ascontiguousarray(levels).tobytes()).decode()


# ------------------------------------------------------------------------------------------------------------ operations


def size(image):
    return (image.height, image.width) if isinstance(image, Image.Image) else tuple(image.shape[-2:])


def channels(image):
    return len(image.getbands()) if isinstance(image, Image.Image) else image.shape[0]


def apply(image, op):
    """One operation of a recipe by torchvision v2, on a PIL image or on a uint8 tensor."""
    on_pil = isinstance(image, Image.Image)
    placed = {"interpolation": MODES[op.get("interpolation", "nearest")], "fill": op.get("fill", 0)}
    match op["op"]:
        case "horizontal_flip":
            return F.horizontal_flip(image)
        case "vertical_flip":
            return F.vertical_flip(image)
        case "rotate":
            return F.rotate(image, float(op["degrees"]), **placed)
        case "shear_x":
            return F.affine(image, **AFFINE | {"shear": [math.degrees(math.atan(op["slope"])), 0.0]}, center=[0, 0], **placed)
        case "shear_y":
            return F.affine(image, **AFFINE | {"shear": [0.0, math.degrees(math.atan(op["slope"]))]}, center=[0, 0], **placed)
        case "translate_x":
            by = op["pixels"] if "pixels" in op else op["fraction"] * size(image)[1]
            return F.affine(image, **AFFINE | {"translate": [int(by), 0]}, **placed)
        case "translate_y":
            by = op["pixels"] if "pixels" in op else op["fraction"] * size(image)[0]
            return F.affine(image, **AFFINE | {"translate": [0, int(by)]}, **placed)
        case "brightness":
            return F.adjust_brightness(image, op["factor"])
        case "color":
            return F.adjust_saturation(image, op["factor"])
        case "contrast":
            return F.adjust_contrast(image, op["factor"])
        case "sharpness":
            return F.adjust_sharpness(image, op["factor"])
        case "posterize" if on_pil and op["bits"] == 0:
            return to_pil(F.posterize(torch.from_numpy(from_pil(image).copy()), 0).numpy())
        case "posterize":
            return F.posterize(image, op["bits"])
        case "solarize":
            return F.solarize(image, op["threshold"])
        case "auto_contrast":
            return F.autocontrast(image)
        case "equalize":
            return F.equalize(image)
        case "invert":
            return F.invert(image)
        case "hue":
            return F.adjust_hue(image, op["shift"])
        case "grayscale":
            return F.rgb_to_grayscale(image, num_output_channels=channels(image))
        case "gaussian_blur" if on_pil:
            return to_pil(apply(torch.from_numpy(from_pil(image).copy()), op).numpy())
        case "gaussian_blur":
            return F.gaussian_blur(image, op["kernel"], float(op["sigma"]))
    raise ValueError(op)


def chain(image, ops):
    for op in ops:
        image = apply(image, op)
    return image


def on_pil(levels, ops):
    return from_pil(chain(to_pil(levels), ops))


def on_tensor(levels, ops):
    """None where torchvision's tensor path refuses, for example a threshold above 255."""
    try:
        return chain(torch.from_numpy(levels.copy()), ops).numpy()
    except (TypeError, ValueError, RuntimeError):
        return None


def difference(a, b):
    return int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max())


def geometry(some, colours):
    """Flips, rotations, shears, translations. `some`: representative magnitudes only."""
    ops = [{"op": "horizontal_flip", "p": 1}, {"op": "vertical_flip", "p": 1}]
    for mode in ("nearest", "bilinear"):
        for degrees in [15, -30, 90] if some else [0, 15, -30, 45.5, 90, 180, 270, 360, 7]:
            ops.append({"op": "rotate", "degrees": degrees, "interpolation": mode, "fill": 0})
        for name in ("shear_x", "shear_y"):
            for slope in [0.3, -0.3] if some else [0, 0.3, -0.3, 0.99]:
                ops.append({"op": name, "slope": slope, "interpolation": mode, "fill": 0})
        if not some:
            for fill in [128, [124, 116, 104]] if colours == 3 else [128]:
                ops.append({"op": "rotate", "degrees": -30, "interpolation": mode, "fill": fill})
                ops.append({"op": "shear_x", "slope": 0.3, "interpolation": mode, "fill": fill})
                ops.append({"op": "shear_y", "slope": -0.3, "interpolation": mode, "fill": fill})
    for name in ("translate_x", "translate_y"):
        for by in [{"pixels": -3}] if some else [{"pixels": p} for p in (0, 1, -3, 40)]:
            ops.append({"op": name, **by, "fill": 0})
        ops.append({"op": name, "fraction": 0.25})
        ops.append({"op": name, "fraction": -0.4531722, "fill": 0})
        if not some:
            ops.append({"op": name, "pixels": 1, "fill": 128})
            ops.append({"op": name, "fraction": -0.4531722, "fill": 128})
    if colours == 3:
        ops.append({"op": "translate_x", "pixels": 2, "fill": [124, 116, 104]})
    return ops


def colour(some, shape):
    """Operations on levels, and the two filters."""
    c, h, w = shape
    ops = []
    for name in ("brightness", "color", "contrast", "sharpness"):
        for factor in [0.5, 1.4] if some else [0, 0.1, 0.5, 0.95, 1, 1.4, 1.9]:
            ops.append({"op": name, "factor": factor})
    ops += [{"op": "posterize", "bits": bits} for bits in ([4] if some else range(9))]
    ops += [{"op": "solarize", "threshold": t} for t in ([128] if some else [0, 1, 64.5, 128, 255, 256])]
    ops += [{"op": "auto_contrast"}, {"op": "equalize"}, {"op": "invert"}, {"op": "grayscale"}]
    ops += [{"op": "hue", "shift": shift} for shift in ([-0.2, 0.33] if some else [-0.5, -0.2, 0, 0.1, 0.33, 0.5])]
    for kernel in (3, 5):
        if kernel // 2 < min(h, w):
            ops += [{"op": "gaussian_blur", "kernel": kernel, "sigma": s} for s in ([0.8] if some else [0.1, 0.8, 2.0])]
    return ops


CHAINS = [
    [
        {"op": "solarize", "threshold": 150},
        {"op": "posterize", "bits": 5},
        {"op": "brightness", "factor": 1.3},
        {"op": "invert"},
    ],
    [
        {"op": "rotate", "degrees": 20, "interpolation": "nearest", "fill": 128},
        {"op": "shear_x", "slope": -0.2, "interpolation": "nearest", "fill": 128},
        {"op": "translate_y", "pixels": 2, "fill": 128},
        {"op": "contrast", "factor": 1.7},
    ],
    [{"op": "equalize"}, {"op": "auto_contrast"}, {"op": "sharpness", "factor": 1.8}],
    [{"op": "contrast", "factor": 0.6}, {"op": "equalize"}],
    [{"op": "hue", "shift": -0.1}, {"op": "color", "factor": 1.6}, {"op": "horizontal_flip", "p": 1}],
    [{"op": "sharpness", "factor": 0.2}, {"op": "vertical_flip", "p": 1}, {"op": "grayscale"}],
]


def tolerance(ops):
    """One level for bilinear geometry and the blur, none for the rest."""
    inexact = ("rotate", "shear_x", "shear_y")
    return int(any(op["op"] == "gaussian_blur" or (op["op"] in inexact and op.get("interpolation") == "bilinear") for op in ops))


def cases(pictures):
    found = []
    for index, (levels, worth) in enumerate(pictures):
        chains = []
        for part in worth.split():
            some = part.startswith("some-")
            if part.endswith("geometry"):
                chains += [[op] for op in geometry(some, len(levels))]
            else:
                chains += [[op] for op in colour(some, levels.shape)] + CHAINS[: 3 if some else None]
        for ops in chains:
            expected = on_pil(levels, ops)
            tensor = on_tensor(levels, ops)
            found.append(
                {
                    "image": index,
                    "ops": ops,
                    "expected": encode(expected),
                    "tolerance": tolerance(ops),
                    "tensor_differs": None if tensor is None else difference(expected, tensor),
                }
            )
    return found


# --------------------------------------------------------------------------------------------------- parameters as given


def shifted(levels, dx, dy, padding):
    c, h, w = levels.shape
    mode = {"zero": "constant", "reflect": "reflect", "replicate": "edge"}[padding]
    padded = F.pad(to_pil(levels), [abs(dx), abs(dy), abs(dx), abs(dy)], fill=0, padding_mode=mode)
    return from_pil(F.crop(padded, abs(dy) + dy, abs(dx) + dx, h, w))


def regions(pictures):
    found = []

    def add(index, step, expected):
        found.append({"image": index, "step": step, "expected": encode(expected)})

    for index, (levels, _) in enumerate(pictures[:9]):
        c, h, w = levels.shape
        some = index >= LARGE
        shifts = {(0, 0), (1, 0), (0, -1), (-2, 1), (3, 2), (w - 1, 1 - h), (1 - w, h - 1), (w + 1, 0), (-1, -2 - h)}
        for dx, dy in [(4, -3), (1 - w, h - 1)] if some else sorted(shifts):
            for padding in ("reflect", "replicate", "zero"):
                if padding == "reflect" and (abs(dx) >= w or abs(dy) >= h):
                    continue
                add(index, {"op": "shift", "dx": dx, "dy": dy, "padding": padding}, shifted(levels, dx, dy, padding))
        boxes = {
            (0, 0, w, h),
            (0, 0, 1, 1),
            (w - 1, h - 1, w, h),
            (0, h // 2, w, h // 2 + 1),
            (w // 2, 0, w // 2 + 1, h),
            (0, 0, (w + 1) // 2, (h + 1) // 2),
            (w // 3, h // 4, w, h),
            (0, h // 3, w, h),
            (w // 4, 0, w // 4 + max(1, w // 2), h),
        }
        kept = [(w // 3, h // 4, w, h - 1), (1, 2, w - 2, h), (w // 2, 0, w // 2 + 1, h), (3, 1, 10, 6)]
        for x0, y0, x1, y1 in kept if some else sorted(boxes):
            for mode in ("bilinear", "nearest"):
                step = {"op": "resize", "box": [x0, y0, x1, y1], "interpolation": mode}
                out = F.resized_crop(to_pil(levels), y0, x0, y1 - y0, x1 - x0, [h, w], MODES[mode])
                add(index, step, from_pil(out))
    return found


SPACES = {
    "auto_augment": (v2.AutoAugment, [10]),
    "rand_augment": (v2.RandAugment, [31, 11]),
    "trivial_augment_wide": (v2.TrivialAugmentWide, [31]),
}


def policies():
    found = {}
    for name, policy in (
        ("cifar10", AutoAugmentPolicy.CIFAR10),
        ("imagenet", AutoAugmentPolicy.IMAGENET),
        ("svhn", AutoAugmentPolicy.SVHN),
    ):
        pairs = v2.AutoAugment(policy)._get_policies(policy)
        found[name] = [[[NAMES[step], p, magnitude] for step, p, magnitude in pair] for pair in pairs]
    return found


def spaces():
    found = []
    for which, (transform, all_bins) in SPACES.items():
        for bins in all_bins:
            for height, width in [(32, 32), (17, 64), (224, 224)]:
                entries = []
                for name, (magnitudes, signed) in transform._AUGMENTATION_SPACE.items():
                    values = magnitudes(bins, height, width)
                    values = None if values is None else [float(v) for v in values]
                    entries.append({"op": NAMES[name], "signed": signed, "magnitudes": values})
                found.append({"which": which, "bins": bins, "height": height, "width": width, "entries": entries})
    return found


def applied(pictures):
    levels = pictures[LARGE][0]
    found = []
    for which, (transform, all_bins) in SPACES.items():
        instance, bins = transform(), all_bins[0]
        for name, (magnitudes, signed) in transform._AUGMENTATION_SPACE.items():
            values = magnitudes(bins, *levels.shape[1:])
            for index in [0] if values is None else [0, bins // 2, bins - 1]:
                for negative in [False, True] if signed and index > 0 else [False]:
                    magnitude = 0.0 if values is None else float(values[index]) * (-1 if negative else 1)
                    out = instance._apply_image_or_video_transform(
                        to_pil(levels), name, magnitude, interpolation=InterpolationMode.NEAREST, fill=instance._fill
                    )
                    case = {"image": LARGE, "which": which, "bins": bins, "op": NAMES[name], "index": index, "negative": negative}
                    found.append(case | {"expected": encode(from_pil(out))})
    return found


# ------------------------------------------------------------------------------------------------------------ real images

REAL = [
    [],
    [{"op": "horizontal_flip", "p": 1}],
    [{"op": "rotate", "degrees": -30, "interpolation": "nearest", "fill": 0}],
    [{"op": "rotate", "degrees": 13.5, "interpolation": "nearest", "fill": 128}],
    [{"op": "rotate", "degrees": 90, "interpolation": "nearest", "fill": 0}],
    [{"op": "shear_x", "slope": 0.3, "interpolation": "nearest", "fill": 0}],
    [{"op": "shear_y", "slope": -0.2, "interpolation": "nearest", "fill": [124, 116, 104]}],
    [{"op": "translate_x", "pixels": 5, "fill": 0}],
    [{"op": "translate_y", "fraction": -0.4531722, "fill": 128}],
    [{"op": "brightness", "factor": 0.4}],
    [{"op": "brightness", "factor": 1.6}],
    [{"op": "color", "factor": 0.1}],
    [{"op": "color", "factor": 1.9}],
    [{"op": "contrast", "factor": 0.5}],
    [{"op": "contrast", "factor": 1.9}],
    [{"op": "sharpness", "factor": 0.1}],
    [{"op": "sharpness", "factor": 1.9}],
    [{"op": "posterize", "bits": 4}],
    [{"op": "solarize", "threshold": 128}],
    [{"op": "auto_contrast"}],
    [{"op": "equalize"}],
    [{"op": "invert"}],
    [{"op": "hue", "shift": 0.1}],
    [{"op": "hue", "shift": -0.3}],
    [{"op": "grayscale"}],
    CHAINS[0],
    CHAINS[1],
    CHAINS[2],
]


def real(data):
    raw = np.fromfile(data / "cifar-10-batches-bin/test_batch.bin", np.uint8).reshape(10000, 3073)
    pictures = raw[:256, 1:].reshape(256, 3, 32, 32)
    found, rows = [], []
    for ops in REAL:
        assert tolerance(ops) == 0
        expected = np.stack([on_pil(levels, ops) for levels in pictures])
        found.append({"ops": ops, "sha256": hashlib.sha256(expected.tobytes()).hexdigest()})
        tensor = np.stack([on_tensor(levels, ops) for levels in pictures])
        gap = np.abs(expected.astype(np.int64) - tensor)
        label = " + ".join(" ".join(str(v) for v in op.values()) for op in ops)
        rows.append((label, (gap > 0).any((1, 2, 3)).mean(), (gap > 0).mean(), gap.max()))
    print(f"{'torchvision, tensors against PIL images':84} {'images':>7} {'levels':>7} {'max':>4}")
    for label, share, levels, largest in rows[1:]:
        print(f"{label[:84]:84} {share:7.1%} {levels:7.2%} {largest:4}")
    return {"images": 256, "cases": found}


# ------------------------------------------------------------------------------------------------------------------ main


def table(found):
    """Per operation: cases, those with a tensor path, the share that differ in it, the largest difference."""
    groups = {}
    for case in found:
        ops = case["ops"]
        mode = ops[0].get("interpolation", "")
        groups.setdefault("chains" if len(ops) > 1 else f"{ops[0]['op']} {mode}".strip(), []).append(case["tensor_differs"])
    print(f"{'torchvision, tensors against PIL images':40} {'cases':>5} {'with':>5} {'differ':>7} {'max':>4}")
    for name, gaps in groups.items():
        there = [gap for gap in gaps if gap is not None]
        share = sum(gap > 0 for gap in there) / len(there)
        print(f"{name:40} {len(gaps):5} {len(there):5} {share:7.1%} {max(there):4}")


def versions():
    return {"pillow": PIL.__version__, "torchvision": torchvision.__version__, "torch": torch.__version__}


def write(path, fixture):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(f"{path}: {path.stat().st_size} bytes, {versions()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    data = parser.parse_args().data
    torch.set_num_threads(1)
    if data:
        write(FIXTURES / "ops_real.json", {"versions": versions(), **real(data)})
        return
    pictures = images()
    fixture = {
        "versions": versions(),
        "images": [{"shape": levels.shape, "pixels": encode(levels)} for levels, _ in pictures],
        "cases": cases(pictures),
        "regions": regions(pictures),
        "policies": policies(),
        "spaces": spaces(),
        "applied": applied(pictures),
    }
    table(fixture["cases"])
    print({key: len(fixture[key]) for key in ("images", "cases", "regions", "spaces", "applied")})
    write(FIXTURES / "ops.json", fixture)


if __name__ == "__main__":
    main()
