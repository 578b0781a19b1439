# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Builds the benchmark programs, and runs cases of theirs."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

Samples = dict[str, dict[str, list[float]]]  # case -> counter -> one value a repetition


def case(
    direction: str,
    mask: str = "bidirectional",
    *,
    length: int,
    head_dim: int,
    threads: int = 2,
    dtype: str = "fp32",
    sink: str = "no_sink",
    sizes: str = "",
) -> str:
    """The name of a case; sizes is what stands between length and head_dim, such as "/queries:32". 0 threads: a GPU."""
    where = f"/threads:{threads}" if threads else ""
    return f"{direction}/{dtype}/{mask}/{sink}/length:{length}{sizes}/head_dim:{head_dim}{where}"


def build(folder: Path, programs: Iterable[str]) -> None:
    """Builds programs of bench/, in Release, and says nothing unless it fails."""
    configure = [
        "cmake",
        "-S",
        str(ROOT),
        "-B",
        str(folder),
        "-DCMAKE_BUILD_TYPE=Release",
        "-DUNMASK_BUILD_TESTS=OFF",
        "-DUNMASK_BUILD_EXAMPLES=ON",  # bench_decoding has the language model; no other target is built
        "-DUNMASK_BUILD_BENCHMARKS=ON",
    ]
    for command in (configure, ["cmake", "--build", str(folder), "--target", *programs]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{done.stdout}\nfailed: {' '.join(command)}")


def run(program: Path, cases: Iterable[str], *flags: str) -> tuple[Samples, dict[str, str]]:
    """Runs cases of a program in one process: what it counted, and what it says about itself."""
    wanted = list(cases)
    names = f"^({'|'.join(wanted)})/(real|manual)_time$"
    command = [str(program), f"--benchmark_filter={names}", "--benchmark_format=json", *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0 or not done.stdout:
        raise SystemExit(done.stderr)
    output = json.loads(done.stdout)
    samples: Samples = {name: {} for name in wanted}
    for entry in output["benchmarks"]:
        if entry["run_type"] == "iteration":
            counters = samples[entry["run_name"].rpartition("/")[0]]
            for counter, value in entry.items():
                if isinstance(value, float):
                    counters.setdefault(counter, []).append(value)
    missing = [name for name, counters in samples.items() if not counters]
    if missing:
        raise SystemExit(f"{program.name} has no case {', '.join(missing)}")
    return samples, output["context"]
