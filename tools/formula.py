"""Weights and images as formulas, so that a fixture holds only results. `README.md` beside this file states them in full."""

import math

import numpy as np
import torch

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
CIFAR = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIZE = 32


def fnv1a(key: str) -> int:
    """FNV-1a, 64 bits, of the UTF-8 bytes."""
    h = 0xCBF29CE484222325
    for byte in key.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def bits(key: str, index: np.ndarray) -> np.ndarray:
    """Output number `index` (from 0) of SplitMix64 seeded with fnv1a(key)."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(key)) + (index.astype(np.uint64) + np.uint64(1)) * GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(key: str, count: int) -> np.ndarray:
    """`count` numbers in [-1, 1) of 24 bits: exact in float32."""
    top = (bits(key, np.arange(count)) >> np.uint64(40)).astype(np.int64)
    return (top - 2**23) / 2.0**23


def parameter(network: str, path: str, shape: tuple, random_statistics: bool, fan: str = "out") -> torch.Tensor:
    """The tensor `path` of the network called `network`: computed in float64, rounded to float32, returned as float64."""
    u = uniform(f"{network}.{path}", math.prod(shape)).reshape(shape)
    if len(shape) == 4:
        values = u * math.sqrt(6.0 / (shape[0 if fan == "out" else 1] * shape[2] * shape[3]))
    elif len(shape) == 2:
        values = u / math.sqrt(shape[1])
    elif path.endswith("running_mean"):
        values = 0.05 * u if random_statistics else 0.0 * u
    elif path.endswith("running_var"):
        values = 1.0 + 0.2 * u if random_statistics else 1.0 + 0.0 * u
    elif path in ("fc.bias", "linear.bias"):
        values = 0.0 * u
    elif path.endswith("weight"):
        values = 1.0 + 0.1 * u
    else:
        values = 0.1 * u
    return torch.from_numpy(values.astype(np.float32).astype(np.float64))


def fill(model: torch.nn.Module, network: str, random_statistics: bool, fan: str = "out") -> torch.nn.Module:
    """Sets every parameter and batch-norm statistic of `model` by formula. `fan`: what a convolution's bound comes from.

    A tensor that stands under several paths has the values of the first.
    """
    filled = set()
    with torch.no_grad():
        for path, tensor in model.state_dict().items():
            if tensor.is_floating_point() and tensor.data_ptr() not in filled:
                filled.add(tensor.data_ptr())
                tensor.copy_(parameter(network, path, tuple(tensor.shape), random_statistics, fan))
    return model


def labels(first: int, count: int) -> np.ndarray:
    """Labels of images first .. first + count."""
    return (bits("label", np.arange(first, first + count)) % np.uint64(10)).astype(np.int64)


def images(first: int, count: int, size: int = SIZE) -> np.ndarray:
    """Images first .. first + count: u8 [count, 3, size, size]. Colour and low-frequency stripes by label, tint, noise."""
    n, c, y, x = np.ogrid[first : first + count, 0:3, 0:size, 0:size]
    label = labels(first, count).reshape(-1, 1, 1, 1)
    colour = (label + 1) * (37 + 22 * c) % 128
    phase = (7 * label + 11 * c + (1 + label % 3) * y + (1 + label // 3 % 3) * x) % 64
    tint = (bits("tint", n * 3 + c) >> np.uint64(60)).astype(np.int64)
    noise = (bits("pixel", ((n * 3 + c) * size + y) * size + x) >> np.uint64(59)).astype(np.int64)
    return (colour + 2 * np.abs(phase - 32) + tint + noise).astype(np.uint8)


def pixels(first: int, count: int, dtype=torch.float64, size: int = SIZE) -> torch.Tensor:
    """The same in [0, 1]: u8 / 255 rounded to float32, whatever the type of the result."""
    return (torch.from_numpy(images(first, count, size)).float() / 255).to(dtype)


def normalise(pixels: torch.Tensor, statistics: tuple) -> torch.Tensor:
    """(pixels - mean) / std for each channel; pixels in [0, 1], mean and std rounded to float32."""
    mean, std = (torch.tensor(s, dtype=torch.float32).to(pixels.dtype).view(1, 3, 1, 1) for s in statistics)
    return (pixels - mean) / std
