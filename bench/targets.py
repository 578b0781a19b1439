# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the CPU kernels should reach. TARGETS is the table; a bound of None is measured and not judged."""

from dataclasses import dataclass
from typing import Any

from support.programs import case
from support.report import Verdict

HEAD_DIMS = (64, 128)
PLOT_LENGTHS = (512, 1024, 2048, 4096, 8192)
PLOT_MASKS = ("bidirectional", "causal", "block_32")


@dataclass(frozen=True)
class Target:
    """The median of a case's counter, divided by that of another case if one is named, and the bound it should keep.

    The unit is "%" (of a peak or of the other case), "×" (times the other case), "MiB", "ns", "µs" or "TFLOP/s".
    """

    group: str  # its cases are measured together
    what: str
    case: str
    counter: str
    unit: str
    bound: float | None
    at_least: bool
    against: str | None = None
    program: str = "bench_attention"
    processor: str = ""  # in the name of those that the bound is for

    @property
    def cases(self) -> list[str]:
        return [self.case] if self.against is None else [self.case, self.against]

    def verdict(self, results: dict[str, Any]) -> Verdict:
        """results: a file's content."""
        measured = None
        cases = results["groups"].get(self.group, {})
        if all(name in cases for name in self.cases):
            measured, *others = (cases[name][self.counter]["median"] for name in self.cases)
            for other in others:
                measured /= other
            measured /= {"TFLOP/s": 1e12, "ns": 1e-9, "µs": 1e-6}.get(self.unit, 1.0)
        bound = self.bound if self.processor in results["about"]["processor"] else None
        return Verdict(self.what, measured, self.unit, bound, self.at_least)


def peak(direction: str, head_dim: int, bound: float | None, dtype: str = "fp32", avx2: bool = False) -> Target:
    """Useful operations a second, of the FMA peak measured in the same process."""
    name = case(direction, length=2048, head_dim=head_dim, dtype=dtype)
    group, program = ("peak, AVX2", "bench_attention_avx2") if avx2 else ("peak", "bench_attention")
    what = f"{direction} {dtype}, 2048, head dim {head_dim}{', AVX2' * avx2}: of the peak"
    return Target(group, what, name, "peak_fraction", "%", bound, at_least=True, program=program)


def few_queries(head_dim: int, bound: float | None) -> Target:
    """The same for a long cache."""
    name = case("forward", length=16384, head_dim=head_dim, sizes="/queries:32/kv_heads:1")
    what = f"32 queries on 16384 keys, 8 heads on 1, head dim {head_dim}: of the peak"
    return Target("few queries", what, name, "peak_fraction", "%", bound, at_least=True)


def rate(direction: str, mask: str, bound: float | None) -> list[Target]:
    """Useful operations a second under a mask, of those without one."""

    def target(head_dim: int) -> Target:
        name, plain = (case(direction, each, length=4096, head_dim=head_dim) for each in (mask, "bidirectional"))
        what = f"{direction} {mask}, 4096, head dim {head_dim}: of bidirectional's rate"
        return Target(f"masks, {direction}", what, name, "useful_flops", "%", bound, at_least=True, against=plain)

    return [target(head_dim) for head_dim in HEAD_DIMS]


def time(
    what: str,
    bound: float | None,
    direction: str = "forward",
    mask: str = "bidirectional",
    length: int = 2048,
    sink: str = "no_sink",
) -> list[Target]:
    """The time of a call, of that of a plain forward pass of length 2048."""

    def target(head_dim: int) -> Target:
        name = case(direction, mask, length=length, head_dim=head_dim, sink=sink)
        plain = case("forward", length=2048, head_dim=head_dim)
        whole = f"{what}, head dim {head_dim}: time, of a plain forward"
        return Target("sinks and received", whole, name, "real_time", "×", bound, at_least=False, against=plain)

    return [target(head_dim) for head_dim in HEAD_DIMS]


def odd_length(length: int, bound: float | None) -> Target:
    """Useful operations a second at a length that no tile divides, of those at the next multiple of 64."""
    rounded = (length + 63) // 64 * 64
    name, against = (case("forward", length=each, head_dim=64) for each in (length, rounded))
    what = f"forward, {length}, head dim 64: of the rate at {rounded}"
    return Target("odd lengths", what, name, "useful_flops", "%", bound, at_least=True, against=against)


def bf16(head_dim: int, bound: float | None) -> Target:
    """What pairs of bfloat16 bring."""
    name, against = (case("forward", length=2048, head_dim=head_dim, dtype=each) for each in ("bf16", "fp32"))
    what = f"forward bf16, 2048, head dim {head_dim}: speed, of fp32"
    return Target("peak", what, name, "useful_flops", "×", bound, at_least=True, against=against)


def threads(direction: str, mask: str, bound: float | None) -> Target:
    """What a second thread brings."""
    both, alone = (case(direction, mask, length=4096, head_dim=64, threads=count) for count in (2, 1))
    what = f"{direction} {mask}, 4096: speed with 2 threads, of 1"
    return Target(f"threads, {direction}", what, both, "useful_flops", "×", bound, at_least=True, against=alone)


def memory(direction: str, bound: float | None) -> Target:
    """What a call takes besides its inputs and outputs, at its peak."""
    name = case(direction, "sliding_window_256", length=65536, head_dim=64)
    what = f"{direction}, 65536, head dim 64: memory besides inputs and outputs"
    return Target("memory", what, name, "extra_mib", "MiB", bound, at_least=False)


TARGETS = [
    peak("forward", 64, 0.85),
    peak("forward", 128, 0.87),
    peak("backward", 64, 0.72),
    peak("backward", 128, 0.78),
    bf16(64, None),
    bf16(128, 1.6),
    peak("forward", 64, 0.80, avx2=True),
    peak("forward", 128, 0.80, avx2=True),
    peak("backward", 64, None, avx2=True),
    peak("backward", 128, None, avx2=True),
    few_queries(64, 0.70),
    few_queries(128, 0.70),
    *rate("forward", "causal", 0.90),
    *rate("forward", "block_32", 0.90),
    *rate("forward", "document_16", 0.90),
    *rate("forward", "block_diffusion_32", 0.90),
    *rate("forward", "sliding_window_256", 0.75),
    *rate("backward", "causal", 0.90),
    *rate("backward", "block_32", 0.90),
    *rate("backward", "document_16", 0.90),
    *rate("backward", "block_diffusion_32", 0.90),
    *time("key_value_sink, 2048", 1.015, sink="key_value_sink"),
    *time("extra_sink, 2049", 1.04, mask="extra_sink", length=2049),
    *time("attention_received, 2048", 0.70, direction="received"),
    odd_length(33, 0.80),
    odd_length(100, 0.80),
    odd_length(257, 0.80),
    odd_length(2047, 0.80),
    threads("forward", "bidirectional", 1.82),
    threads("forward", "causal", 1.82),
    threads("forward", "document_16", 1.82),
    threads("backward", "bidirectional", 1.82),
    threads("backward", "causal", 1.82),
    threads("backward", "document_16", 1.82),
    memory("forward", 64),
    memory("backward", 64),
    memory("received", 64),
]
