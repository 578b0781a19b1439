#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures attention on this machine: builds bench_attention, runs the cases of targets.py and prints what was reached.
Writes bench/results/<date>-<processor>-attention.json, and the plot of speed against length beside it.

Cases that are compared run in one process, in random order, repetition by repetition, so that a machine that slows down
slows all of them. Nothing else should run meanwhile. Takes about ten minutes on two cores.
"""

import argparse
import re
from pathlib import Path
from typing import Any

import plot
from support.programs import ROOT, Samples, build, case, run
from support.report import Verdict, about, print_table, rounded, save, summary
from targets import HEAD_DIMS, PLOT_LENGTHS, PLOT_MASKS, TARGETS, Target

PROGRAMS = ["bench_attention"]
if re.search(r"^flags\b.* avx2 ", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
    PROGRAMS.append("bench_attention_avx2")


def verdict(target: Target, medians: dict[str, dict[str, Any]]) -> Verdict:
    measured = medians[target.case][target.counter]["median"]
    if target.against is not None:
        measured /= medians[target.against][target.counter]["median"]
    return Verdict(target.what, measured, target.unit, target.bound, target.at_least)


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
    given = arguments.parse_args()

    build(given.build, PROGRAMS)
    flags = (
        "--benchmark_enable_random_interleaving=true",
        f"--benchmark_repetitions={given.repetitions}",
        f"--benchmark_min_time={given.min_time}",
    )

    groups: dict[str, tuple[str, list[str]]] = {}  # name -> program, cases
    for target in TARGETS:
        groups.setdefault(target.group, (target.program, []))[1].extend(target.cases)
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
        if program not in PROGRAMS or not re.search(given.only, name):
            continue
        print(f"{name}: ", end="", flush=True)
        samples, context = run(given.build / "bench" / program, dict.fromkeys(cases), *flags)
        print(f"{len(samples)} cases, at least {100 * on_core(samples):.0f} % of the time on its core")
        results["groups"][name] = {
            each: {counter: summary(values) for counter, values in counters.items()}
            for each, counters in samples.items()
        }
        if program == PROGRAMS[0]:
            results["about"] = about(context)

    verdicts = [
        verdict(target, results["groups"][target.group]) for target in TARGETS if target.group in results["groups"]
    ]
    print()
    print_table(("what", "measured", "target", ""), [each.row() for each in verdicts])
    if not given.only:
        results["targets"] = [
            {
                "what": each.what,
                "measured": rounded(each.measured),
                "unit": each.unit,
                "bound": each.bound,
                "met": each.met,
            }
            for each in verdicts
        ]
        path = save(results, "attention")
        print(f"\nwritten: {path} and {plot.draw(path)}")


if __name__ == "__main__":
    main()
