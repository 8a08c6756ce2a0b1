"""Plain Pillow, with NumPy where floats come out."""

import random

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from libraries import Peer, each
from works import BITS, DEGREES, FACTOR, FRACTION, MEAN, SIGMA, SLOPE, STD, THRESHOLD, crop_box, hole_box, padding

PACKAGES = ("pillow",)
FLIP = Image.Transpose.FLIP_LEFT_RIGHT
NEAREST, BILINEAR = Image.Resampling.NEAREST, Image.Resampling.BILINEAR


def peers(size: int, pixels: np.ndarray) -> list[Peer]:
    """Pillow's pipelines; it has no noise, hue, policies or mixes."""
    images = [Image.fromarray(image) for image in np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))]
    pad = padding(size)
    # (level / 255 - mean) / std in one multiplication and one subtraction, a row at a time
    factor = np.tile(np.float32(1 / (255 * np.array(STD))), size)
    offset = np.tile(np.float32(np.array(MEAN) / np.array(STD)), size)

    def flip(image):
        return image.transpose(FLIP) if random.random() < 0.5 else image

    def crop(image):
        x, y = random.randint(-pad, pad), random.randint(-pad, pad)
        return image.crop((x, y, x + size, y + size))

    def cutout(image):
        image = image.copy()
        image.paste(0, hole_box(size))
        return image

    def crop_flip_cutout(image):
        image = flip(crop(image))
        image.paste(0, hole_box(size))
        return image

    def resize_crop(image):
        x, y, width, height = crop_box(size)
        return image.resize((size, size), BILINEAR, box=(x, y, x + width, y + height))

    def affine(*matrix):
        return lambda image: image.transform((size, size), Image.Transform.AFFINE, matrix, NEAREST)

    def shear(image):
        return affine(1, random.uniform(-SLOPE, SLOPE), 0, 0, 1, 0)(image)

    def translate(image):
        return affine(1, 0, int(size * random.uniform(-FRACTION, FRACTION)), 0, 1, 0)(image)

    def rotate(filter):
        return each(lambda image: image.rotate(random.uniform(-DEGREES, DEGREES), filter), images)

    def enhance(kind):
        return each(lambda image: kind(image).enhance(random.uniform(*FACTOR)), images)

    def normalise(images):
        levels = np.stack([np.asarray(image) for image in images])
        rows = levels.reshape(len(images), size, 3 * size) * factor
        rows -= offset
        return rows.reshape(levels.shape)

    return [
        Peer(
            "Pillow",
            {
                "crop+flip+cutout+normalise": lambda: normalise([crop_flip_cutout(image) for image in images]),
                "horizontal_flip": each(flip, images),
                "pad_crop": each(crop, images),
                "resize_crop": each(resize_crop, images),
                "rotate nearest": rotate(NEAREST),
                "rotate bilinear": rotate(BILINEAR),
                "shear_x": each(shear, images),
                "translate_x": each(translate, images),
                "brightness": enhance(ImageEnhance.Brightness),
                "color": enhance(ImageEnhance.Color),
                "contrast": enhance(ImageEnhance.Contrast),
                "sharpness": enhance(ImageEnhance.Sharpness),
                "posterize": each(lambda image: ImageOps.posterize(image, BITS), images),
                "solarize": each(lambda image: ImageOps.solarize(image, random.uniform(*THRESHOLD)), images),
                "auto_contrast": each(ImageOps.autocontrast, images),
                "equalize": each(ImageOps.equalize, images),
                "invert": each(ImageOps.invert, images),
                "grayscale": each(lambda image: image.convert("L").convert("RGB"), images),
                "gaussian_blur": each(
                    lambda image: image.filter(ImageFilter.GaussianBlur(random.uniform(*SIGMA))), images
                ),
                "cutout": each(cutout, images),
                "normalise": lambda: normalise(images),
            },
        )
    ]
