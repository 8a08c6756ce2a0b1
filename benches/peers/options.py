"""The command line, shared by `run` (before there is a virtual environment) and `peers.py`. Standard library only."""

import argparse

TEXT = """
Augmentation throughput of kd-augment beside torchvision, Pillow, albumentations, kornia and timm:
images a second, the same work on the same images, parameters drawn for each image.
With --models: networks and layers of kd beside PyTorch's, milliseconds a pass.
With --losses: losses of kd beside the same formulas in PyTorch, and beside a training step.
"""
END = """
environment:
  KD_PEERS_VENV        the virtual environment (default: .venv beside this program, made on the first run)
  CARGO_TARGET_DIR     where cargo builds, as always
  PIP_EXTRA_INDEX_URL  https://download.pytorch.org/whl/cpu spares the first run the CUDA libraries
  GLIBC_TUNABLES       by default a malloc that keeps its memory, which helps the peers; set it to have another

examples:
  run                                  everything, one thread: about twenty minutes
  run --quick                          32 px, three short rounds: a first look, half a minute
  run --only rotate --size 32,224      the works whose name holds "rotate"
  run --json > rows.json               the rows only
  run --models --threads 2             networks and layers, forward and training step, beside PyTorch: five minutes
  run --losses --threads 2             every loss, forward and backward, beside PyTorch: ten minutes
  run --check                          no figures: shapes, types, and that every image has draws of its own

Close what else runs on the machine first; the interquartile ranges show whether it was quiet.
"""


def sizes(text: str) -> list[int]:
    """Parses `32,64`."""
    values = [int(part) for part in text.split(",")]
    if not values or any(not 16 <= value <= 1024 for value in values):
        raise argparse.ArgumentTypeError("sizes lie in 16 to 1024, as in 32,64,224")
    return values


def positive(text: str) -> int:
    """Parses a whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("a whole number from 1")
    return value


def parser() -> argparse.ArgumentParser:
    """The options of `run`."""
    p = argparse.ArgumentParser(
        prog="run", description=TEXT, epilog=END, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--json", action="store_true", help="rows as a JSON list on stdout, no table")
    p.add_argument("--size", type=sizes, metavar="PX,…", help="image sizes (default 32,64,224; with --quick 32)")
    p.add_argument("--models", action="store_true", help="networks and layers beside PyTorch's, instead of augmentation")
    p.add_argument("--losses", action="store_true", help="losses beside PyTorch's, instead of augmentation")
    p.add_argument("--only", default="", metavar="TEXT", help="works (or networks, layers, losses) whose name holds TEXT")
    p.add_argument("--peer", default="", metavar="TEXT", help="peers whose name holds TEXT")
    p.add_argument("--rounds", type=positive, metavar="N", help="interleaved rounds (default 9, of models 21; with --quick 3)")
    p.add_argument("--threads", type=positive, default=1, metavar="N", help="threads for each (default 1)")
    p.add_argument("--quick", action="store_true", help="a first look: fewer, shorter rounds, 32 px")
    p.add_argument("--check", action="store_true", help="check every pipeline, measure none")
    p.add_argument("--binary", metavar="PATH", help="this `throughput` (or `models`) program, instead of building one")
    return p


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parses, and fills in what --quick changes."""
    options = parser().parse_args(arguments)
    options.size = options.size or ([32] if options.quick else [32, 64, 224])
    usual = 21 if options.models else 9
    options.rounds = options.rounds or (3 if options.quick else usual)
    options.seconds = 0.06 if options.quick else 0.2
    return options
