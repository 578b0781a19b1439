#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures the sampler's work on rows of logits beside LLaDA's recipe in PyTorch, with the same sizes and threads, or
with --cuda on the same GPU: Gumbel noise and softmax in float64, as in its generate.py. The two take turns; medians are
compared. Writes bench/results/<date>-<processor>-sampler-peers.json. See peers.py for where PyTorch comes from; --cuda
uses the PyTorch of the Python that runs this script.
"""

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cuda_targets
import sampler_targets
from peers import THREADS, enter_environment
from support.programs import ROOT, build, run
from support.report import Verdict, about, print_table, save, summary


@dataclass(frozen=True)
class Side:
    """Where both run."""

    device: str
    program: str
    case: str  # of ours
    rows: int
    to_milliseconds: float  # of its unit
    bound: float


CPU = Side("cpu", "bench_sampler", f"rows/fp32/categorical/{sampler_targets.SIZES}", 256, 1.0,
           sampler_targets.PEER_BOUND)  # fmt: skip
CUDA = Side("cuda", cuda_targets.SAMPLER, f"rows/bf16/categorical/{cuda_targets.ROWS}", 1024, 1e-3,
            cuda_targets.PEER_ROWS)  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=Path, default=ROOT / "build-bench", help="where to build (build-bench)")
    arguments.add_argument("--environment", type=Path, default=ROOT / "build/peers", help="with PyTorch (build/peers)")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--cuda", action="store_true", help="measure the GPU")
    given = arguments.parse_args()
    side = CUDA if given.cuda else CPU
    if not given.cuda:
        enter_environment(given.environment)

    import torch

    torch.set_num_threads(THREADS)
    logits = 3 * torch.randn(side.rows, 126464, device=side.device)
    if given.cuda:
        logits = logits.to(torch.bfloat16)

    def recipe(temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        wide = logits.to(torch.float64)
        noise = (-torch.log(torch.rand_like(wide))) ** temperature
        tokens = torch.argmax(wide.exp() / noise, dim=-1)
        probabilities = torch.softmax(wide, dim=-1)
        return tokens, torch.gather(probabilities, -1, tokens[:, None])

    def wait() -> None:
        if given.cuda:
            torch.cuda.synchronize()

    def milliseconds() -> float:
        wait()
        begin = time.perf_counter()
        recipe()
        wait()
        return 1000 * (time.perf_counter() - begin)

    build(given.build, [side.program])
    milliseconds()
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(given.rounds):
        samples, context = run(given.build / "bench" / side.program, [side.case], "--benchmark_min_time=0.3")
        ours += [side.to_milliseconds * each for each in samples[side.case]["real_time"]]
        theirs.append(milliseconds())
    ratio = statistics.median(theirs) / statistics.median(ours)
    verdict = Verdict("categorical: speed, of LLaDA's recipe in PyTorch", ratio, "×", side.bound, at_least=True)
    what, *judged = verdict.row()
    print_table(
        ("what", "ours, ms", "peer, ms", "measured", "target", ""),
        [[what, f"{statistics.median(ours):.2f}", f"{statistics.median(theirs):.1f}", *judged]],
    )
    results: dict[str, Any] = {
        "rounds": given.rounds,
        "pytorch": torch.__version__,
        "case": side.case,
        "milliseconds": summary(ours),
        "peer_milliseconds": summary(theirs),
        "about": about(context),
        "targets": [verdict.record()],
    }
    print(f"\nwritten: {save(results, 'sampler-peers')}")


if __name__ == "__main__":
    main()
