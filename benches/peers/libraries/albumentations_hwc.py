"""albumentations on HWC arrays of u8. A transform alone is called without Compose, which costs less."""

import albumentations as A
import cv2
import numpy as np

from libraries import Peer, each
from works import (
    BITS, DEGREES, FACTOR, FRACTION, HUE, JITTER, MEAN, NOISE, RATIO, SCALE, SHEAR, SIGMA, STD,
    hole, kernel, padding,
)

PACKAGES = ("albumentations", "opencv-python-headless")
NEAREST, LINEAR = cv2.INTER_NEAREST, cv2.INTER_LINEAR
NOTES = {"sharpness": "a kernel of its own"}
STILL = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}


def peers(size: int, pixels: np.ndarray) -> list[Peer]:
    """Its pipelines; it has no learnt or random policies and no batch mixes."""
    images = list(np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))
    side = (hole(size), hole(size))
    crop = [A.Pad(padding(size), p=1), A.RandomCrop(size, size, p=1)]
    cutout = A.CoarseDropout(
        num_holes_range=(1, 1), hole_height_range=side, hole_width_range=side, fill=0, p=1
    )
    normalise = A.Normalize(MEAN, STD, p=1)

    def jitter(**what):
        return A.ColorJitter(**(STILL | what), p=1)

    def rotate(filter):
        return A.Rotate((-DEGREES, DEGREES), interpolation=filter, p=1)

    transforms = {
        "crop+flip+cutout+normalise": A.Compose([*crop, A.HorizontalFlip(p=0.5), cutout, normalise]),
        "horizontal_flip": A.HorizontalFlip(p=0.5),
        "pad_crop": A.Compose(crop),
        "resize_crop": A.RandomResizedCrop((size, size), scale=SCALE, ratio=RATIO, interpolation=LINEAR, p=1),
        "rotate nearest": rotate(NEAREST),
        "rotate bilinear": rotate(LINEAR),
        "shear_x": A.Affine(shear={"x": (-SHEAR, SHEAR), "y": (0, 0)}, interpolation=NEAREST, p=1),
        "translate_x": A.Affine(
            translate_percent={"x": (-FRACTION, FRACTION), "y": (0, 0)}, interpolation=NEAREST, p=1
        ),
        "brightness": jitter(brightness=FACTOR),
        "color": jitter(saturation=FACTOR),
        "contrast": jitter(contrast=FACTOR),
        "sharpness": A.Sharpen(p=1),
        "posterize": A.Posterize(BITS, p=1),
        "solarize": A.Solarize((0.0, 1.0), p=1),
        "auto_contrast": A.AutoContrast(method="pil", p=1),
        "equalize": A.Equalize(p=1),
        "invert": A.InvertImg(p=1),
        "hue": jitter(hue=(-HUE, HUE)),
        "color_jitter": A.ColorJitter(**JITTER, p=1),
        "grayscale": A.ToGray(p=1),
        "gaussian_blur": A.GaussianBlur((kernel(size), kernel(size)), SIGMA, p=1),
        "gaussian_noise": A.GaussNoise(NOISE, p=1),
        "cutout": cutout,
        "normalise": normalise,
    }

    def pipeline(transform):
        return each(lambda image: transform(image=image)["image"], images)

    return [Peer("albumentations", {name: pipeline(transform) for name, transform in transforms.items()}, NOTES)]
