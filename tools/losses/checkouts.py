"""Code of published implementations from checkouts of their repositories, run on a CPU."""

import ast
import contextlib
import importlib
import io
import sys
import types
import warnings

import torch
import torch.nn.functional as F
from torch.func import functional_call

FOLDERS = {
    "RepDistiller": "HobbitLong",
    "mdistiller": "megvii-research",
    "Knowledge-Distillation-Zoo": "AberHu",
    "DIST_KD": "hunto",
    "Teacher-free-Knowledge-Distillation": "yuanli2333",
    "OKDDip-AAAI2020": "AnTuo1998",
    "cs-kd": "alinlab",
    "PS-KD-Pytorch": "lgcnsai",
    "OKDDip": "DefangChen",
    "Good-DA-in-KD": "MingSun-Tse",
    "pytorch-cifar": "kuangliu",
    "pytorch-classification": "bearpaw",
}


class Sources:
    """Modules of the checkouts by path, without running the packages' __init__."""

    def __init__(self, root):
        self.root = root

    def folder(self, name):
        for candidate in (f"{FOLDERS[name]}+{name}", name):
            if (self.root / candidate).is_dir():
                return self.root / candidate
        raise FileNotFoundError(f"no checkout of {FOLDERS[name]}/{name}")

    def module(self, name, path):
        """The module at `path` (without .py) in the checkout `name`."""
        directory, _, file = path.rpartition("/")
        package = f"published_{name}_{directory}".replace("-", "_").replace("/", "_")
        if package not in sys.modules:
            parent = types.ModuleType(package)
            parent.__path__ = [str(self.folder(name) / directory)]
            sys.modules[package] = parent
        return importlib.import_module(f"{package}.{file}")

    def definition(self, name, path, wanted):
        """One class of a script that does not import without running."""
        tree = ast.parse((self.folder(name) / path).read_text())
        found = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == wanted]
        space = {"torch": torch, "nn": torch.nn, "F": F}
        exec(compile(ast.Module(found, []), path, "exec"), space)
        return space[wanted]

    def rd(self, file):
        return self.module("RepDistiller", f"distiller_zoo/{file}")

    def rd_modules(self):
        return self.module("RepDistiller", "models/util")

    def md(self, file):
        return self.module("mdistiller", f"mdistiller/distillers/{file}")

    def zoo(self, file):
        return self.module("Knowledge-Distillation-Zoo", f"kd_losses/{file}")

    def tf_kd(self):
        return self.module("Teacher-free-Knowledge-Distillation", "my_loss_function")

    def okddip(self, file="utils"):
        return self.module("OKDDip-AAAI2020", file)


@contextlib.contextmanager
def on_cpu():
    """Published code that moves tensors to a GPU, warns and prints."""
    kept = torch.Tensor.cuda
    torch.Tensor.cuda = lambda self, *_, **__: self
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.Tensor.cuda = kept


def called(module, tensors, *inputs):
    """The module in training mode with these tensors for parameters."""
    return functional_call(module.double().train(), tensors, inputs)
