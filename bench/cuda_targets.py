#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the CUDA kernels should reach: TARGETS for run.py --cuda and PAIRS for cuda_peers.py, with None for what is not
judged. As a program it judges what these two wrote, and fails if a target is missed or was not measured.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.programs import case
from support.report import Verdict, print_table
from targets import HEAD_DIMS, Target

PROGRAM = "bench_attention_cuda"
SAMPLER = "bench_sampler_cuda"
ROWS = "rows:1024/vocabulary:126464"
STEP = "free_model/sequences:64/masked:256/vocabulary:32000"
PEER_ROWS = 10.0  # times as fast as LLaDA's recipe in PyTorch
POSITIONS = 16384  # of most cases, over the whole batch
LENGTHS = (512, 1024, 2048, 4096, 8192, 16384)


def batch(length: int) -> int:
    return max(1, round(POSITIONS / length))


def gpu_case(
    mask: str = "bidirectional",
    *,
    head_dim: int,
    length: int = 8192,
    direction: str = "forward",
    dtype: str = "bf16",
    sink: str = "no_sink",
    more: str = "",
) -> str:
    """The name of a case with as many sequences as make POSITIONS; more is what says how it is unusual."""
    sizes = (f"/batch:{batch(length)}" if batch(length) > 1 else "") + more
    return case(direction, mask, length=length, head_dim=head_dim, threads=0, dtype=dtype, sink=sink, sizes=sizes)


def target(
    group: str,
    what: str,
    name: str,
    counter: str,
    unit: str,
    bound: float | None = None,
    *,
    at_least: bool = True,
    against: str | None = None,
    processor: str = "",
) -> Target:
    return Target(group, what, name, counter, unit, bound, at_least, against, PROGRAM, processor)


def dense(head_dim: int, bound: float | None, direction: str = "forward") -> Target:
    """Useful operations a second without a mask; what that should be depends on the GPU."""
    what = f"{direction}, 8192, head dim {head_dim}"
    name = gpu_case(head_dim=head_dim, direction=direction)
    return target("masks", what, name, "useful_flops", "TFLOP/s", bound, processor="H100")


def rate(mask: str, bound: float | None = None, *, length: int = 8192, direction: str = "forward") -> list[Target]:
    """Useful operations a second under a mask, of those without one."""

    def of(head_dim: int) -> Target:
        what = f"{direction} {mask}, {length}, head dim {head_dim}: of bidirectional's rate"
        name = gpu_case(mask, length=length, head_dim=head_dim, direction=direction)
        dense_name = gpu_case(head_dim=head_dim, direction=direction)
        return target("masks", what, name, "useful_flops", "%", bound, against=dense_name)

    return [of(head_dim) for head_dim in HEAD_DIMS]


def time(what: str, bound: float | None, name: dict[str, Any]) -> list[Target]:
    """The time of a call, of that of a plain forward pass of length 8192."""

    def of(head_dim: int) -> Target:
        whole = f"{what}, 8192, head dim {head_dim}: time, of a plain forward"
        plain = gpu_case(head_dim=head_dim)
        named = gpu_case(**name, head_dim=head_dim)
        return target("sinks and received", whole, named, "real_time", "×", bound, at_least=False, against=plain)

    return [of(head_dim) for head_dim in HEAD_DIMS]


def decoding(head_dim: int, bound: float) -> Target:
    """A few queries on a long cache: bytes a second."""
    name = gpu_case(length=32768, head_dim=head_dim, more="/queries:32/kv_heads:8")
    what = f"32 queries on 32768 keys, 16 heads on 8, head dim {head_dim}: of the bandwidth"
    return target("few queries", what, name, "bandwidth_fraction", "%", bound)


def peak(mask: str, length: int, head_dim: int) -> Target:
    """Useful operations a second, of what mma.sync reaches."""
    name = gpu_case(mask, length=length, head_dim=head_dim)
    what = f"forward {mask}, {length}, head dim {head_dim}: of the peak"
    return target("lengths", what, name, "peak_fraction", "%")


def speed(what: str, head_dim: int, name: str) -> Target:
    """Useful operations a second of an unusual case, of those of the usual one."""
    whole = f"{what}, head dim {head_dim}: of the forward rate at 8192"
    return target("unusual", whole, name, "useful_flops", "%", against=gpu_case(head_dim=head_dim))


def rows(draw: str, bound: float | None) -> Target:
    """Reading rows of logits: of the bandwidth that reading alone has."""
    what = f"{draw}: of the read bandwidth"
    name = f"rows/bf16/{draw}/{ROWS}"
    return Target("rows", what, name, "bandwidth_fraction", "%", bound, True, program=SAMPLER)


def step(what: str, case: str, counter: str, unit: str, bound: float) -> Target:
    return Target("step", what, f"{case}/{STEP}", counter, unit, bound, False, program=SAMPLER)


TARGETS = [
    dense(64, 300),
    dense(128, 320),
    *rate("block_32", 0.85),
    *rate("document_16", 0.85),
    *rate("block_diffusion_32", 0.85),
    *rate("causal"),
    *rate("sliding_window_256"),
    *rate("extra_sink", length=8193),
    dense(64, None, "backward"),
    dense(128, 300, "backward"),
    *rate("block_32", 0.85, direction="backward"),
    *rate("block_diffusion_32", 0.85, direction="backward"),
    *rate("causal", direction="backward"),
    *time("key_value_sink", 1.01, {"sink": "key_value_sink"}),
    *time("attention_received", None, {"direction": "received"}),
    *time("attention_received causal", None, {"direction": "received", "mask": "causal"}),
    decoding(64, 0.70),
    decoding(128, 0.70),
    *[speed("forward 2 heads of keys", each, gpu_case(head_dim=each, more="/kv_heads:2")) for each in HEAD_DIMS],
    *[speed("forward ragged, 2048", each, gpu_case(length=2048, head_dim=each, more="/ragged")) for each in HEAD_DIMS],
    speed("forward fp16", 128, gpu_case(head_dim=128, dtype="fp16")),
    speed("forward fp32, 2048", 64, gpu_case(length=2048, head_dim=64, dtype="fp32")),
    speed("backward fp32, 2048", 64, gpu_case(length=2048, head_dim=64, dtype="fp32", direction="backward")),
    *[
        peak(mask, length, head_dim)
        for mask in ("bidirectional", "causal")
        for head_dim in HEAD_DIMS
        for length in LENGTHS
    ],
    rows("greedy", 0.80),
    rows("categorical", 0.80),
    rows("categorical_0.7", None),
    rows("top_k_50", None),
    rows("top_p_0.9", None),
    step("a step with a free model: time, of reading the logits once", "step", "of_reading", "×", 1.3),
    step("a step that is replayed: the host's time", "replay", "host_seconds", "µs", 20.0),
]


@dataclass(frozen=True)
class Pair:
    """A case of ours and who it is compared with: "flash" or "cudnn", backends of scaled_dot_product_attention, or
    "flex", compiled FlexAttention. bound: how many times as fast ours should be."""

    mask: str
    head_dim: int
    peer: str
    bound: float | None = None
    direction: str = "forward"

    @property
    def length(self) -> int:
        return 8193 if self.mask == "extra_sink" else 8192  # the sink comes on top

    @property
    def case(self) -> str:
        return gpu_case(self.mask, length=self.length, head_dim=self.head_dim, direction=self.direction)

    @property
    def what(self) -> str:
        return f"{self.direction} {self.mask}, {self.length}, head dim {self.head_dim}, speed to {self.peer}"

    def verdict(self, ratio: float | None) -> Verdict:
        return Verdict(self.what, ratio, "×", self.bound, at_least=True)


PAIRS = [
    *[
        Pair(mask, head_dim, peer, direction=direction)
        for direction in ("forward", "backward")
        for mask in ("bidirectional", "causal")
        for head_dim in HEAD_DIMS
        for peer in ("flash", "cudnn", "flex")
    ],
    *[
        Pair(mask, head_dim, "flex", 1.0)
        for mask in ("block_32", "document_16", "block_diffusion_32")
        for head_dim in HEAD_DIMS
    ],
    *[
        Pair(mask, head_dim, "flex", 1.0, "backward")
        for mask in ("block_32", "block_diffusion_32")
        for head_dim in HEAD_DIMS
    ],
    *[Pair(mask, head_dim, "flex") for mask in ("sliding_window_256", "extra_sink") for head_dim in HEAD_DIMS],
]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("attention", type=Path, help="what run.py --cuda wrote, bench/results/*-attention.json")
    arguments.add_argument("peers", type=Path, help="what cuda_peers.py wrote, bench/results/*-peers.json")
    given = arguments.parse_args()
    attention, peers = (json.loads(path.read_text()) for path in (given.attention, given.peers))
    verdicts = [each.verdict(attention) for each in TARGETS]
    verdicts += [pair.verdict(peers["pairs"].get(pair.what, {}).get("ratio")) for pair in PAIRS]
    print_table(("what", "measured", "target", ""), [each.row() for each in verdicts])
    if any(each.met is False for each in verdicts):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
