"""What `run --check` does: shapes, types, and draws of every pipeline, and that the Rust side takes every request."""

from typing import Any

import numpy as np
from PIL import Image

from images import alike, black_and_white
from libraries import Peer
from ours import Ours, Refused
from works import BATCH, MEAN, STD, Work


def arrays(output: Any) -> list[np.ndarray]:
    """The images of a list or a batch, channels first."""
    made = []
    for image in output:
        array = np.asarray(image)
        last = isinstance(image, Image.Image) or array.shape[0] != 3
        made.append(array.transpose(2, 0, 1) if last else array)
    return made


def fault(work: Work, peer: Peer) -> str | None:
    """What is wrong with what a peer built on images of `inputs` makes of them."""
    images = arrays(peer.pipelines[work.name]())
    if len(images) != BATCH:
        return f"{len(images)} images instead of {BATCH}"
    shapes = {(image.shape, image.dtype.name) for image in images}
    kinds = {"float32"} if work.output != "u8" else {"uint8", "float32"}
    if len(shapes) != 1 or not all(shape == (3, work.size, work.size) and kind in kinds for shape, kind in shapes):
        return f"shapes and types {shapes}"
    if not all(np.isfinite(image).all() for image in images):
        return "values that are not finite"
    if work.output == "mix":
        different = len({round(float(image.mean()), 5) for image in images})
    else:
        different = len({image.tobytes() for image in images})
    if work.name == "normalise":
        bound = np.reshape([max(m, 1 - m) / s for m, s in zip(MEAN, STD)], (3, 1, 1)) + 1e-4
        if not all((np.abs(image) <= bound).all() for image in images) or np.ptp(images[0]) <= 1.1:
            return "values that are not normalised"
    least, most = (2, BATCH) if work.name == "horizontal_flip" else (8, BATCH) if work.drawn else (1, 1)
    if work.name not in peer.notes and not least <= different <= most:
        return f"{different} different results of {BATCH}"
    return None


def inputs(work: Work) -> np.ndarray:
    """Images whose results tell whether each had draws of its own."""
    return (black_and_white if work.output == "mix" else alike)(BATCH, work.size)


def refusal(ours: Ours, work: Work) -> str | None:
    """What the Rust side has against a request."""
    try:
        ours.measure(work, 0.001)
    except Refused as error:
        return str(error)
    return None
