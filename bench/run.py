#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures attention or the sampler on this machine: builds bench_attention, runs the cases of targets.py and prints
results. Writes bench/results/<date>-<processor>-attention.json, and the plot of speed against length beside it.

Cases that are compared run in one process, in random order, repetition by repetition, so that a machine that slows down
slows all of them. Nothing else should run meanwhile. Takes about ten minutes on two cores.

With --cuda it is bench_attention_cuda, cuda_targets.py and the GPU, without a plot. See cuda_peers.py for a machine
without Google Benchmark. With --sampler it is bench_sampler, bench_decoding, bench_analysis (which need
the packages of the language model) and sampler_targets.py.
"""

import argparse
import re
from pathlib import Path
from typing import Any

import cuda_targets
import plot
import sampler_targets
from support.programs import ROOT, Samples, build, case, run
from support.report import about, print_table, save, summary
from targets import HEAD_DIMS, PLOT_LENGTHS, PLOT_MASKS, TARGETS

PROGRAMS = ["bench_attention"]
if re.search(r"^flags\b.* avx2 ", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
    PROGRAMS.append("bench_attention_avx2")


def on_core(samples: Samples) -> float:
    """The least share of a repetition that its main thread had a core: well below 1 if something else ran meanwhile."""
    return min(
        cpu / real
        for counters in samples.values()
        for cpu, real in zip(counters["cpu_time"], counters["real_time"], strict=True)
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=Path, default=ROOT / "build-bench", help="where to build (build-bench)")
    arguments.add_argument(
        "--only",
        default="",
        metavar="REGEX",
        help="only groups of targets whose name has this; then no file is written",
    )
    arguments.add_argument("--repetitions", type=int, default=7)
    arguments.add_argument("--min-time", type=float, default=0.1, metavar="SECONDS", help="of a repetition of a case")
    arguments.add_argument("--cuda", action="store_true", help="measure the GPU")
    arguments.add_argument("--sampler", action="store_true", help="measure the sampler")
    given = arguments.parse_args()
    attention = not given.cuda and not given.sampler
    targets, programs = (
        (TARGETS, PROGRAMS)
        if attention
        else (cuda_targets.TARGETS, [cuda_targets.PROGRAM, cuda_targets.SAMPLER])
        if given.cuda
        else (sampler_targets.TARGETS, sampler_targets.PROGRAMS)
    )

    build(given.build, programs)
    flags = (
        "--benchmark_enable_random_interleaving=true",
        f"--benchmark_repetitions={given.repetitions}",
        f"--benchmark_min_time={given.min_time}",
    )

    groups: dict[str, tuple[str, list[str]]] = {}  # name -> program, cases
    for target in targets:
        groups.setdefault(target.group, (target.program, []))[1].extend(target.cases)
    if attention:
        groups[plot.GROUP] = (
            PROGRAMS[0],
            [
                case("forward", mask, length=length, head_dim=head_dim)
                for mask in PLOT_MASKS
                for length in PLOT_LENGTHS
                for head_dim in HEAD_DIMS
            ],
        )

    results: dict[str, Any] = {"repetitions": given.repetitions, "groups": {}}
    for name, (program, cases) in groups.items():
        if program not in programs or not re.search(given.only, name):
            continue
        print(f"{name}: ", end="", flush=True)
        samples, context = run(given.build / "bench" / program, dict.fromkeys(cases), *flags)
        busy = "" if given.cuda else f", at least {100 * on_core(samples):.0f} % of the time on its core"
        print(f"{len(samples)} cases{busy}")
        results["groups"][name] = {
            each: {counter: summary(values) for counter, values in counters.items()}
            for each, counters in samples.items()
        }
        if program == programs[0] or "about" not in results:
            results["about"] = about(context)

    verdicts = [target.verdict(results) for target in targets if target.group in results["groups"]]
    print()
    print_table(("what", "measured", "target", ""), [each.row() for each in verdicts])
    if not given.only:
        results["targets"] = [each.record() for each in verdicts]
        path = save(results, "sampler" if given.sampler else "attention")
        print(f"\nwritten: {path}" + (f" and {plot.draw(path)}" if attention else ""))


if __name__ == "__main__":
    main()
