# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads the tensors of a file that torch.save wrote, in its new format (a zip) or its old one, without torch. Such a
file is a pickle, a program that could call anything: here it can make dictionaries, settings that nobody reads, and
tensors. Everything else that it names is refused, and nothing of it is executed."""

import collections
import io
import pickle
import struct
import zipfile
from typing import NamedTuple

# Of a storage's name: what safetensors calls its numbers, and their bytes.
NUMBERS = {"DoubleStorage": ("F64", 8), "FloatStorage": ("F32", 4), "HalfStorage": ("F16", 2),
           "BFloat16Storage": ("BF16", 2), "LongStorage": ("I64", 8), "IntStorage": ("I32", 4),
           "ShortStorage": ("I16", 2), "CharStorage": ("I8", 1), "ByteStorage": ("U8", 1), "BoolStorage": ("BOOL", 1)}


class Tensor(NamedTuple):
    dtype: str    # as safetensors names it
    shape: tuple
    data: bytes   # the numbers in row-major order


class StorageType(NamedTuple):
    name: str


class Storage:
    def __init__(self, name):
        self.dtype, self.size = NUMBERS[name]
        self.data = b""


class Settings:
    """Stands for argparse.Namespace, in which fairseq keeps its settings."""


class View(NamedTuple):
    """A tensor before its storage is read."""
    storage: Storage
    offset: int
    shape: tuple
    strides: tuple

    def tensor(self, name):
        count, dense = 1, True
        for extent, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            dense = dense and (extent == 1 or stride == count)
            count *= extent
        begin, end = self.offset * self.storage.size, (self.offset + count) * self.storage.size
        if not dense and count > 0:
            raise ValueError(f"{name} is not contiguous")
        if not 0 <= begin <= end <= len(self.storage.data):
            raise ValueError(f"{name} lies outside its storage")
        return Tensor(self.storage.dtype, self.shape, self.storage.data[begin:end])


def rebuild_tensor(storage, offset, shape, strides, *_):
    return View(storage, offset, tuple(shape), tuple(strides))


class Reader(pickle.Unpickler):
    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        known = {("collections", "OrderedDict"): collections.OrderedDict, ("argparse", "Namespace"): Settings,
                 ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor}
        if (module, name) in known:
            return known[module, name]
        if module == "torch" and name in NUMBERS:
            return StorageType(name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")

    def persistent_load(self, pid):  # ("storage", type, key, device, numbers, …)
        if pid[0] != "storage" or not isinstance(pid[1], StorageType):
            raise pickle.UnpicklingError(f"{pid[0]} is not allowed")
        return self.storages.setdefault(pid[2], Storage(pid[1].name))


def read_zip(file):
    with zipfile.ZipFile(file) as archive:
        root = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")
        reader = Reader(archive.open(root + "data.pkl"))
        content = reader.load()
        for key, storage in reader.storages.items():
            storage.data = archive.read(f"{root}data/{key}")
    return content


def read_old(file):
    for _ in range(3):  # a magic number, the format's version, the machine
        Reader(file).load()
    reader = Reader(file)
    content = reader.load()
    for key in Reader(file).load():
        storage = reader.storages[key]
        count, = struct.unpack("<q", file.read(8))
        storage.data = file.read(count * storage.size)
        if len(storage.data) != count * storage.size:
            raise ValueError("the file ends early")
    return content


def read_torch(data):
    """The tensors of a file's bytes by their names."""
    file = io.BytesIO(data)
    content = read_zip(file) if zipfile.is_zipfile(file) else read_old(io.BytesIO(data))
    views = content.get("model", content)  # fairseq: {"args": …, "model": {…}, …}
    return {name: view.tensor(name) for name, view in views.items() if isinstance(view, View)}
