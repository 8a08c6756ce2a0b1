"""Checkpoints as training scripts write them: one small network in the dictionaries, wrappers, number types and containers in use.

Writes crates/kd-models/tests/fixtures/training_checkpoints.tar.xz and .json: the files, and for each of them either which weights it holds
or with which words it is refused. The dictionaries are written down from the scripts, which are named beside them; classes of libraries
that are not installed are stood in for by empty ones of the same name. Momentum is set to 0, so that the archive stays small.

    python tools/training_checkpoints.py
"""

import argparse
import collections
import copy
import datetime
import hashlib
import io
import json
import lzma
import pathlib
import pickle
import struct
import sys
import tarfile
import tempfile
import types

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

import formula
import resnet

OUT = pathlib.Path(__file__).parent.parent / "crates/kd-models/tests/fixtures"
IMAGES = 4
STEPS, BATCH = 40, 64


def class_of(module: str, name: str, base=object):
    """An importable class that stands in for one of a library."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        path = ".".join(parts[:end])
        sys.modules.setdefault(path, types.ModuleType(path))
    made = type(name, (base,), {"__module__": module})
    setattr(sys.modules[module], name, made)
    return made


AttributeDict = class_of("lightning.fabric.utilities.data", "AttributeDict", dict)
Config = class_of("omegaconf.dictconfig", "DictConfig")
Timestamp = class_of("trainer.timestamps", "Timestamp")


class Python2Dict(collections.OrderedDict):
    """Pickles as Python 2 pickles an OrderedDict: with its items as arguments."""

    def __reduce__(self):
        return (collections.OrderedDict, ([[key, value] for key, value in self.items()],))


def train():
    """A network that has learnt the formula's images a little, its optimiser and an average of its steps."""
    torch.manual_seed(1)
    torch.set_num_threads(1)
    model = resnet.ResNet(8)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    average = AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=True)
    for step in range(STEPS):
        x = formula.normalise(formula.pixels(1000 + step * BATCH, BATCH, torch.float32), formula.CIFAR).float()
        loss = nn.functional.cross_entropy(forward(model, x), torch.from_numpy(formula.labels(1000 + step * BATCH, BATCH)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update_parameters(model)
    optimizer.zero_grad()
    for state in optimizer.state.values():
        state["momentum_buffer"].zero_()
    return model.eval(), optimizer, average.eval()


def forward(model, x):
    y = model(x)
    return y[-1] if isinstance(y, tuple) else y


def digest(state: dict) -> str:
    """SHA-256 of names and numbers as float32, in the order of the names, without the batch norms' counters."""
    sha = hashlib.sha256()
    for name in sorted(state):
        if not name.endswith("num_batches_tracked"):
            sha.update(name.encode() + b"\n" + state[name].float().contiguous().numpy().tobytes())
    return sha.hexdigest()


def expected(state: dict) -> dict:
    model = resnet.ResNet(8)
    model.load_state_dict({name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()})
    x = formula.normalise(formula.pixels(0, 200, torch.float32), formula.CIFAR).float()
    with torch.no_grad():
        logits = forward(model.eval(), x)
    hits = int((logits.argmax(1).numpy() == formula.labels(0, 200)).sum())
    return {"sha256": digest(state), "hits_of_200": hits, "logits": [float(f"{v:.9g}") for v in logits[:IMAGES].flatten()]}


def tar_age(path, state):
    """A file of PyTorch before 0.1.10. Tables: storages, tensors, and a pickle that names tensors by their keys."""
    state = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return str(keys[value.data_ptr()]) if isinstance(value, torch.Tensor) else None

    keys = {tensor.data_ptr(): 1000 + number for number, tensor in enumerate(state.values())}
    storages, tensors, body = io.BytesIO(), io.BytesIO(), io.BytesIO()
    for table in (storages, tensors):
        pickle.dump(len(state), table, protocol=2)
    for tensor in state.values():
        key = keys[tensor.data_ptr()]
        pickle.dump((key + 5000, "cpu", torch.FloatStorage), storages, protocol=2)
        storages.write(struct.pack("<q", tensor.numel()) + tensor.contiguous().numpy().tobytes())
        pickle.dump((key, key + 5000, torch.FloatTensor), tensors, protocol=2)
        tensors.write(struct.pack("<i", tensor.dim()) + b"\0\0\0\0")
        tensors.write(struct.pack(f"<{2 * tensor.dim() + 1}q", *tensor.shape, *tensor.stride(), 0))
    pickle.dump([], storages, protocol=2)
    Pickler(body, protocol=2).dump({"state_dict": collections.OrderedDict(state)})
    system = pickle.dumps({"protocol_version": 1000, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 8}}, protocol=2)
    with tarfile.open(path, "w:", format=tarfile.USTAR_FORMAT) as archive:
        files = [("sys_info", system), ("pickle", body.getvalue()), ("tensors", tensors.getvalue()), ("storages", storages.getvalue())]
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write(folder: pathlib.Path):
    """All files; for each the name of its weights, or words of the refusal."""
    model, optimizer, average = train()
    state, ema = model.state_dict(), average.module.state_dict()
    half, bfloat = ({k: v.to(t) if v.is_floating_point() else v for k, v in state.items()} for t in (torch.float16, torch.bfloat16))
    mixed = {k: half[k] if "conv" in k or k.startswith("fc") or "downsample.0" in k else v for k, v in state.items()}
    sets = {"trained": state, "ema": ema, "half": half, "bfloat16": bfloat, "mixed": mixed}
    files = {}

    def under(prefix, tensors=state):
        return collections.OrderedDict((prefix + name, tensor) for name, tensor in tensors.items())

    def put(name, value, weights="trained", **how):
        assert name not in files
        torch.save(value, folder / name, **how)
        files[name] = {"weights": weights}

    def safe(name, tensors, weights="trained"):
        save_file({k: v.clone().contiguous() for k, v in tensors.items()}, folder / name, metadata={"format": "pt"})
        files[name] = {"weights": weights}

    def refused(name, value, words):
        put(name, value)
        files[name] = {"refused": words}

    teacher = resnet.ResNet(8, classes=7).state_dict()
    sgd = optimizer.state_dict()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [150, 180, 210]).state_dict()
    args = argparse.Namespace(data="./data", lr=0.05, schedule=[150, 180], gpu=None, distributed=False)
    scaler = {"scale": 65536.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000, "_growth_tracker": 7}

    # pytorch/vision, references/classification/train.py
    put("torchvision_model_9.pth", {"model": state, "optimizer": sgd, "lr_scheduler": schedule, "epoch": 9, "args": args})
    put(
        "torchvision_checkpoint.pth",
        {"model": state, "optimizer": sgd, "lr_scheduler": schedule, "epoch": 9, "args": args, "model_ema": average.state_dict(), "scaler": scaler},
    )
    # pytorch/examples, imagenet/main.py
    best = {"arch": "resnet8", "best_acc1": torch.tensor(71.5), "optimizer": sgd, "scheduler": schedule}
    put("imagenet_model_best.pth.tar", {"epoch": 90, "state_dict": under("module."), **best})
    # huggingface/pytorch-image-models: CheckpointSaver, clean_checkpoint.py
    timm = {"epoch": 9, "arch": "resnet8", "state_dict": state, "optimizer": sgd, "version": 2, "args": args, "amp_scaler": scaler, "metric": 71.5}
    put("timm_last.pth.tar", timm)
    put("timm_checkpoint-9.pth.tar", {**timm, "state_dict_ema": ema})
    put("timm_clean_ema.pth", ema, "ema")
    safe("timm_clean_ema.safetensors", ema, "ema")
    # HobbitLong/RepDistiller: train_teacher.py, train_student.py
    put("repdistiller_ckpt_epoch_240.pth", {"epoch": 240, "model": state, "accuracy": torch.tensor(72.5), "optimizer": sgd})
    put("repdistiller_resnet8_best.pth", {"epoch": 237, "model": state, "best_acc": torch.tensor(72.5)})
    put("repdistiller_resnet8_last.pth", {"opt": args, "model": state})
    # megvii-research/mdistiller, engine/trainer.py: no extension
    put("mdistiller_student_best", {"epoch": 240, "model": state})
    distiller = {**under("module.student."), **under("module.teacher.", teacher), "module.conv_reg.conv.weight": torch.ones(4, 4, 1, 1)}
    put("mdistiller_latest", {"epoch": 240, "model": distiller, "optimizer": sgd, "best_acc": 72.5})
    # yoshitomo-matsubara/torchdistill
    put("torchdistill.pt", {"model": state, "optimizer": sgd, "lr_scheduler": schedule, "best_value": 71.5, "args": args})
    # kuangliu/pytorch-cifar, main.py: with DataParallel; in 2017 the module itself
    put("kuangliu_ckpt.pth", {"net": under("module."), "acc": 71.5, "epoch": 199})
    put("kuangliu_ckpt.t7", {"net": nn.DataParallel(model), "acc": 71.5, "epoch": 199})
    # bearpaw/pytorch-classification, cifar.py
    put("bearpaw_checkpoint.pth.tar", {"epoch": 164, "state_dict": under("module."), "acc": 71.5, "best_acc": 72.5, "optimizer": sgd})
    # weiaicunzai/pytorch-cifar100, akamaster/pytorch_resnet_cifar10
    put("weiaicunzai_resnet8-200-regular.pth", state)
    put("akamaster_model.th", {"state_dict": under("module."), "best_prec1": 71.5})
    # Lightning: the module's attributes are prefixes
    lightning = {
        "epoch": 9, "global_step": 400, "pytorch-lightning_version": "2.5.0",
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 10}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val_acc'}": {"best_model_score": torch.tensor(0.71), "best_model_path": "a.ckpt"}},
        "optimizer_states": [sgd], "lr_schedulers": [schedule], "hparams_name": "kwargs", "hyper_parameters": AttributeDict(lr=0.05, width=[16, 32]),
    }  # fmt: skip
    put("lightning-epoch=9-step=400.ckpt", {**lightning, "state_dict": under("model.")})
    put("lightning_compiled.ckpt", {**lightning, "state_dict": under("model._orig_mod.")})
    put("lightning_criterion.ckpt", {**lightning, "state_dict": {**under("net."), "criterion.weight": torch.ones(10)}})
    put("lightning_distiller.ckpt", {**lightning, "state_dict": {**under("student."), **under("teacher.", teacher)}})
    # Accelerate: save_state, save_model
    put("pytorch_model.bin", state)
    safe("model.safetensors", state)
    # Wrappers, saved as they are
    compiled = torch.compile(model)
    put("compile.pt", compiled.state_dict())
    safe("compile.safetensors", compiled.state_dict())
    put("data_parallel.pth", nn.DataParallel(model).state_dict())
    put("ddp_of_compile.pth", nn.DataParallel(compiled).state_dict())
    put("compile_of_ddp.pth", torch.compile(nn.DataParallel(model)).state_dict())
    # FSDP: gathered, by its API or without it; activation checkpoints
    put("fsdp_gathered.pt", {"model": state, "optim": {"state": {}, "param_groups": []}})
    fsdp = {("_fsdp_wrapped_module." + k).replace("layer1.0.", "layer1.0._checkpoint_wrapped_module."): v for k, v in state.items()}
    put("fsdp_wrapped.pt", fsdp)
    # Averages
    put("swa_averaged_model.pt", average.state_dict(), "ema")
    swag = {"epoch": 300, "state_dict": state, "swa_state_dict": ema, "swa_n": 100, "optimizer": sgd}
    put("timgaripov_swa_checkpoint-300.pt", swag)
    # kekmodel/FixMatch-pytorch, facebookresearch/deit, TorchSSL
    fixmatch = {"epoch": 9, "state_dict": state, "ema_state_dict": ema, "acc": 71.5, "best_acc": 72.5, "optimizer": sgd, "scheduler": schedule}
    put("fixmatch_checkpoint.pth.tar", fixmatch)
    deit = {"model": state, "optimizer": sgd, "lr_scheduler": schedule, "epoch": 9, "model_ema": ema, "scaler": scaler, "args": args}
    put("deit_checkpoint.pth", deit)
    put("torchssl_latest_model.pth", {"model": state, "optimizer": sgd, "scheduler": schedule, "it": 400, "ema_model": ema})
    put("only_ema.pth", {"step": 400, "ema": ema}, "ema")
    # facebookresearch/dino and others that train a student beside its teacher
    dino = {"student": under("module."), "teacher": teacher, "optimizer": sgd, "epoch": 9, "args": args, "dino_loss": {"center": torch.zeros(1, 7)}}
    put("dino_checkpoint.pth", dino)
    # PyTorch's tutorial, Catalyst, Ignite, fastai, Composer, DeepSpeed
    put("tutorial.tar", {"epoch": 5, "model_state_dict": state, "optimizer_state_dict": sgd, "loss": torch.tensor(0.4)})
    put("catalyst_best.pth", {"model_state_dict": state, "optimizer_state_dict": sgd, "epoch_metrics": {"loss": 0.4}, "stage": "train"})
    put("ignite_checkpoint_400.pt", {"model": state, "optimizer": sgd, "trainer": collections.OrderedDict(epoch_length=40, iteration=400)})
    put("fastai_stage-1.pth", {"model": state, "opt": {"state": [], "hypers": [{"lr": 0.05}]}})
    composer = {"state": {"model": under("module."), "optimizers": {"SGD": sgd}, "timestamp": Timestamp()}, "rng": [{"python": (3, (1, 2), None)}]}
    put("composer_ep9-ba400-rank0.pt", composer)
    deepspeed = {"module": state, "buffer_names": ["bn1.running_mean"], "optimizer": None, "csr_tensor_module_names": set(), "dp_world_size": 1}
    put("mp_rank_00_model_states.pt", deepspeed)
    # Number types
    put("half.pth", half, "half")
    put("bfloat16.pth", bfloat, "bfloat16")
    put("double.pth", copy.deepcopy(model).double().state_dict())
    put("apex_keep_batchnorm_fp32.pth", {"model": mixed, "optimizer": sgd, "amp": {"loss_scaler0": {"loss_scale": 65536.0, "unskipped": 9}}}, "mixed")
    put("half_legacy.pth", half, "half", _use_new_zipfile_serialization=False)
    safe("half.safetensors", half, "half")
    safe("bfloat16.safetensors", bfloat, "bfloat16")
    safe("double.safetensors", copy.deepcopy(model).double().state_dict())
    # Containers and pickles
    put("legacy.pth", {"state_dict": state, "epoch": 3}, _use_new_zipfile_serialization=False)
    put("legacy_protocol_4.pth", {"state_dict": state}, _use_new_zipfile_serialization=False, pickle_protocol=4)
    for protocol in (3, 4, 5):
        put(f"protocol_{protocol}.pth", {"state_dict": state, "large": 1 << 300, "bytes": b"12", "array": bytearray(b"3")}, pickle_protocol=protocol)
    torch.serialization.set_crc32_options(False)
    put("no_crc32.pth", state)
    torch.serialization.set_crc32_options(True)
    put("python_2.pth", {"state_dict": Python2Dict(state)}, _use_new_zipfile_serialization=False)
    tar_age(folder / "pytorch_0.1.9.pth", state)
    files["pytorch_0.1.9.pth"] = {"weights": "trained"}
    # Odd objects beside the weights
    counts = collections.defaultdict(list, {"loss": [2.3, 1.9], "acc": [0.3]})
    sparse = torch.eye(3).to_sparse()
    odd = {
        "history": counts, "window": collections.deque([1.0, 2.0], maxlen=5), "date": datetime.datetime(2024, 5, 1), "seen": {1, 2}, "frozen": frozenset([3]),
        "path": pathlib.PurePosixPath("runs/1"), "best": np.float64(71.5), "confusion": np.eye(2), "complex": torch.ones(2, dtype=torch.complex64),
        "sparse": sparse, "csr": sparse.to_sparse_csr(), "quantised": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
        "optimizer": optimizer, "config": Config(), "dtype": torch.float16, "device": torch.device("cpu"), "size": torch.Size([1, 2]), "j": 2j,
        "rng": torch.get_rng_state(), "numpy_rng": np.random.RandomState(0).get_state(), "slice": slice(1, 2), "float8": torch.ones(2).to(torch.float8_e4m3fn),
        "counter": collections.Counter("aab"), "args": args, "version": sys.version_info[:2], "uint16": torch.ones(2, dtype=torch.uint16),
    }  # fmt: skip
    put("odd_objects.pth", {"model": state, **odd})
    put("odd_objects_legacy.pth", {**{k: v for k, v in odd.items() if k not in ("float8", "uint16")}, "model": state}, _use_new_zipfile_serialization=False)
    put("state_dict_is_a_defaultdict.pth", {"state_dict": collections.defaultdict(int, state)})
    put("thop_profiled.pth", {**state, **{name + "total_ops": torch.zeros(1, dtype=torch.float64) for name in ("", "layer1.", "layer1.0.conv1.")}})
    # Layouts
    put("channels_last.pth", copy.deepcopy(model).to(memory_format=torch.channels_last).state_dict())
    turned = {k: v.t().contiguous().t() if v.dim() == 2 else v.flip(0).contiguous().flip(0) if v.dim() == 1 else v for k, v in state.items()}
    put("strided.pth", {k: torch.stack([v, v], -1)[..., 1] if v.dim() in (1, 4) else v for k, v in turned.items()})
    flat = torch.cat([v.flatten() for v in state.values() if v.is_floating_point()])
    parts = flat.split([v.numel() for v in state.values() if v.is_floating_point()])
    names = [k for k, v in state.items() if v.is_floating_point()]
    put("one_storage.pth", {k: part.view_as(state[k]) for k, part in zip(names, parts)})
    parameters = {**dict(copy.deepcopy(model).named_parameters()), **dict(model.named_buffers())}
    parameters["conv1.weight"].decay = 0.9
    parameters["fc.bias"] = parameters["fc.bias"].data.clone()
    parameters["fc.bias"].tag = "head"
    put("parameters_with_attributes.pth", parameters)
    put("whole_model.pth", model)
    torch.jit.save(torch.jit.trace(model, torch.zeros(1, 3, 32, 32), strict=False), folder / "traced.pt")
    files["traced.pt"] = {"weights": "trained"}
    # From a GPU: the storages carry its name
    tagged = (0, lambda storage: "cuda:0", lambda storage, location: storage if location.startswith("cuda") else None)
    torch.serialization.register_package(*tagged)
    put("cuda.pth", {"state_dict": under("module.")})
    put("cuda_legacy.pth", {"state_dict": under("module.")}, _use_new_zipfile_serialization=False)
    torch.serialization._package_registry.remove(tagged)
    # The name of a file stands in it, and moves what follows
    for length in range(1, 41):
        put("n" * length, state)

    # What is refused
    mm = {**{("head." if k.startswith("fc") else "backbone.") + k: v for k, v in state.items()}}
    refused("mmpretrain_epoch_200.pth", {"meta": {"epoch": 200}, "state_dict": mm, "message_hub": {}}, "backbone.conv1.weight")
    refused("moco_checkpoint.pth.tar", {"epoch": 9, "state_dict": under("module.encoder_q.")}, "all names in the file begin with `encoder_q.`")
    refused("backbone.pth", under("backbone."), "all names in the file begin with `backbone.`")
    refused("two_heads.pth", {**state, "module.fc.weight": torch.zeros(10, 64)}, "`fc.weight` and `module.fc.weight` are both `fc.weight`")
    refused("numpy.pkl", {"model": {k: v.numpy() for k, v in state.items()}}, "it holds no tensors")
    refused("complex.pth", {**state, "fc.weight": torch.zeros(10, 64, dtype=torch.complex64)}, "fc.weight")
    refused("integers.pth", {**state, "fc.weight": torch.zeros(10, 64, dtype=torch.int64)}, "fc.weight: its numbers are I64")
    refused("overflow.pth", {**state, "fc.weight": torch.full((10, 64), 1e300, dtype=torch.float64)}, "fc.weight: expected finite numbers")
    refused("variance.pth", {**state, "bn1.running_var": -state["bn1.running_var"]}, "bn1.running_var: expected variances")
    refused("classes.pth", {**state, "fc.weight": torch.zeros(10, 9), "fc.bias": torch.zeros(9)}, "fc.weight: expected [10, 64], found [10, 9]")
    with open(folder / "pickled.pkl", "wb") as file:
        pickle.dump(state, file)
    files["pickled.pkl"] = {"refused": "none that `torch.save` wrote"}
    return sets, files


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        sets, files = write(folder)
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 64 << 20}]
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            for name in files:
                member = tarfile.TarInfo(name)
                member.size = (folder / name).stat().st_size
                with open(folder / name, "rb") as file:
                    archive.addfile(member, file)
        packed = lzma.compress(tar.getvalue(), lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)
    (OUT / "training_checkpoints.tar.xz").write_bytes(packed)
    fixture = {"torch": torch.__version__, "weights": {name: expected(state) for name, state in sets.items()}, "files": files}
    text = json.dumps(fixture, separators=(",", ":")).replace('},"', '},\n"')
    (OUT / "training_checkpoints.json").write_text(text + "\n")
    print(len(files), "files,", len(tar.getvalue()), "bytes, packed", len(packed))
    print({name: value["hits_of_200"] for name, value in fixture["weights"].items()})


if __name__ == "__main__":
    main()
