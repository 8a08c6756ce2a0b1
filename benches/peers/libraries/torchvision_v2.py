"""torchvision's v2 transforms, on u8 tensors and on PIL images.

Operations with draws go image by image, through the functional interface where that is faster than the class. On
tensors, those without are one call for the batch.
"""

import random

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from libraries import Peer, Pipeline, each
from works import (
    BITS, CLASSES, DEGREES, FACTOR, FRACTION, HUE, JITTER, MEAN, NOISE, SHEAR, SIGMA, STD, THRESHOLD,
    crop_box, hole_box, kernel, padding, policy,
)

PACKAGES = ("torchvision", "torch")
NEAREST, BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR


def normalise(images: torch.Tensor) -> torch.Tensor:
    """A batch of u8 to normalised floats."""
    return F.normalize(F.to_dtype(images, torch.float32, scale=True), MEAN, STD, inplace=True)


def erase(images: torch.Tensor, size: int) -> torch.Tensor:
    """A hole in every image of a batch, in place."""
    for image in images:
        left, top, right, bottom = hole_box(size)
        image[:, top:bottom, left:right] = 0
    return images


def flip(image):
    """Half of the time."""
    return F.horizontal_flip(image) if random.random() < 0.5 else image


def both(size: int, images: list) -> dict[str, Pipeline]:
    """What reads the same for tensors and PIL images."""

    def resize_crop(image):
        x, y, width, height = crop_box(size)
        return F.resized_crop(image, y, x, height, width, [size, size], BILINEAR, antialias=True)

    def rotate(filter):
        return each(lambda image: F.rotate(image, random.uniform(-DEGREES, DEGREES), filter), images)

    def affine(image, x=0, shear=0.0):
        return F.affine(image, 0.0, [x, 0], 1.0, [shear, 0.0], NEAREST, center=[0, 0])

    def adjust(function):
        return each(lambda image: function(image, random.uniform(*FACTOR)), images)

    policies = {"cifar10": v2.AutoAugmentPolicy.CIFAR10, "imagenet": v2.AutoAugmentPolicy.IMAGENET}
    return {
        "RandAugment(2,9)": each(v2.RandAugment(2, 9), images),
        "AutoAugment": each(v2.AutoAugment(policies[policy(size)]), images),
        "TrivialAugmentWide": each(v2.TrivialAugmentWide(), images),
        "horizontal_flip": each(flip, images),
        "resize_crop": each(resize_crop, images),
        "rotate nearest": rotate(NEAREST),
        "rotate bilinear": rotate(BILINEAR),
        "shear_x": each(lambda image: affine(image, shear=random.uniform(-SHEAR, SHEAR)), images),
        "translate_x": each(lambda image: affine(image, int(size * random.uniform(-FRACTION, FRACTION))), images),
        "brightness": adjust(F.adjust_brightness),
        "color": adjust(F.adjust_saturation),
        "contrast": adjust(F.adjust_contrast),
        "sharpness": adjust(F.adjust_sharpness),
        "solarize": each(lambda image: F.solarize(image, random.uniform(*THRESHOLD)), images),
        "hue": each(lambda image: F.adjust_hue(image, random.uniform(-HUE, HUE)), images),
        "color_jitter": each(v2.ColorJitter(**JITTER), images),
        "gaussian_blur": each(lambda image: F.gaussian_blur(image, kernel(size), random.uniform(*SIGMA)), images),
    }


def drawless(what) -> dict[str, Pipeline]:
    """Operations without draws: `what` makes a pipeline of a function."""
    return {
        "posterize": what(lambda image: F.posterize(image, BITS)),
        "auto_contrast": what(F.autocontrast),
        "equalize": what(F.equalize),
        "invert": what(F.invert),
        "grayscale": what(lambda image: F.rgb_to_grayscale(image, 3)),
    }


def tensors(size: int, batch: torch.Tensor) -> Peer:
    """On u8 tensors. Its mixes draw once for a batch."""
    images = list(batch)
    floats, labels = batch / 255, torch.arange(len(batch)) % CLASSES
    black = torch.zeros(3, 1, 1, dtype=torch.uint8)
    cutmix, mixup = v2.CutMix(num_classes=CLASSES), v2.MixUp(num_classes=CLASSES)

    pad = padding(size)

    def cutout(image):
        left, top, right, bottom = hole_box(size)
        return F.erase(image, top, left, bottom - top, right - left, black)

    def crop(image):
        x, y = random.randint(0, 2 * pad), random.randint(0, 2 * pad)
        return image[:, y : y + size, x : x + size]

    def crop_flip_cutout():
        cropped = torch.stack([flip(crop(image)) for image in F.pad(batch, [pad])])
        return normalise(erase(cropped, size))

    pipelines = both(size, images) | drawless(lambda function: lambda: function(batch))
    pipelines |= {
        "pad_crop": lambda: torch.stack([crop(image) for image in F.pad(batch, [pad])]),
        "crop+flip+cutout+normalise": crop_flip_cutout,
        "CutMix": lambda: cutmix(floats, labels)[0],
        "mixup": lambda: mixup(floats, labels)[0],
        "gaussian_noise": each(lambda image: F.gaussian_noise(image, 0.0, random.uniform(*NOISE)), images),
        "cutout": each(cutout, images),
        "normalise": lambda: normalise(batch),
    }
    return Peer("torchvision v2 tensor", pipelines, {"CutMix": "one box a batch", "mixup": "one weight a batch"})


def pils(size: int, images: list[Image.Image]) -> Peer:
    """On PIL images, to tensors where floats come out."""
    pad = padding(size)

    def crop(image):
        return F.crop(image, random.randint(-pad, pad), random.randint(-pad, pad), size, size)

    def stack(images):
        return torch.stack([F.pil_to_tensor(image) for image in images])

    def crop_flip_cutout():
        return normalise(erase(stack([flip(crop(image)) for image in images]), size))

    pipelines = both(size, images) | drawless(lambda function: each(function, images))
    pipelines |= {
        "pad_crop": each(crop, images),
        "crop+flip+cutout+normalise": crop_flip_cutout,
        "normalise": lambda: normalise(stack(images)),
    }
    return Peer("torchvision v2 PIL", pipelines)


def peers(size: int, pixels: np.ndarray) -> list[Peer]:
    """Both containers."""
    images = [Image.fromarray(image) for image in np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))]
    return [tensors(size, torch.from_numpy(pixels.copy())), pils(size, images)]
