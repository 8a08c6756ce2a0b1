"""The client of `throughput`, the Rust program that measures kd-augment: a line of JSON there, a line back."""

import json
import os
import pathlib
import subprocess
import tempfile

import numpy as np

from works import BATCH, Work


class Refused(Exception):
    """The program answered with an error."""


class Ours:
    """A running `throughput`, and the files it reads its images from."""

    def __init__(self, binary: str, threads: int):
        self.folder = tempfile.TemporaryDirectory(prefix="kd-peers-")
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        try:
            self.process = subprocess.Popen(
                [binary], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
        except OSError as error:
            raise SystemExit(f"peers: {binary} does not start: {error}") from None

    def images(self, size: int, images: np.ndarray) -> None:
        """Writes the images of a size, u8, planar."""
        self._file(size).write_bytes(images.tobytes())

    def measure(self, work: Work, seconds: float) -> tuple[float, float]:
        """Images and bytes a second."""
        request = {
            "work": work.title,
            "augmentation": work.augmentation,
            "output": work.output,
            "shape": [BATCH, 3, work.size, work.size],
            "pixels": str(self._file(work.size)),
            "seconds": seconds,
        }
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SystemExit(f"peers: throughput ended (status {self.process.wait()}) at {work.title}")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["images_per_second"], answer["bytes_per_second"]

    def close(self) -> None:
        """Ends the program and removes the files."""
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()

    def _file(self, size: int) -> pathlib.Path:
        return pathlib.Path(self.folder.name) / f"{size}.u8"
