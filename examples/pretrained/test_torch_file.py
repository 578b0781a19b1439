# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files as torch.save writes them, made by hand in both formats, are read; whatever else a pickle names is refused and
not executed."""

import argparse
import collections
import io
import os
import pathlib
import pickle
import struct
import sys
import tempfile
import types
import unittest
import zipfile

from safetensors_file import read_safetensors, write_safetensors
from torch_file import Tensor, read_torch

# Names that a file of torch's refers to: they exist only while such files are made here.
torch = types.ModuleType("torch")
torch_utils = types.ModuleType("torch._utils")


def storage_type(name):
    made = type(name, (), {"__module__": "torch"})
    setattr(torch, name, made)
    return made


FLOATS, HALVES, LONGS = storage_type("FloatStorage"), storage_type("HalfStorage"), storage_type("LongStorage")


def _rebuild_tensor_v2(*_):
    raise AssertionError("called")


_rebuild_tensor_v2.__module__ = "torch._utils"
torch_utils._rebuild_tensor_v2 = _rebuild_tensor_v2


class MadeStorage:
    def __init__(self, kind, key, data, count):
        self.kind, self.key, self.data, self.count = kind, key, data, count


class MadeTensor:
    def __init__(self, storage, offset, shape, strides):
        self.call = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.call


class Writer(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, MadeStorage):
            return "storage", obj.kind, obj.key, "cuda:0", obj.count, None
        return None


def pickled(content):
    file = io.BytesIO()
    sys.modules.update({"torch": torch, "torch._utils": torch_utils})
    try:
        Writer(file, 2).dump(content)
    finally:
        del sys.modules["torch"], sys.modules["torch._utils"]
    return file.getvalue()


def old_file(content, storages):
    head = b"".join(pickle.dumps(part, 2) for part in (0x1950a86a20f9469cfc6c, 1001, {"little_endian": True}))
    tail = pickle.dumps([storage.key for storage in storages], 2)
    return head + pickled(content) + tail + b"".join(struct.pack("<q", s.count) + s.data for s in storages)


def new_file(content, storages):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", pickled(content))
        for storage in storages:
            archive.writestr(f"model/data/{storage.key}", storage.data)
    return file.getvalue()


def storage(kind, letter, numbers):
    return MadeStorage(kind, "k" + letter, struct.pack(f"<{len(numbers)}{letter}", *numbers), len(numbers))


class Reading(unittest.TestCase):
    def test_both_formats(self):
        floats = storage(FLOATS, "f", range(8))
        halves = storage(HALVES, "e", [1.5])
        content = collections.OrderedDict(a=MadeTensor(floats, 2, (2, 3), (3, 1)), b=MadeTensor(halves, 0, (), ()),
                                          c=MadeTensor(floats, 0, (1, 2), (9, 1)),
                                          d=MadeTensor(floats, 0, (0, 5), (5, 1)))
        expected = {"a": Tensor("F32", (2, 3), struct.pack("<6f", *range(2, 8))),
                    "b": Tensor("F16", (), struct.pack("<e", 1.5)),
                    "c": Tensor("F32", (1, 2), struct.pack("<2f", 0, 1)), "d": Tensor("F32", (0, 5), b"")}
        settings = argparse.Namespace(depth=4, inner=argparse.Namespace(x=[1, 2]))
        for file in old_file, new_file:
            self.assertEqual(read_torch(file(content, [floats, halves])), expected)
            wrapped = {"args": settings, "model": content, "step": 7}
            self.assertEqual(read_torch(file(wrapped, [floats, halves])), expected)

    def test_tensors_that_are_not_there(self):
        longs = storage(LONGS, "q", range(6))
        for tensor in (MadeTensor(longs, 0, (2, 3), (1, 2)), MadeTensor(longs, 1, (2, 3), (3, 1)),
                       MadeTensor(longs, -1, (2,), (1,)), MadeTensor(longs, 0, (2, 3), (3,))):
            for file in old_file, new_file:
                with self.assertRaises(ValueError):
                    read_torch(file({"t": tensor}, [longs]))
        with self.assertRaises((ValueError, struct.error)):
            read_torch(old_file({"t": MadeTensor(longs, 0, (6,), (1,))}, [longs])[:-8])

    def test_nothing_is_executed(self):
        with tempfile.TemporaryDirectory() as folder:
            trace = pathlib.Path(folder) / "executed"

            class Hostile:
                def __init__(self, call, *arguments):
                    self.call = call, arguments

                def __reduce__(self):
                    return self.call

            for hostile in (Hostile(os.mkdir, str(trace)), Hostile(eval, f"open({str(trace)!r}, 'w')"),
                            Hostile(getattr, "", "join"), Hostile(exec, ""), Hostile(argparse.FileType, "w")):
                for file in old_file, new_file:
                    with self.assertRaises(pickle.UnpicklingError):
                        read_torch(file({"t": hostile}, []))
            self.assertFalse(trace.exists())

    def test_safetensors(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "file"
            tensors = {"a": Tensor("F32", (2, 1), bytes(range(8))), "b": Tensor("U8", (), b"x")}
            write_safetensors(path, tensors, {"tokens": "é\n"})
            self.assertEqual(read_safetensors(path.read_bytes()), tensors)
            self.assertEqual([each.name for each in pathlib.Path(folder).iterdir()], ["file"])


if __name__ == "__main__":
    unittest.main()
