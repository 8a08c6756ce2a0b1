"""Seeded images with something of photographs in them: smooth noise, and edges."""

import numpy as np


def natural(count: int, size: int, seed: int = 0) -> np.ndarray:
    """`count` images, u8, planar: noise whose power falls with frequency, under a few flat and tilted shapes."""
    rng = np.random.default_rng([seed, size])
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = 1.0 / size
    spectrum = np.fft.rfft2(rng.standard_normal((count, 3, size, size))) / frequency**1.2
    spectrum[..., 0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, s=(size, size))
    noise = 0.7 * noise.mean(axis=1, keepdims=True) + 0.3 * noise
    noise /= noise.std(axis=(1, 2, 3), keepdims=True)
    images = rng.uniform(0.3, 0.7, (count, 3, 1, 1)) + 0.15 * noise
    y, x = np.mgrid[0:size, 0:size] / size
    for image in images:
        for _ in range(rng.integers(2, 6)):
            turn, across, along = rng.uniform(0, np.pi), *rng.uniform(0.05, 0.4, 2)
            left, top = rng.uniform(0, 1, 2)
            u = (x - left) * np.cos(turn) + (y - top) * np.sin(turn)
            v = (y - top) * np.cos(turn) - (x - left) * np.sin(turn)
            inside = (np.abs(u) < across) & (np.abs(v) < along)
            colour = rng.uniform(0, 1, (3, 1))
            image[:, inside] = 0.8 * colour + 0.2 * image[:, inside]
    return (np.clip(images, 0, 1) * 255).round().astype(np.uint8)


def alike(count: int, size: int) -> np.ndarray:
    """The same image `count` times: what differs afterwards was drawn."""
    return np.repeat(natural(1, size), count, axis=0)


def black_and_white(count: int, size: int) -> np.ndarray:
    """Black and white images in turn: the mean of a mix of two tells how much of each is in it."""
    images = np.zeros((count, 3, size, size), np.uint8)
    images[1::2] = 255
    return images
