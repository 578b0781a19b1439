#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures attention beside PyTorch's, on the same inputs, masks and threads: scaled_dot_product_attention and compiled
FlexAttention. Checks first that the outputs agree, then lets the two take turns and compares the medians. Writes
bench/results/<date>-<processor>-peers.json.

PyTorch and NumPy come from PyPI into a virtual environment, build/peers, which is made if it is not there (several
gigabytes). FlexAttention compiles with g++ and has no backward pass on the CPU. Each side gets its own natural layout:
[batch, length, heads, head_dim] ours, [batch, heads, length, head_dim] PyTorch.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.programs import ROOT, build, case, run
from support.report import Verdict, about, comparison, print_table, save

THREADS = 2
HEADS = 8  # of every case
TOLERANCE = 1e-4  # of the largest difference; the inputs have variance 1


@dataclass(frozen=True)
class Pair:
    """A case of ours and who it is compared with, "sdpa" or "flex"; bound: how many times as fast ours should be."""

    direction: str
    mask: str
    length: int
    head_dim: int
    peer: str
    bound: float | None = None

    @property
    def case(self) -> str:
        return case(self.direction, self.mask, length=self.length, head_dim=self.head_dim, threads=THREADS)

    @property
    def what(self) -> str:
        return f"{self.direction} {self.mask}, {self.length}, head dim {self.head_dim}, speed to {self.peer}"


PAIRS = [
    *[Pair("forward", "bidirectional", 2048, head_dim, "sdpa", 1.2) for head_dim in (64, 128)],
    *[Pair("backward", "bidirectional", 2048, head_dim, "sdpa", 1.5) for head_dim in (64, 128)],
    *[Pair("forward", "causal", 4096, head_dim, "sdpa") for head_dim in (64, 128)],
    *[
        Pair("forward", mask, 4096, head_dim, "flex", 1.5)
        for mask in ("block_32", "document_16")
        for head_dim in (64, 128)
    ],
]


def has_pytorch(python: Path) -> bool:
    check = [str(python), "-c", "import torch, numpy"]
    return python.exists() and subprocess.run(check, stderr=subprocess.DEVNULL).returncode == 0


def enter_environment(folder: Path) -> None:
    """Goes on as the Python of a virtual environment with PyTorch, which is made if it is not there."""
    if Path(sys.prefix).resolve() == folder.resolve():
        return
    python = folder / "bin" / "python"
    if not has_pytorch(python):
        print(f"installing PyTorch into {folder}", flush=True)
        venv.create(folder, symlinks=True, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "torch", "numpy"], check=True)
    os.execv(python, [str(python), *sys.argv])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=Path, default=ROOT / "build-bench", help="where to build (build-bench)")
    arguments.add_argument("--environment", type=Path, default=ROOT / "build/peers", help="with PyTorch (build/peers)")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--min-time", type=float, default=0.3, metavar="SECONDS", help="of one side of a round")
    arguments.add_argument("--check", action="store_true", help="only compare the outputs")
    given = arguments.parse_args()
    enter_environment(given.environment)

    import torch

    from support.pytorch import Peer, flex, sdpa

    torch.set_num_threads(THREADS)
    build(given.build, ["bench_attention"])
    program = given.build / "bench" / "bench_attention"
    results: dict[str, Any] = {"rounds": given.rounds, "pytorch": torch.__version__, "pairs": {}}
    rows = []
    for pair in PAIRS:
        with tempfile.TemporaryDirectory() as folder:
            _, context = run(program, [pair.case], "--benchmark_min_time=0", f"--dump={folder}")
            attention = {"sdpa": sdpa, "flex": flex}[pair.peer]
            peer = Peer(attention, pair.direction, pair.mask, pair.length, HEADS, Path(folder))
        difference = peer.difference()  # the first call: compiles and warms up
        print(f"{pair.case} and {pair.peer} differ by at most {difference:.1e}", flush=True)
        if not difference <= TOLERANCE:
            raise SystemExit(f"that is more than {TOLERANCE}")
        if given.check:
            continue

        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(given.rounds):
            samples, _ = run(program, [pair.case], f"--benchmark_min_time={given.min_time}")
            ours += samples[pair.case]["real_time"]
            theirs.append(peer.milliseconds(given.min_time))
        ratio = statistics.median(theirs) / statistics.median(ours)
        verdict = Verdict(pair.what, ratio, "×", pair.bound, at_least=True)
        what, *judged = verdict.row()
        rows.append([what, f"{statistics.median(ours):.1f}", f"{statistics.median(theirs):.1f}", *judged])
        results["about"] = about(context)
        results["pairs"][pair.what] = comparison(verdict, pair.case, difference, ours, theirs)
    if not given.check:
        print()
        print_table(("what", "ours, ms", "peer, ms", "measured", "target", ""), rows)
        print(f"\nwritten: {save(results, 'peers')}")


if __name__ == "__main__":
    main()
