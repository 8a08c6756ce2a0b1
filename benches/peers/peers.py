"""Measures kd-augment and its peers in interleaved rounds. Started by `run`, in the virtual environment."""

import contextlib
import importlib
import json
import sys
import time
import warnings

import numpy as np

import check
import options
import table
from images import natural
from libraries import Peer, Pipeline
from ours import Ours, Refused
from works import BATCH, Work, works

MODULES = ("torchvision_v2", "pillow", "albumentations_hwc", "kornia_batch", "timm_pil")
# Batches before the first round: the first ones of a pipeline pay for their memory.
WARM_UP = 3


def say(text: str) -> None:
    """To stderr: stdout is for rows."""
    print(f"peers: {text}", file=sys.stderr, flush=True)


def libraries(threads: int) -> list:
    """The modules of the libraries that import, on as many threads as asked."""
    warnings.filterwarnings("ignore")
    found = []
    for name in MODULES:
        try:
            found.append(importlib.import_module(f"libraries.{name}"))
        except Exception as error:
            say(f"{name} is left out, it does not import: {error}")
    with contextlib.suppress(ImportError):
        import cv2

        cv2.setNumThreads(0 if threads == 1 else threads)
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
    return found


def build(modules: list, size: int, pixels: np.ndarray, only: str = "") -> list[Peer]:
    """The peers whose name holds `only`, on these images."""
    found = []
    for module in modules:
        try:
            found += module.peers(size, pixels)
        except Exception as error:
            say(f"{module.__name__} is left out at {size} px: {type(error).__name__}: {error}")
    return [peer for peer in found if only.lower() in peer.name.lower()]


def rate(pipeline: Pipeline, seconds: float) -> float:
    """Images a second over at least one batch."""
    start = time.perf_counter()
    batches = 0
    while True:
        pipeline()
        batches += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return batches * BATCH / elapsed


def quartiles(values: list[float]) -> list[float]:
    """The first and the third."""
    return [float(value) for value in np.percentile(values, [25, 75])]


def measure(work: Work, peers: list[Peer], ours: Ours, rounds: int, seconds: float) -> list[dict]:
    """A row for each peer that does the work."""
    ours.measure(work, seconds / 4)
    able = []
    for peer in peers:
        if work.name in peer.pipelines:
            try:
                for _ in range(WARM_UP):
                    peer.pipelines[work.name]()
                able.append(peer)
            except Exception as error:
                say(f"{work.title}: {peer.name} is left out: {type(error).__name__}: {error}")
    own, others = [], [[] for _ in able]
    for _ in range(rounds):
        own.append(ours.measure(work, seconds))
        for peer, rates in zip(able, others):
            rates.append(rate(peer.pipelines[work.name], seconds))
    images, traffic = zip(*own)
    rows = []
    for peer, rates in zip(able, others):
        rows.append(
            {
                "work": work.title,
                "size": work.size,
                "ours": float(np.median(images)),
                "ours_iqr": quartiles(images),
                "peer_name": peer.title(work.name),
                "peer": float(np.median(rates)),
                "peer_iqr": quartiles(rates),
                "ratio": float(np.median(np.array(images) / np.array(rates))),
                "ours_bytes_per_second": float(np.median(traffic)),
            }
        )
    return rows


def checked(work: Work, peers: list[Peer], ours: Ours) -> int:
    """Says what is wrong with a work; the number of faults."""
    faults = [("kd-augment", check.refusal(ours, work))]
    for peer in peers:
        if work.name in peer.pipelines:
            try:
                faults.append((peer.title(work.name), check.fault(work, peer)))
            except Exception as error:
                faults.append((peer.title(work.name), f"{type(error).__name__}: {error}"))
    wrong = [f"{name}: {text}" for name, text in faults if text]
    print(f"{work.title}: {'; '.join(wrong) or 'right: ' + ', '.join(name for name, _ in faults)}", flush=True)
    return len(wrong)


def main() -> None:
    """Measures, or checks, and prints."""
    wanted = options.parse()
    modules = libraries(wanted.threads)
    rows, faults, count = [], 0, 0
    ours = Ours(wanted.binary, wanted.threads)
    try:
        for size in wanted.size:
            pixels = natural(BATCH, size)
            ours.images(size, pixels)
            chosen = [work for work in works(size) if wanted.only.lower() in work.title.lower()]
            count += len(chosen)
            peers = [] if wanted.check else build(modules, size, pixels, wanted.peer)
            for index, work in enumerate(chosen):
                if wanted.check:
                    faults += checked(work, build(modules, size, check.inputs(work), wanted.peer), ours)
                    continue
                say(f"{size} px, {index + 1} of {len(chosen)}: {work.title}")
                try:
                    rows += measure(work, peers, ours, wanted.rounds, wanted.seconds)
                except Refused as error:
                    say(f"{work.title} is left out, kd-augment refuses it: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        ours.close()
    if not count:
        sys.exit(f"peers: no work holds {wanted.only!r} in its name")
    if wanted.check:
        sys.exit(1 if faults else 0)
    if wanted.json:
        json.dump(rows, sys.stdout, indent=1)
        print()
        return
    import machine

    packages = list(dict.fromkeys(name for module in modules for name in module.PACKAGES))
    print(f"Images a second, {wanted.threads} thread(s), batches of {BATCH}; median of {wanted.rounds} rounds.\n")
    print(table.markdown(rows) + "\n")
    for name, value in machine.describe(packages).items():
        print(f"- {name}: {value}")


if __name__ == "__main__":
    main()
