#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures attention on this machine's GPU beside PyTorch's, on the same inputs and masks: the flash and cuDNN backends
of scaled_dot_product_attention, and compiled FlexAttention, forward and backward. Checks first that the results agree,
then lets them take turns and compares the medians. Writes bench/results/<date>-<GPU>-peers.json.

All calls are timed alike: by CUDA events, after a write of 1 GiB that flushes the cache, on three copies of the inputs
in turn. Each side gets its own natural layout: [batch, length, heads, head_dim] ours, [batch, heads, length, head_dim]
PyTorch. Needs PyTorch with CUDA (2.11) in the Python that runs this.

Everything in one call, with Google Benchmark's Debian packages unpacked in build-benchmark/ if it is not installed:

    export CMAKE_PREFIX_PATH=$PWD/build-benchmark/usr
    bench/run.py --cuda && bench/cuda_peers.py; bench/cuda_targets.py bench/results/*nvidia*-{attention,peers}.json

The last one judges a file of each kind.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from cuda_targets import PAIRS, PROGRAM, Pair, batch
from support.programs import ROOT, build, run
from support.report import about, comparison, print_table, save

HEADS = 16  # of every case
TOLERANCE = 0.02  # of the largest difference of a row, relative to it: what bfloat16 rounds away is below half of that


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=Path, default=ROOT / "build-bench", help="where to build (build-bench)")
    arguments.add_argument("--only", default="", metavar="TEXT", help="only pairs with it; then no file is written")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--min-time", type=float, default=0.1, metavar="SECONDS", help="of one side of a round")
    given = arguments.parse_args()

    import torch

    from support.cuda_pytorch import ATTENTION, CALL, Inputs

    if not torch.cuda.is_available():
        raise SystemExit("cuda_peers.py: no GPU")
    build(given.build, [PROGRAM])
    program = given.build / "bench" / PROGRAM
    cases: dict[str, list[Pair]] = {}
    for pair in PAIRS:
        if given.only in pair.what:
            cases.setdefault(pair.case, []).append(pair)

    results: dict[str, Any] = {"rounds": given.rounds, "pytorch": torch.__version__, "pairs": {}}
    rows = []
    failures = []
    for name, pairs in cases.items():
        direction, mask, length = pairs[0].direction, pairs[0].mask, pairs[0].length
        with tempfile.TemporaryDirectory() as folder:
            _, context = run(program, [name], "--benchmark_min_time=0", f"--dump={folder}")
            inputs = Inputs(Path(folder), direction, mask, batch(length), HEADS, length)
        results["about"] = about(context)
        peers = {}
        differences = {}
        for pair in pairs:
            try:
                call = CALL[direction](inputs, ATTENTION[pair.peer](inputs))
                differences[pair] = inputs.difference(call)  # the first call: compiles and warms up
            except RuntimeError as error:  # PyTorch has no such kernel for this GPU
                failures.append(f"{pair.what}: {error}")
                continue
            print(f"{name} and {pair.peer} differ by at most {differences[pair]:.1e}", flush=True)
            if differences[pair] <= TOLERANCE:
                peers[pair] = call
            else:
                failures.append(f"{pair.what}: the results differ by more than {TOLERANCE}")

        ours: list[float] = []
        theirs: dict[Pair, list[float]] = {pair: [] for pair in peers}
        for _ in range(given.rounds):
            samples, _ = run(program, [name], f"--benchmark_min_time={given.min_time}")
            ours += samples[name]["real_time"]
            for pair, call in peers.items():
                theirs[pair].append(inputs.milliseconds(call, given.min_time))
        for pair, times in theirs.items():
            verdict = pair.verdict(statistics.median(times) / statistics.median(ours))
            what, *judged = verdict.row()
            rows.append([what, f"{statistics.median(ours):.3f}", f"{statistics.median(times):.3f}", *judged])
            results["pairs"][pair.what] = comparison(verdict, name, differences[pair], ours, times)
    print()
    print_table(("what", "ours, ms", "peer, ms", "measured", "target", ""), rows)
    if not given.only:
        print(f"\nwritten: {save(results, 'peers')}")
    if failures:
        raise SystemExit("not compared:\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
