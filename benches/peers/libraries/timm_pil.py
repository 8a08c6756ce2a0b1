"""timm: its policies on PIL images, its mixes on batches of floats.

Its RandAugment counts magnitudes to 10, ours to 30: what it does costs the same.
"""

import numpy as np
import torch
from PIL import Image
from timm.data import Mixup
from timm.data.auto_augment import auto_augment_transform, rand_augment_transform

from libraries import Peer, Pipeline, each
from works import CLASSES, policy

PACKAGES = ("timm", "torch")


def peers(size: int, pixels: np.ndarray) -> list[Peer]:
    """Its pipelines. Of AutoAugment it has the policy of ImageNet."""
    images = [Image.fromarray(image) for image in np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))]
    batch = torch.from_numpy(pixels.copy()) / 255
    labels = torch.arange(len(batch)) % CLASSES
    hparams = {"interpolation": Image.Resampling.NEAREST, "img_mean": (0, 0, 0), "translate_const": int(size * 0.45)}

    def mix(mixup: float, cutmix: float) -> Pipeline:
        mixer = Mixup(mixup, cutmix, mode="elem", label_smoothing=0.0, num_classes=CLASSES)
        # In place: what is mixed in the next call is what this one left, which costs the same.
        return lambda: mixer(batch, labels)[0]

    pipelines = {
        "RandAugment(2,9)": each(rand_augment_transform("rand-m9-n2-p1.0", dict(hparams)), images),
        "CutMix": mix(0.0, 1.0),
        "mixup": mix(1.0, 0.0),
    }
    if policy(size) == "imagenet":
        pipelines["AutoAugment"] = each(auto_augment_transform("original", dict(hparams)), images)
    return [Peer("timm", pipelines)]
