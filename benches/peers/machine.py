"""The machine, for the foot of the table."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import time

import numpy as np


def _processor() -> str:
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, OSError, ValueError):
        return "unknown"


def _second_level() -> int:
    """Bytes of the second-level cache, 1 MiB where the system does not say."""
    try:
        text = pathlib.Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
        return int(text.removesuffix("K")) * 1024
    except (OSError, ValueError):
        return 2**20


def _copy(size: int) -> float:
    """Bytes a second, read and written counted, of a copy of `size` bytes: the best of several."""
    source, target = np.ones(size, np.uint8), np.zeros(size, np.uint8)
    times = max(1, 2**26 // size)
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(times):
            np.copyto(target, source)
        best = min(best, (time.perf_counter() - start) / times)
    return 2 * size / best


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "?"


def describe(packages: list[str]) -> dict[str, str]:
    """What stands below the table, by name."""
    small, large = _second_level() // 4, 2**28
    return {
        "date": datetime.date.today().isoformat(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": _memory(),
        f"memcpy of {large // 2**20} MiB": f"{_copy(large) / 1e9:.1f} GB/s read and written, one thread",
        f"memcpy of {small // 2**10} KiB (second-level cache)": f"{_copy(small) / 1e9:.1f} GB/s",
        "malloc": os.environ.get("GLIBC_TUNABLES") or "the system's defaults",
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *(f"{name} {_version(name)}" for name in packages)]
        ),
    }
