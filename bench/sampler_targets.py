# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the sampler should reach on the CPU: TARGETS for run.py --sampler, and the bound for sampler_peers.py."""

from targets import Target

PROGRAMS = ["bench_sampler", "bench_decoding", "bench_analysis"]
SIZES = "rows:256/vocabulary:126464/threads:2"
PEER_BOUND = 5.0  # times as fast as LLaDA's recipe in PyTorch


def rows(what: str, draw: str, bound: float | None) -> Target:
    """What reading rows of logits reaches, of the bandwidth that reading alone has in the same process."""
    name = f"rows/{draw}/{SIZES}"
    return Target("rows", f"{what}: of the read bandwidth", name, "bandwidth_fraction", "%", bound, True,
                  program="bench_sampler")  # fmt: skip


def in_cache(what: str, draw: str, vocabulary: int, bound: float | None) -> Target:
    """One row on one core, without waiting for memory."""
    name = f"rows_in_cache/{draw}/vocabulary:{vocabulary}/threads:1"
    return Target("rows in cache", f"{what}: time a logit of {vocabulary}", name, "seconds_a_logit", "ns", bound, False,
                  program="bench_sampler")  # fmt: skip


def beyond_statistics(what: str, draw: str, vocabulary: int, bound: float | None) -> Target:
    names = [f"rows_in_cache/fp32/{each}/vocabulary:{vocabulary}/threads:1" for each in (draw, "statistics")]
    return Target("rows in cache", f"{what}, {vocabulary} tokens: time, of the statistics alone", names[0],
                  "seconds_a_logit", "×", bound, False, names[1], program="bench_sampler")  # fmt: skip


def step(what: str, case: str, counter: str, unit: str, bound: float, against: str | None = None) -> Target:
    names = [f"step/masked:4096/vocabulary:32/{each}/threads:2" if each else None for each in (case, against)]
    return Target("step", what, names[0], counter, unit, bound, False, names[1], program="bench_sampler")


def decoding(cache: str) -> str:
    return f"decoding/{cache}/length:512/block:32/threads:2"


def tracker(what: str, case: str, bound: float | None) -> Target:
    """The time of a run that is watched, of one whose model knows nothing of trackers."""
    name = f"tracker/{case}/length:256/layers:5/width:192/threads:2"
    return Target("tracker", f"{what}: time, of a run without", name, "of_no_hook", "×", bound, False,
                  program="bench_analysis")  # fmt: skip


TARGETS = [
    in_cache("statistics", "fp32/statistics", 126464, None),
    in_cache("statistics", "fp32/statistics", 4096, 0.2),
    beyond_statistics("greedy", "greedy", 126464, 1.05),
    beyond_statistics("greedy", "greedy", 4096, 1.05),
    beyond_statistics("categorical", "categorical", 126464, None),
    rows("greedy", "fp32/greedy", 0.85),
    rows("categorical, entropy, margin", "fp32/categorical", 0.60),
    rows("categorical at temperature 0.7", "fp32/categorical_0.7", None),
    rows("top-k 50", "fp32/top_k_50", None),
    rows("top-p 0.9", "fp32/top_p_0.9", None),
    rows("greedy, bfloat16", "bf16/greedy", None),
    rows("categorical, bfloat16", "bf16/categorical", None),
    Target("recipe", "categorical: speed, of LLaDA's recipe in C++", f"rows/fp32/categorical/{SIZES}",
           "bytes_a_second", "×", 8.0, True, f"recipe/llada/{SIZES}", program="bench_sampler"),  # fmt: skip
    step("a step without an observer: time a row", "no_observer_parameter", "seconds_a_row", "ns", 50.0),
    step("no_observer{} given: time, of none given", "no_observer", "real_time", "×", 1.01, "no_observer_parameter"),
    Target("decoding", "kv_cache, 512 tokens in blocks of 32: tokens a second, of recomputing", decoding("kv_cache"),
           "tokens_a_second", "×", 3.0, True, decoding("recomputed"), program="bench_decoding"),  # fmt: skip
    tracker("sink_tracker", "on", 1.15),
    tracker("sink_tracker with streams", "on_streams", None),
    tracker("a hook and no tracker", "off", 1.01),
]
