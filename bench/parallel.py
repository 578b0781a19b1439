#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures attention and a step of training on two processes, each on a core of its own, beside one process with two
threads: how much of the speed is left. Builds bench_parallel, runs both in turn, prints the medians of the rounds
beside their targets and writes bench/results/<date>-<processor>-parallel.json. Nothing else should run meanwhile. Needs
Open MPI. Takes about ten minutes on two cores.
"""

import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path
from typing import Any

from support.programs import ROOT, build
from support.report import Verdict, about, comparison, print_table, save

PROGRAM = "bench_parallel"
LEAST = {"forward": 0.9, "backward": 0.9, "training": 0.85}

ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}  # for containers


Counters = dict[str, dict[str, float]]  # of a case


def measure(program: Path, processes: int, threads: int, only: str) -> tuple[Counters, dict[str, str]]:
    """What each case counts in one run, and what the program says about itself. Processes have a core each; a single
    one may use all."""
    where = ["--bind-to", "core", "--map-by", "core"] if processes > 1 else ["--bind-to", "none"]
    command = ["mpirun", "-n", str(processes), *where, str(program), f"--threads={threads}"]
    command += ["--benchmark_format=json", f"--benchmark_filter={only}"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **ENVIRONMENT}
    )
    if done.returncode != 0 or not done.stdout:
        raise SystemExit(done.stderr)
    output = json.loads(done.stdout)
    return {entry["run_name"].partition("/iterations:")[0]: entry for entry in output["benchmarks"]}, output["context"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=Path, default=ROOT / "build-bench", help="where to build (build-bench)")
    arguments.add_argument("--only", default=".", metavar="REGEX", help="only these cases; then no file is written")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()

    build(given.build, [PROGRAM])
    program = given.build / "bench" / PROGRAM
    times: dict[str, tuple[list[float], list[float]]] = {}
    imbalance: dict[str, float] = {}
    context: dict[str, str] = {}
    for _ in range(given.rounds):
        one, context = measure(program, 1, 2, given.only)
        two, _ = measure(program, 2, 1, given.only)
        for name, entry in two.items():
            if name not in one:  # an exchange, which takes two
                continue
            of_one, of_two = times.setdefault(name, ([], []))
            of_one.append(one[name]["real_time"])
            of_two.append(entry["real_time"])
            imbalance[name] = entry.get("imbalance", 1.0)

    rows: list[list[str]] = []
    results: dict[str, Any] = {"about": about(context), "rounds": given.rounds, "cases": []}
    for name, (of_one, of_two) in times.items():
        ratio = statistics.median(one / two for one, two in zip(of_one, of_two, strict=True))
        verdict = Verdict(name, ratio, "%", LEAST[name.partition("/")[0]], at_least=True)
        rows.append([*verdict.row(), f"{imbalance[name]:.3f}", f"{statistics.median(of_two):.0f} ms"])
        results["cases"].append(
            {"imbalance": round(imbalance[name], 4), **comparison(verdict, name, 0.0, of_two, of_one)}
        )
    print_table(("two processes, compared with two threads", "speed", "target", "", "imbalance", "time"), rows)
    if given.only == ".":
        print(f"\nwritten: {save(results, 'parallel')}")


if __name__ == "__main__":
    main()
