"""The works: what is asked of kd-augment, as JSON, and the ranges the peers share."""

import dataclasses
import math
import random

BATCH = 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = 10
DEGREES = 30.0
SLOPE = 0.3
SHEAR = math.degrees(math.atan(SLOPE))
FRACTION = 0.3
FACTOR = (0.1, 1.9)
BITS = 4
THRESHOLD = (0, 255)
HUE = 0.5
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
NOISE = (0.02, 0.1)
SIGMA = (0.1, 2.0)
SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def padding(size: int) -> int:
    """Padding of the random crop, in pixels."""
    return size // 8


def hole(size: int) -> int:
    """Side of the hole of cutout: 16 pixels up to 64, a quarter of the image above."""
    return 16 if size <= 64 else size // 4


def kernel(size: int) -> int:
    """Side of the blur's kernel: a tenth of the image, odd, from 3."""
    return max(3, size // 10 // 2 * 2 + 1)


def policy(size: int) -> str:
    """Which policy of AutoAugment suits the size."""
    return "cifar10" if size <= 32 else "imagenet"


@dataclasses.dataclass(frozen=True)
class Work:
    """One row group: a name, and the request that the Rust side gets. `drawn`: the pixels depend on draws."""

    name: str
    size: int
    output: str
    augmentation: dict
    drawn: bool = True

    @property
    def title(self) -> str:
        """The name in tables and rows."""
        name = f"{self.name} {policy(self.size)}" if self.name == "AutoAugment" else self.name
        return f"{name}, {self.size} px"


def works(size: int) -> list[Work]:
    """All works at a size: the headline rows first, then each operation alone."""
    crop = {"op": "pad_crop", "pad": padding(size), "padding": "zero"}
    flip = {"op": "horizontal_flip"}
    cutout = {"op": "cutout", "holes": 1, "length": hole(size), "fill": 0}
    turn = {"op": "rotate", "degrees": [-DEGREES, DEGREES], "fill": 0}
    moved = {"interpolation": "nearest", "fill": 0}
    factor = {"factor": list(FACTOR)}
    # name, output, operations, whether the pixels depend on draws
    table = [
        ("crop+flip+cutout+normalise", "f32", [crop, flip, cutout], True),
        ("RandAugment(2,9)", "u8", [{"op": "rand_augment", "n": 2, "m": 9, "bins": 31}], True),
        ("AutoAugment", "u8", [{"op": "auto_augment", "policy": policy(size), **moved}], True),
        ("TrivialAugmentWide", "u8", [{"op": "trivial_augment_wide", "bins": 31}], True),
        ("CutMix", "mix", {"op": "cutmix", "alpha": 1.0}, True),
        ("mixup", "mix", {"op": "mixup", "alpha": 1.0}, True),
        ("horizontal_flip", "u8", [flip], True),
        ("pad_crop", "u8", [crop], True),
        (
            "resize_crop",
            "u8",
            [{"op": "resize_crop", "scale": list(SCALE), "ratio": list(RATIO), "interpolation": "bilinear"}],
            True,
        ),
        ("rotate nearest", "u8", [turn | {"interpolation": "nearest"}], True),
        ("rotate bilinear", "u8", [turn | {"interpolation": "bilinear"}], True),
        ("shear_x", "u8", [{"op": "shear_x", "slope": [-SLOPE, SLOPE], **moved}], True),
        ("translate_x", "u8", [{"op": "translate_x", "fraction": [-FRACTION, FRACTION], "fill": 0}], True),
        ("brightness", "u8", [{"op": "brightness", **factor}], True),
        ("color", "u8", [{"op": "color", **factor}], True),
        ("contrast", "u8", [{"op": "contrast", **factor}], True),
        ("sharpness", "u8", [{"op": "sharpness", **factor}], True),
        ("posterize", "u8", [{"op": "posterize", "bits": BITS}], False),
        ("solarize", "u8", [{"op": "solarize", "threshold": list(THRESHOLD)}], True),
        ("auto_contrast", "u8", [{"op": "auto_contrast"}], False),
        ("equalize", "u8", [{"op": "equalize"}], False),
        ("invert", "u8", [{"op": "invert"}], False),
        ("hue", "u8", [{"op": "hue", "shift": [-HUE, HUE]}], True),
        ("color_jitter", "u8", [{"op": "color_jitter", **JITTER}], True),
        ("grayscale", "u8", [{"op": "grayscale"}], False),
        ("gaussian_blur", "u8", [{"op": "gaussian_blur", "kernel": kernel(size), "sigma": list(SIGMA)}], True),
        ("gaussian_noise", "u8", [{"op": "gaussian_noise", "mean": 0, "sigma": list(NOISE)}], True),
        ("cutout", "u8", [cutout], True),
        ("normalise", "f32", [], False),
    ]
    made = []
    for name, output, what, drawn in table:
        augmentation = {"ops": what} if isinstance(what, list) else {"ops": [], "mix": what}
        made.append(Work(name, size, output, augmentation | {"sharing": "per_sample"}, drawn))
    return made


def crop_box(size: int) -> tuple[int, int, int, int]:
    """Left, top, width, height of a crop as RandomResizedCrop draws it."""
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    for _ in range(10):
        area = size * size * random.uniform(*SCALE)
        ratio = math.exp(random.uniform(low, high))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= size and 0 < height <= size:
            return random.randint(0, size - width), random.randint(0, size - height), width, height
    return 0, 0, size, size


def hole_box(size: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a hole of cutout: the centre anywhere, cut off at the border."""
    length = hole(size)
    left, top = random.randrange(size) - length // 2, random.randrange(size) - length // 2
    return max(left, 0), max(top, 0), min(left + length, size), min(top + length, size)
