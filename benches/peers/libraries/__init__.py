"""What each peer does for each work. Images lie in the container the library wants; nothing is decoded or loaded.

A pipeline is a function without arguments that does one batch and returns it, as a list of images or as a batch.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

Pipeline = Callable[[], Any]


@dataclasses.dataclass
class Peer:
    """A library with one container. `notes`: works that it does in another way, and how."""

    name: str
    pipelines: dict[str, Pipeline]
    notes: dict[str, str] = dataclasses.field(default_factory=dict)

    def title(self, work: str) -> str:
        """The name in tables and rows."""
        return f"{self.name} ({self.notes[work]})" if work in self.notes else self.name


def each(function: Callable[[Any], Any], images: list) -> Pipeline:
    """A pipeline that does one image after the other."""
    return lambda: [function(image) for image in images]
