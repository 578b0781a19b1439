#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures the sampler's work on rows of logits beside LLaDA's recipe in PyTorch, on the same sizes and threads: Gumbel
noise and softmax in float64, as in its generate.py. The two take turns; medians are compared. Writes
bench/results/<date>-<processor>-sampler-peers.json. See peers.py for where PyTorch comes from.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

from peers import THREADS, enter_environment
from sampler_targets import PEER_BOUND, SIZES
from support.programs import ROOT, build, run
from support.report import Verdict, about, print_table, save, summary

CASE = f"rows/fp32/categorical/{SIZES}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=Path, default=ROOT / "build-bench", help="where to build (build-bench)")
    arguments.add_argument("--environment", type=Path, default=ROOT / "build/peers", help="with PyTorch (build/peers)")
    arguments.add_argument("--rounds", type=int, default=7)
    given = arguments.parse_args()
    enter_environment(given.environment)

    import torch

    torch.set_num_threads(THREADS)
    logits = 3 * torch.randn(256, 126464)

    def recipe(temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        wide = logits.to(torch.float64)
        noise = (-torch.log(torch.rand_like(wide))) ** temperature
        tokens = torch.argmax(wide.exp() / noise, dim=-1)
        probabilities = torch.softmax(wide, dim=-1)
        return tokens, torch.gather(probabilities, -1, tokens[:, None])

    def milliseconds() -> float:
        begin = time.perf_counter()
        recipe()
        return 1000 * (time.perf_counter() - begin)

    build(given.build, ["bench_sampler"])
    milliseconds()
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(given.rounds):
        samples, context = run(given.build / "bench" / "bench_sampler", [CASE], "--benchmark_min_time=0.3")
        ours += samples[CASE]["real_time"]
        theirs.append(milliseconds())
    ratio = statistics.median(theirs) / statistics.median(ours)
    verdict = Verdict("categorical: speed, of LLaDA's recipe in PyTorch", ratio, "×", PEER_BOUND, at_least=True)
    what, *judged = verdict.row()
    print_table(
        ("what", "ours, ms", "peer, ms", "measured", "target", ""),
        [[what, f"{statistics.median(ours):.1f}", f"{statistics.median(theirs):.1f}", *judged]],
    )
    results: dict[str, Any] = {
        "rounds": given.rounds,
        "pytorch": torch.__version__,
        "case": CASE,
        "milliseconds": summary(ours),
        "peer_milliseconds": summary(theirs),
        "about": about(context),
        "targets": [verdict.record()],
    }
    print(f"\nwritten: {save(results, 'sampler-peers')}")


if __name__ == "__main__":
    main()
