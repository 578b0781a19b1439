#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Predicts how long attention takes when its positions are divided among 8 to 4096 ranks, from the speed of one, the
bandwidth and the latency of the links, and from what the library would send and compute (support/parallel_plan.cpp).
Draws the share of the ideal speed that is left, for each mask.

    parallel_model.py --check            measures 2 and 4 processes here, with links made slower, beside the prediction
    parallel_model.py                    predicts, and draws bench/results/parallel-model.svg
    parallel_model.py --flops 4e14 --bandwidth 5e10 --latency 5e-6 --element 2        of other machines

--check needs root: processes run in network namespaces whose links a token bucket limits (ip, tc). Latency can't be
added where the kernel has no netem; it is that of the link.

The model: a step of a rank, in which it computes with the keys of one other while those of the next arrive, takes as
long as the longer of the two. Ranks wait for the slowest of them. Sums back to the owners of keys, in the backward
pass, travel with the next keys.
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from parallel import ENVIRONMENT, PROGRAM
from plot import COLOURS, GREY, apart, text
from support.programs import ROOT, build
from support.report import RESULTS, print_table

HEADS, HEAD_DIM = 2, 64  # of bench_parallel
MASKS = ("bidirectional", "causal", "block_diffusion", "document", "window")
RANKS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
OPERATIONS = {"forward": 4.0, "backward": 10.0}  # a visible pair and element of a head
Plan = list[dict[str, int]]


def plan_of(folder: Path, mask: str, length: int, ranks: int) -> Plan:
    command = [str(folder / "bench" / "parallel_plan"), mask, str(length), str(ranks)]
    steps: Plan = json.loads(subprocess.check_output(command, text=True))
    return steps


def seconds_of(
    plan: Plan,
    ranks: int,
    direction: str,
    *,
    heads: int,
    kv_heads: int,
    head_dim: int,
    flops: float,
    bandwidth: float,
    latency: float,
    element: int,
) -> float:
    """Of the slowest rank, in forward or backward."""

    def transfer(step: dict[str, int], before: dict[str, int] | None) -> float:
        if step["positions"] == 0:
            return 0.0
        size = step["positions"] * 2 * kv_heads * head_dim * element
        if direction == "backward" and before is not None:  # in float
            size += before["positions"] * 2 * kv_heads * head_dim * 4
        return latency + size / bandwidth

    times: dict[int, float] = {}
    by_rank: dict[int, list[dict[str, int]]] = {}
    for step in plan:
        by_rank.setdefault(step["rank"], []).append(step)
    for rank, steps in by_rank.items():
        total = 2.0 * math.log2(ranks) * latency  # what ranks tell each other before they begin
        for i, step in enumerate(steps):
            compute = step["pairs"] * heads * head_dim * OPERATIONS[direction] / flops
            arriving = transfer(steps[i + 1], step if i > 0 else None) if i + 1 < len(steps) else 0.0
            total += max(compute, arriving)
        if direction == "backward" and len(steps) > 1:
            total += transfer(steps[-1], None)
        times[rank] = total
    return max(times.values())


# --check: processes in network namespaces.


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def network(hosts: int, megabits: float) -> Iterator[Path]:
    """Namespaces unmask1, unmask2, … on a bridge, each behind a link of so many megabits a second, and the file that
    tells mpirun of them."""
    names = [f"unmask{i + 1}" for i in range(hosts)]
    with tempfile.TemporaryDirectory() as folder:
        try:
            ip("link", "add", "unmask0", "type", "bridge")
            ip("address", "add", "10.77.0.254/24", "dev", "unmask0")
            ip("link", "set", "unmask0", "up")
            for i, name in enumerate(names):
                ip("netns", "add", name)
                ip("link", "add", f"{name}-out", "type", "veth", "peer", "name", "link0", "netns", name)
                ip("link", "set", f"{name}-out", "master", "unmask0", "up")
                ip("-n", name, "address", "add", f"10.77.0.{i + 1}/24", "dev", "link0")
                ip("-n", name, "link", "set", "link0", "up")
                ip("-n", name, "link", "set", "lo", "up")
                limit = ["tbf", "rate", f"{megabits}mbit", "burst", "256kb", "latency", "200ms"]
                subprocess.run(["tc", "-n", name, "qdisc", "add", "dev", "link0", "root", *limit], check=True)
            agent = Path(folder) / "agent.sh"  # stands for ssh
            agent.write_text('#!/bin/sh\nhost=$1\nshift\nexec ip netns exec "$host" sh -c "$*"\n')
            agent.chmod(0o755)
            (Path(folder) / "hosts").write_text("".join(f"{name} slots=1\n" for name in names))
            yield Path(folder)
        finally:
            for name in names:
                subprocess.run(["ip", "netns", "delete", name], check=False, stderr=subprocess.DEVNULL)
            subprocess.run(["ip", "link", "delete", "unmask0"], check=False, stderr=subprocess.DEVNULL)


def counters_of(command: list[str], only: str) -> dict[str, dict[str, float]]:
    command = [*command, "--benchmark_format=json", f"--benchmark_filter={only}", "--benchmark_repetitions=3"]
    environment = {**os.environ, **ENVIRONMENT, "OMPI_MCA_mpi_yield_when_idle": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    if done.returncode != 0 or not done.stdout:
        raise SystemExit(done.stderr)
    return {
        entry["run_name"].partition("/iterations:")[0]: entry
        for entry in json.loads(done.stdout)["benchmarks"]
        if entry.get("aggregate_name") == "median"
    }


def check(folder: Path, length: int) -> None:
    program = str(folder / "bench" / PROGRAM)
    masks = {"causal": "causal", "block_diffusion": "block_diffusion_32", "document": "document_16"}  # measured
    only = f"({'|'.join(masks.values())})/length:{length}"
    cores = len(os.sched_getaffinity(0))  # all busy, as they are with several processes
    alone = counters_of(["mpirun", "-n", "1", "--bind-to", "none", program, f"--threads={cores}"], only)
    rows: list[list[str]] = []
    for ranks in (2, 4):
        for megabits in (8000.0, 1000.0, 250.0):
            with network(ranks, megabits) as config:
                tcp = ["--mca", "btl", "tcp,self", "--mca", "pml", "ob1"]
                tcp += ["--mca", "btl_tcp_if_include", "10.77.0.0/24", "--mca", "oob_tcp_if_include", "10.77.0.0/24"]
                rsh = ["--mca", "plm", "rsh", "--mca", "plm_rsh_agent", str(config / "agent.sh")]
                hosts = ["--hostfile", str(config / "hosts"), "-n", str(ranks), "--bind-to", "none"]
                command = ["mpirun", *hosts, *rsh, *tcp, program, "--threads=1"]
                found = counters_of(command, f"exchange|{only}")
            latency = found["exchange/bytes:8"]["real_time"] / 1e3
            bandwidth = found[f"exchange/bytes:{1 << 23}"]["bytes_a_second"]
            for direction in OPERATIONS:
                for mask, measured_name in masks.items():
                    name = f"{direction}/{measured_name}/length:{length}"
                    predicted = seconds_of(
                        plan_of(folder, mask, length, ranks),
                        ranks,
                        direction,
                        heads=HEADS,
                        kv_heads=HEADS,
                        head_dim=HEAD_DIM,
                        flops=alone[name]["flops"] / max(cores, ranks),
                        bandwidth=bandwidth,
                        latency=latency,
                        element=4,
                    )
                    measured = found[name]["real_time"] / 1e3
                    rows.append(
                        [
                            str(ranks),
                            f"{bandwidth / 1e6:.0f} MB/s",
                            f"{latency * 1e6:.0f} us",
                            f"{direction} {mask}",
                            f"{measured:.3f} s",
                            f"{predicted:.3f} s",
                            f"{predicted / measured:.2f}",
                        ]
                    )
    print_table(("processes", "bandwidth", "latency", "case", "measured", "predicted", "predicted / measured"), rows)


def draw(shares: dict[str, list[float]], title: str, subtitle: str, path: Path) -> None:
    width, height, left, right, top, bottom = 720, 400, 64, 580, 56, 348

    def x_of(place: int) -> float:
        return left + 24 + place * (right - left - 48) / (len(RANKS) - 1)

    def y_of(share: float) -> float:
        return bottom - share * (bottom - top)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13">',
        "<!-- SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception -->",
        text(left, 22, title, anchor="start", more=' font-size="16" font-weight="bold"'),
        text(left, 40, subtitle, anchor="start"),
        text((left + right) / 2, height - 12, "ranks"),
    ]
    for tick in range(0, 101, 25):
        y = y_of(tick / 100)
        lines.append(
            f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{GREY}" '
            f'stroke-opacity="{0.9 if tick == 0 else 0.25}"/>'
        )
        lines.append(text(left - 8, y + 4.5, f"{tick} %", anchor="end"))
    for place, ranks in enumerate(RANKS):
        lines.append(text(x_of(place), bottom + 20, str(ranks)))
    labels = apart([y_of(values[-1]) for values in shares.values()], 16)
    colours = [*COLOURS, "#a371f7", "#cf222e"]
    for (mask, values), colour, label in zip(shares.items(), colours, labels, strict=True):
        points = " ".join(f"{x_of(place):.1f},{y_of(value):.1f}" for place, value in enumerate(values))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        lines.append(text(right + 6, label + 4.5, mask, anchor="start", fill=colour))
    path.write_text("\n".join([*lines, "</svg>"]) + "\n")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=Path, default=ROOT / "build-bench", help="where to build (build-bench)")
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--length", type=int, default=131072, help="positions (131072; with --check 8192)")
    arguments.add_argument("--heads", type=int, default=32)
    arguments.add_argument("--kv-heads", type=int, default=8)
    arguments.add_argument("--head-dim", type=int, default=128)
    arguments.add_argument("--flops", type=float, default=4e14, help="useful operations a second of a rank")
    arguments.add_argument("--bandwidth", type=float, default=5e10, help="bytes a second, each way")
    arguments.add_argument("--latency", type=float, default=5e-6, help="seconds")
    arguments.add_argument("--element", type=int, default=2, help="bytes")
    arguments.add_argument("--out", type=Path, default=RESULTS / "parallel-model.svg")
    given = arguments.parse_args()

    build(given.build, [PROGRAM, "parallel_plan"] if given.check else ["parallel_plan"])
    if given.check:
        check(given.build, min(given.length, 8192))
        return
    shares: dict[str, list[float]] = {}
    rows: list[list[str]] = []
    machine: dict[str, Any] = {
        "heads": given.heads,
        "kv_heads": given.kv_heads,
        "head_dim": given.head_dim,
        "flops": given.flops,
        "bandwidth": given.bandwidth,
        "latency": given.latency,
        "element": given.element,
    }
    for mask in MASKS:

        def both(ranks: int, mask: str = mask) -> float:
            plan = plan_of(given.build, mask, given.length, ranks)
            return sum(seconds_of(plan, ranks, direction, **machine) for direction in OPERATIONS)

        alone = both(1)
        times = [both(ranks) for ranks in RANKS]
        shares[mask] = [alone / time / ranks for time, ranks in zip(times, RANKS, strict=True)]
        pays = [ranks for ranks, share in zip(RANKS, shares[mask], strict=True) if share >= 0.5]
        fastest = RANKS[times.index(min(times))]
        half = str(max(pays)) if pays else f"under {RANKS[0]}"
        rows.append([mask, f"{1e3 * alone:.1f} ms", half, str(fastest), f"{1e3 * min(times):.2f} ms"])
    print_table(("mask", "one rank", "half of the ideal speed, up to", "fastest with", "then"), rows)
    draw(
        shares,
        f"Attention of {given.length:,} positions over ranks, predicted",
        f"{given.heads} heads of {given.head_dim} on {given.kv_heads}; a rank {given.flops / 1e12:.3g} TFLOP/s; links "
        f"{given.bandwidth / 1e9:.3g} GB/s, {given.latency * 1e6:.3g} us; share of the ideal speed",
        given.out,
    )
    print(f"\nwritten: {given.out}")


if __name__ == "__main__":
    main()
