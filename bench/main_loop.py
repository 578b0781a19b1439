#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Counts the instructions of a turn of a kernel's main loop, by kind, in the machine code of a cubin:

    nvcc -std=c++20 -cubin -arch=sm_80 -Iinclude tests/cuda/registers/backward_bfloat16_128.cu -o kernels.cubin
    bench/main_loop.py kernels.cubin --kernel backward_keys --turns 8

The main loop is the one with the most instructions for tensor cores, and a turn the shortest way through it that meets
all of them and all copies: by a full tile, with another one to fetch. Counts are of one warp, times --turns: as many as
its block's warps take together for what is to be counted. --trips is how often loops inside of it are repeated.
nvdisasm is of the CUDA Toolkit, or of PyPI (nvidia-cuda-nvdisasm)."""

import argparse
import re
import subprocess
from collections import Counter

KINDS = {  # by the first word of an instruction; all others are integers: addresses, comparisons, logic
    "tensor cores": "HMMA",
    "exp2": "MUFU",
    "float": "FFMA FMUL FADD FMNMX FSETP FSEL FSET",
    "float to 16 bits": "F2FP F2F",
    "from shared memory": "LDSM LDS",
    "to shared memory": "STS",
    "asynchronous copies": "LDGSTS",
    "global memory": "LDG STG RED REDG ATOMG",
    "local memory": "LDL STL",
    "moves, constants": "MOV CS2R UMOV S2R S2UR R2UR LDC ULDC LDCU",
    "barriers, branches": "BAR DEPBAR LDGDEPBAR BRA BSSY BSYNC BREAK WARPSYNC NOP CALL RET YIELD VOTE VOTEU SHFL",
}
KIND = {word: kind for kind, words in KINDS.items() for word in words.split()}
MUST = 10_000  # more than a loop has instructions


def read(cubin: str, kernel: str, nvdisasm: str) -> tuple[list[str], dict[str, int]]:
    """The instructions of the one kernel whose name the regular expression finds, and where its labels are."""
    text = subprocess.run([nvdisasm, "-c", cubin], capture_output=True, text=True, check=True).stdout
    kernels = dict(part.split("\n", 1) for part in re.split(r"^\.text\.(?=\S+:$)", text, flags=re.MULTILINE)[1:])
    found = [name for name in kernels if re.search(kernel, name)]
    if len(found) != 1:
        raise SystemExit("not one kernel:\n" + "\n".join(found or kernels))
    code: list[str] = []
    labels = {}
    for line in kernels[found[0]].splitlines():
        if label := re.match(r"(\.L_x_\d+):", line):
            labels[label[1]] = len(code)
        elif instruction := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;", line):
            code.append(instruction[1])
    return code, labels


def word(instruction: str) -> str:
    return re.sub(r"^@!?\w+ ", "", instruction).split()[0].split(".")[0]


def successors(code: list[str], labels: dict[str, int]) -> list[list[int]]:
    result = []
    for i, instruction in enumerate(code):
        after = [i + 1] if i + 1 < len(code) else []
        conditional = instruction.startswith("@") or re.search(r"BRA(\.\w+)* !?U?P\d", instruction)
        target = re.search(r"`\((\.L_x_\d+)\)", instruction)
        if word(instruction) == "BRA" and target and "BRA.DIV" not in instruction:  # .DIV: lanes have parted
            after = [labels[target[1]]] + (after if conditional else [])
        elif word(instruction) == "EXIT" and not conditional:
            after = []
        result.append(after)
    return result


def in_order(head: int, tail: int, after: list[list[int]]) -> list[int]:
    """What is reached from `head` before `tail`; each after all that lead to it, but for loops inside."""
    order, seen, stack = [], {head}, [(head, iter(after[head]))]
    while stack:
        i, rest = stack[-1]
        to = next((each for each in rest if each not in seen), None) if i != tail else None
        if to is None:
            order.append(stack.pop()[0])
        else:
            seen.add(to)
            stack.append((to, iter(after[to])))
    return order[::-1]


def turn(code: list[str], after: list[list[int]], trips: int) -> list[tuple[str, int]]:
    """The instructions of a turn, and how often each is met."""
    tensor = [word(each) == "HMMA" for each in code]
    loops = [(sum(tensor[to : i + 1]), to - i, to, i) for i, each in enumerate(after) for to in each if to <= i]
    for most, _, head, tail in sorted(loops, reverse=True):  # the smallest, of several with as many
        inner = [(to, i) for met, _, to, i in loops if met and head <= to and i <= tail and (to, i) != (head, tail)]
        times = [trips if any(to <= i <= end for to, end in inner) else 1 for i in range(len(code))]
        path = shortest(code, after, times, head, tail)
        if sum(tensor[i] for i in path) == most:  # else it is no loop: a function that is called lies behind all others
            return [(code[i], times[i]) for i in path]
    raise SystemExit("no loop")


def shortest(code: list[str], after: list[list[int]], times: list[int], head: int, tail: int) -> list[int]:
    cost, before = {head: 0}, {}
    order = in_order(head, tail, after)
    place = {i: n for n, i in enumerate(order)}
    for i in [each for each in order if each != tail]:
        here = cost.get(i, MUST) + times[i] - (MUST if word(code[i]) in ("HMMA", "LDGSTS") else 0)
        for to in after[i]:
            if place[to] > place[i] and here < cost.get(to, MUST):
                cost[to], before[to] = here, i
    path = [tail]
    while path[-1] in before:
        path.append(before[path[-1]])
    return path[::-1]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("cubin")
    arguments.add_argument("--kernel", required=True, metavar="REGEX")
    arguments.add_argument("--turns", type=int, default=1)
    arguments.add_argument("--trips", type=int, default=1)
    arguments.add_argument("--nvdisasm", default="nvdisasm")
    given = arguments.parse_args()
    code, labels = read(given.cubin, given.kernel, given.nvdisasm)
    counts: Counter[str] = Counter()
    for instruction, times in turn(code, successors(code, labels), given.trips):
        counts[KIND.get(word(instruction), "integers")] += times * given.turns
    for kind in (*KINDS, "integers"):
        print(f"{kind:20} {counts[kind]:6}")
    print(f"{'all':20} {counts.total():6}")


if __name__ == "__main__":
    main()
