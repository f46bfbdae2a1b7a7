"""Small .pth files, well-formed and hostile: python files.py FOLDER"""
import argparse
import io
import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn


def values(*shape, dtype=torch.float32):
    return torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)


def state():
    return OrderedDict({"layer.weight": values(2, 3), "layer.bias": values(2) - 0.5})


class Command:
    """Runs a shell command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch executed-by-a-pickle",)


def archive(path, root, pickled, storages, compression=zipfile.ZIP_STORED):
    """An archive as `torch.save` writes it, of any pickle and storages."""
    with zipfile.ZipFile(path, "w", compression) as out:
        def put(name, data):
            out.writestr(zipfile.ZipInfo(f"{root}/{name}", (1980, 1, 1, 0, 0, 0)), data, compression)
        put("data.pkl", pickled)
        put("byteorder", "little")
        for name, data in storages.items():
            put(f"data/{name}", data)
        put("version", "3\n")


def tensor_pickle(name, numel, size, stride):
    """The pickle of `{name: tensor}` over a storage said to have `numel` floats."""
    class Storage:
        pass

    class Rebuilt:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (Storage(), 0, size, stride, False, OrderedDict())

    class Pickler(pickle.Pickler):
        def persistent_id(self, found):
            return ("storage", torch.FloatStorage, "0", "cpu", numel) if isinstance(found, Storage) else None

    out = io.BytesIO()
    Pickler(out, 2).dump({name: Rebuilt()})
    return out.getvalue()


def honest(folder):
    save = lambda found, name, **how: torch.save(found, folder / name, **how)
    save(state(), "plain.pth")
    save(state(), "legacy.pth", _use_new_zipfile_serialization=False)
    save(OrderedDict({str(dtype).removeprefix("torch."): values(4, dtype=dtype) for dtype in (
        torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
        torch.bool)}) | {"parameter": nn.Parameter(values(2)), "scalar": torch.tensor(3.5), "empty": torch.zeros(0, 2)},
        "types.pth")
    whole = values(4, 3)
    save({"whole": whole, "turned": whole.t(), "part": whole[1:3, 1:], "steps": whole[::2],
          "expanded": values(2).expand(3, 2)}, "views.pth")
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        model[0].weight.copy_(values(2, 3))
    optimizer = torch.optim.Adam(model.parameters())
    model(values(4, 3)).sum().backward()
    optimizer.step()
    model[0].weight.data.copy_(values(2, 3))
    save({"meta": {"epoch": 40, "time": "now"}, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict()},
         "state_dict.pth")
    save({"model": state(), "optimizer": optimizer.state_dict(), "epoch": 299,
          "args": argparse.Namespace(lr=1e-4, dataset_file="coco", device=torch.device("cpu"))}, "detr_like.pth")
    save({"model": {f"module.{name}": value for name, value in state().items()}}, "parallel.pth")
    save(nn.ModuleDict({"model": nn.Linear(3, 2)}).state_dict() | {"head": values(1)}, "part_called_model.pth")
    buffer = io.BytesIO()
    torch.save(state(), buffer)
    with zipfile.ZipFile(buffer) as found:
        entries = {name.split("/", 1)[1]: found.read(name) for name in found.namelist()}
    storages = {name.removeprefix("data/"): data for name, data in entries.items() if name.startswith("data/")}
    archive(folder / "deflated.pth", "some/other/root", entries["data.pkl"], storages, zipfile.ZIP_DEFLATED)


def hostile(folder):
    torch.save({"weight": values(2), "extra": Command()}, folder / "command.pth")
    torch.save(Command(), folder / "command_alone.pth")
    four = bytes(16)
    archive(folder / "storage_bomb.pth", "a", tensor_pickle("w", 4 << 20, (4 << 20,), (1,)), {"0": bytes(16 << 20)},
            zipfile.ZIP_DEFLATED)
    # A pickle of 32 MiB of empty dictionaries, deflated.
    archive(folder / "pickle_bomb.pth", "a", b"\x80\x02" + b"}" * (32 << 20) + b".", {"0": four}, zipfile.ZIP_DEFLATED)
    archive(folder / "step_bomb.pth", "a", b"\x80\x02(" + b"}" * (1 << 20) + b"l.", {"0": four}, zipfile.ZIP_DEFLATED)
    archive(folder / "objects.pth", "a", b"\x80\x02(" + b"}" * ((1 << 20) - 4) + b"l.", {"0": four}, zipfile.ZIP_DEFLATED)
    archive(folder / "laughs.pth", "a", b"\x80\x02]q\x00" + b"".join(
        b"(" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"lq" + bytes([i + 1]) for i in range(200)) + b".", {"0": four})
    archive(folder / "nested.pth", "a", b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", {"0": four},
            zipfile.ZIP_DEFLATED)
    archive(folder / "long_string.pth", "a", b"\x80\x04\x8d" + (1 << 62).to_bytes(8, "little") + b"a.", {"0": four})
    archive(folder / "short_storage.pth", "a", tensor_pickle("w", 1 << 30, (1 << 15, 1 << 15), (1 << 15, 1)), {"0": four})
    archive(folder / "expanded.pth", "a", tensor_pickle("w", 4, (1 << 20,), (0,)), {"0": four})
    archive(folder / "outside.pth", "a", tensor_pickle("w", 4, (2, 4), (4, 1)), {"0": four})
    archive(folder / "negative.pth", "a", tensor_pickle("w", 4, (-2, 2), (2, 1)), {"0": four})
    archive(folder / "no_storage.pth", "a", tensor_pickle("w", 4, (2, 2), (2, 1)), {})
    torch.save({"w": torch.eye(3).to_sparse(), "v": values(2)}, folder / "sparse.pth")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    honest(folder)
    hostile(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
