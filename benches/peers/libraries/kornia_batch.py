"""kornia on batches of floats. It picks the operations of a policy once for a batch."""

import numpy as np
import torch
from kornia import augmentation as K
from kornia.augmentation import auto
from kornia.enhance import (
    adjust_brightness_accumulative, adjust_contrast_with_mean_subtraction, adjust_saturation_with_gray_subtraction,
    normalize,
)

from libraries import Peer
from works import (
    BITS, CLASSES, DEGREES, FACTOR, FRACTION, HUE, JITTER, MEAN, NOISE, RATIO, SCALE, SHEAR, SIGMA, STD,
    hole, kernel, padding, policy,
)

PACKAGES = ("kornia", "torch")
POLICY = "one policy a batch"
NOTES = dict.fromkeys(("RandAugment(2,9)", "AutoAugment", "TrivialAugmentWide"), POLICY)
NOTES["gaussian_noise"] = "one sigma"


def peers(size: int, pixels: np.ndarray) -> list[Peer]:
    """Its pipelines. The floats, 0 to 1, are there before: it has no u8."""
    batch = torch.from_numpy(pixels.copy()) / 255
    labels = torch.arange(len(batch)) % CLASSES
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    area = (hole(size) / size) ** 2
    sides = (kernel(size), kernel(size))
    crop, flip = K.RandomCrop((size, size), padding=padding(size)), K.RandomHorizontalFlip(p=0.5)
    cutout = K.RandomErasing(scale=(area, area), ratio=(1.0, 1.0), p=1.0)
    mixed = {"data_keys": ["input", "class"], "p": 1.0}
    cutmix = K.RandomCutMixV2(cut_size=(0.0, 1.0), beta=1.0, use_correct_lambda=True, **mixed)
    mixup = K.RandomMixUpV2(**mixed)
    transforms = {
        "RandAugment(2,9)": auto.RandAugment(2, 9),
        "AutoAugment": auto.AutoAugment(policy(size)),
        "TrivialAugmentWide": auto.TrivialAugment(),
        "horizontal_flip": flip,
        "pad_crop": crop,
        "resize_crop": K.RandomResizedCrop((size, size), scale=SCALE, ratio=RATIO),
        "rotate nearest": K.RandomRotation(DEGREES, resample="nearest", p=1.0),
        "rotate bilinear": K.RandomRotation(DEGREES, resample="bilinear", p=1.0),
        "shear_x": K.RandomShear((-SHEAR, SHEAR), resample="nearest", p=1.0),
        "translate_x": K.RandomTranslate((-FRACTION, FRACTION), resample="nearest", p=1.0),
        "sharpness": K.RandomSharpness(FACTOR, p=1.0),
        "posterize": K.RandomPosterize((BITS, BITS), p=1.0),
        "solarize": K.RandomSolarize((0.0, 1.0), (0.0, 0.0), p=1.0),
        "auto_contrast": K.RandomAutoContrast(),
        "equalize": K.RandomEqualize(p=1.0),
        "invert": K.RandomInvert(p=1.0),
        "hue": K.RandomHue((-HUE, HUE)),
        "color_jitter": K.ColorJitter(**JITTER),
        "grayscale": K.RandomGrayscale(p=1.0),
        "gaussian_blur": K.RandomGaussianBlur(sides, SIGMA, p=1.0),
        "gaussian_noise": K.RandomGaussianNoise(std=sum(NOISE) / 2, p=1.0),
        "cutout": cutout,
    }

    def pipeline(transform):
        return lambda: transform(batch)

    def adjust(function):
        return lambda: function(batch, torch.empty(len(batch)).uniform_(*FACTOR))

    pipelines = {name: pipeline(transform) for name, transform in transforms.items()}
    pipelines |= {
        "crop+flip+cutout+normalise": lambda: normalize(cutout(flip(crop(batch))), mean, std),
        # Pillow's arithmetic, which RandomBrightness, RandomSaturation and RandomContrast do not have
        "brightness": adjust(adjust_brightness_accumulative),
        "color": adjust(adjust_saturation_with_gray_subtraction),
        "contrast": adjust(adjust_contrast_with_mean_subtraction),
        "CutMix": lambda: cutmix(batch, labels)[0],
        "mixup": lambda: mixup(batch, labels)[0],
        "normalise": lambda: normalize(batch, mean, std),
    }
    return [Peer("kornia", pipelines, NOTES)]
