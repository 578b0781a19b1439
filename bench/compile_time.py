#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures how long the library takes to compile: the headers alone, and a call of each front door.
Writes bench/results/<date>-<processor>-compile-time.json.

Times are user seconds of the compiler. The cases run in turn, round by round, beside the standard headers that no user
of the library can do without: on a busy machine, or another one, compare with those. The least of the rounds counts,
since everything that disturbs a compiler makes it slower.

Needs g++; with nvcc on the path, the kernels of attention are compiled for one head dimension and for all six. A round
takes a quarter of a minute, with nvcc half a minute.
"""

import argparse
import datetime
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.programs import ROOT
from support.report import Verdict, commit, print_table, processor, rounded, save

YARDSTICK = "standard headers"
STANDARD = ("algorithm", "cmath", "optional", "span", "string", "vector")

CHECK = ("-std=c++20", "-fsyntax-only")
OBJECT = ("-std=c++20", "-O2", "-c", "-o", os.devnull)
CUDA = ("nvcc", "-std=c++20", "-arch=sm_80", "-c", "-o", os.devnull)  # optimises unless told not to

ATTENTION = """
#include <unmask/attention/attention.hpp>
#include <unmask/mask/bidirectional.hpp>
void forward(const unmask::attention_tensors<float>& tensors) {
    unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::bidirectional{});
}
"""

SAMPLER = """
#include <unmask/sampler/sampler.hpp>
struct model {
    unmask::vocabulary vocabulary() const { return {.size = 8, .mask = 7}; }
    void denoise(const unmask::canvas&, std::span<const unmask::row>, unmask::tensor_view<float, 2>) {}
};
unmask::statistics run(model& each, unmask::canvas& canvas) {
    return unmask::sampler{unmask::steps{8}}(unmask::cpu_executor{}, each, canvas, 0);
}
"""

CUDA_ATTENTION = """
#include <unmask/attention/attention.cuh>
#include <unmask/mask/bidirectional.hpp>
void forward(const unmask::attention_tensors<unmask::bfloat16>& tensors) {{
    unmask::attention_forward({executor}, tensors, unmask::bidirectional{{}});
}}
"""


@dataclass(frozen=True)
class Case:
    name: str
    command: tuple[str, ...]
    source: str
    bound: float | None = None  # seconds, on an idle development machine
    suffix: str = ".cpp"


def header(name: str, bound: float | None = None) -> Case:
    return Case(f"<unmask/{name}>", ("g++", *CHECK), f"#include <unmask/{name}>\n", bound)


def cuda(heads: str, executor: str) -> Case:
    return Case(
        f"attention_forward, bfloat16, {heads}, nvcc", CUDA, CUDA_ATTENTION.format(executor=executor), suffix=".cu"
    )


def cases(nvcc: bool) -> list[Case]:
    result = [
        Case(YARDSTICK, ("g++", *CHECK), "".join(f"#include <{name}>\n" for name in STANDARD)),
        header("unmask.hpp", 1.5),
        header("sampler/sampler.hpp", 0.9),
        header("attention/attention.hpp", 0.5),
        header("sampler/presets.hpp"),
        header("analysis/sink_tracker.hpp"),
        header("mask/block.hpp"),
        Case("attention_forward, float, cpu_executor, -O2", ("g++", *OBJECT), ATTENTION),
        Case("a sampler's run, float, cpu_executor, -O2", ("g++", *OBJECT), SAMPLER),
    ]
    if nvcc:
        result.append(cuda("one head dimension", "unmask::cuda_executor_for<128>{}"))
        result.append(cuda("six head dimensions", "unmask::cuda_executor{}"))
    return result


def user_seconds(case: Case, folder: Path) -> float:
    """How long the compiler and the programs it starts compute; ends with their messages if they fail."""
    source = folder / ("source" + case.suffix)
    source.write_text(case.source)
    before = os.times().children_user
    done = subprocess.run(
        [*case.command, "-I", str(ROOT / "include"), str(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\nfailed: {case.name}")
    return os.times().children_user - before


def measure(wanted: Iterable[Case], rounds: int) -> dict[str, list[float]]:
    """The seconds of each case, a value a round."""
    samples: dict[str, list[float]] = {case.name: [] for case in wanted}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for case in wanted:
                samples[case.name].append(user_seconds(case, Path(folder)))
    return samples


def compilers(nvcc: bool) -> dict[str, str]:
    """The version of each: the last line of nvcc's answer, the first of g++'s."""
    answer = {
        name: subprocess.check_output([name, "--version"], text=True).splitlines()
        for name in ["g++"] + ["nvcc"] * nvcc
    }
    return {name: lines[0 if name == "g++" else -1] for name, lines in answer.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--host", action="store_true", help="leave nvcc out")
    arguments.add_argument("--no-file", action="store_true", help="write no result")
    given = arguments.parse_args()
    nvcc = not given.host and shutil.which("nvcc") is not None

    wanted = cases(nvcc)
    load = os.getloadavg()[0]
    samples = measure(wanted, given.rounds)
    least = {name: min(values) for name, values in samples.items()}
    verdicts = [Verdict(case.name, least[case.name], "s", case.bound, at_least=False) for case in wanted]
    print_table(
        ("user seconds, the least", "measured", "target", "", "median", f"times the {YARDSTICK}"),
        [
            [
                *each.row(),
                f"{statistics.median(samples[each.what]):.2f} s",
                f"{least[each.what] / least[YARDSTICK]:.2f}",
            ]
            for each in verdicts
        ],
    )
    if given.no_file:
        return
    results: dict[str, Any] = {
        "rounds": given.rounds,
        "standard_headers": list(STANDARD),
        "cases": {
            name: {
                "least": rounded(least[name]),
                "median": rounded(statistics.median(values)),
                "times_standard_headers": rounded(least[name] / least[YARDSTICK]),
            }
            for name, values in samples.items()
        },
        "about": {
            "date": datetime.date.today().isoformat(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "load_before": rounded(load),  # of the last minute: above 0 something else was running
            "compilers": compilers(nvcc),
            "commit": commit(),
        },
        "targets": [each.record() for each in verdicts if each.bound is not None],
    }
    print(f"\nwritten: {save(results, 'compile-time')}")


if __name__ == "__main__":
    main()
