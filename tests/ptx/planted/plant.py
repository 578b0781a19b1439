# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plants bugs, one at a time, in a copy of the library's headers and runs a program with it: the machine must see each
by a fault or by wrong numbers, and nothing without one. Bugs of the backward pass must be seen where they are.

    plant.py --program PROGRAM --nvcc NVCC --compiler CXX --machine libptx_machine.a --root SOURCES --work FOLDER

PROGRAM is forward_program or backward_program."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

DEVICE = "cuda/runtime/device.cuh"
FORWARD = "cuda/attention/forward_kernel.cuh"
KEYS = "cuda/attention/backward_keys_kernel.cuh"
QUERIES = "cuda/attention/backward_queries_kernel.cuh"
SUMS = "cuda/attention/query_sums.cuh"
ROWS = "cuda/attention/backward_rows_kernel.cuh"
FRAGMENT = "cuda/attention/gradient_fragment.cuh"

# What is planted; the header; the text, and what takes its place.
FORWARD_BUGS = [
    ("ldmatrix without .trans", DEVICE, "m8n8.x4.trans.shared", "m8n8.x4.shared"),
    ("ldmatrix with .trans for queries and keys", DEVICE, "m8n8.x4.shared", "m8n8.x4.trans.shared"),
    ("mma: registers of b swapped", DEVICE, "{%8, %9}", "{%9, %8}"),
    ("mma: registers 1 and 2 of a swapped", DEVICE, "{%4, %5, %6, %7}", "{%4, %6, %5, %7}"),
    ("mma: float16 for bfloat16", DEVICE, "f32.bf16.bf16.f32", "f32.f16.f16.f32"),
    ("cvt: halves swapped", DEVICE, ': "f"(high), "f"(low)', ': "f"(low), "f"(high)'),
    ("cp.async: always 16 bytes", DEVICE, "valid ? 16 : 0", "valid ? 16 : 16"),
    ("cp.async: one group is not waited for", DEVICE, '"n"(Pending)', '"n"(Pending + 1)'),
    ("cp.async: no commit", DEVICE, 'asm volatile("cp.async.commit_group;" ::: "memory");', ""),
    ("ex2 of the negative", DEVICE, 'ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x)',
     'ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(-x)'),
    ("no barrier when values are here", FORWARD, "device::barrier(); // values are here", "//"),
    ("no barrier when the next keys are here", FORWARD, "device::barrier(); // the next keys", "//"),
    ("no warp barrier before the output leaves", FORWARD, "device::warp_barrier(); // a warp writes", "//"),
    ("shared memory too small by a tile", FORWARD, "2 * key_value_tile::bytes", "key_value_tile::bytes"),
]
# The same, and what must be in the message.
BACKWARD_BUGS = [
    ("no barrier when queries are here", KEYS, "device::barrier(); // queries are here", "//", ""),
    ("no barrier when keys are here", QUERIES, "device::barrier(); // keys are here", "//", ""),
    ("no barrier when the next values are here", QUERIES, "device::barrier(); // the next values", "//", ""),
    ("what is seen lies over numbers in use", "cuda/attention/keys_state.cuh", "(1 - turn) * numbers_bytes", "0", ""),
    ("numbers of another turn", KEYS, "numbers(turn) + fragment", "numbers(turn ^ 1) + fragment", "capped"),
    ("Δ is not subtracted", FRAGMENT, "(d_probability - delta(i, j, e))", "d_probability", "d_query"),
    ("the derivative of the cap is left out", FRAGMENT, "d_score * cap_derivative(call, score)", "d_score",
     "capped: "),
    ("keys lack the scale", KEYS, "write(d_keys_, call().scale,", "write(d_keys_, 1.0F,", "d_key"),
    ("queries lack the scale", QUERIES, "d_queries_, call().scale,", "d_queries_, 1.0F,", "d_query"),
    ("the last head of a group is left out", KEYS, "all.head + 1 < call().group", "all.head + 2 < call().group",
     "d_key"),
    ("each head of a group has the first one's queries", KEYS, "all.query += call().query.head_stride;", "", "d_key"),
    ("a tile of queries is skipped", KEYS, "all.more = tiles.next(all.at);\n        }",
     "all.more = tiles.next(all.at) && tiles.next(all.at);\n        }", "d_key"),
    ("a tile of keys is skipped", QUERIES, "        bool more = tiles.next(next);",
     "        bool more = tiles.next(next) && tiles.next(next);", "d_query"),
    ("hidden keys count for queries", QUERIES, "hide_scores(memory::state().seen(), warp_row(), d_scores, 0.0F);", "",
     "d_query"),
    ("hidden queries count for values", KEYS, "hide_transposed(memory::state().seen(turn), warp_row(), scores);", "",
     "d_value"),
    ("no warp barrier before gradients leave", FRAGMENT, "device::warp_barrier();\n        constexpr", "constexpr", ""),
    ("the sink is left out of the queries", QUERIES, "add_sink();\n", ";\n", "d_query"),
    ("the sink's gradient is off by a row", ROWS, "gradients()[row] = gradient;",
     "gradients()[(row + 1) % backward_rows] = gradient;", "the sink's d_key"),
    ("the sink's gradient forgets the last rows", ROWS, "row < count_; ++row) {\n            sum += gradients()",
     "row < count_ - 1; ++row) {\n            sum += gradients()", "the sink's d_logit"),
    ("no barrier when all scores are here", KEYS, "device::barrier(); // all scores", "//", ""),
    ("no barrier before gradients lie over keys", KEYS, "device::barrier(); // nobody needs the keys", "//", ""),
    ("sums of two tiles in one", SUMS, "first_query) / queries)", "first_query) / queries / 2)", "in any order: "),
    ("sums lack the scale", SUMS, "sum * call.scale", "sum", "in any order: "),
    ("the sink is left out of the sums", SUMS, "of_sink * of.sink_keys", "0.0F * of.sink_keys", "in any order: "),
]
BUGS = {"forward_program": [(*bug, "") for bug in FORWARD_BUGS], "backward_program": BACKWARD_BUGS}
SETTINGS = [{"UNMASK_PTX_SEED": "1"}, {"UNMASK_PTX_SEED": "2"}, {"UNMASK_PTX_SEED": "3", "UNMASK_PTX_WATCH": "1"}]


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True, choices=BUGS)
    for name in ("nvcc", "compiler", "machine", "root", "work"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


def build(options, include):
    here = pathlib.Path(__file__).parent
    work = pathlib.Path(options.work)
    flags = ["-std=c++20", "-O1", "-arch=compute_80", "-code=compute_80", "--no-compress", f"-I{include}", "-c"]
    subprocess.run([options.nvcc, *flags, here / f"{options.program}.cu", "-o", work / "program.o"], check=True)
    subprocess.run([options.compiler, work / "program.o", options.machine, "-lpthread", "-o", work / "program"],
                   check=True)
    return work / "program"


def what_is_seen(program):
    """The lines that tell of a bug; empty: none."""
    for settings in SETTINGS:
        run = subprocess.run([program], env=os.environ | settings, capture_output=True, text=True, timeout=300,
                             check=False)
        if run.returncode < 0:
            sys.exit(f"the machine has given up:\n{run.stderr}")
        if run.returncode != 0:
            lines = (run.stderr + run.stdout).splitlines()
            return "; ".join(line for line in lines if "fault" in line or " differ" in line) or f"exit {run.returncode}"
    return ""


def main():
    options = arguments()
    include = pathlib.Path(options.work) / "include"
    failures = 0
    for name, header, before, after, message in [("nothing", DEVICE, "", "", ""), *BUGS[options.program]]:
        shutil.rmtree(include, ignore_errors=True)
        shutil.copytree(pathlib.Path(options.root) / "include", include)
        file = include / "unmask" / header
        text = file.read_text(encoding="utf-8")
        if before not in text:
            print(f"{name}: the text is not in {header}")
            failures += 1
            continue
        if before:
            file.write_text(text.replace(before, after), encoding="utf-8")
        seen = what_is_seen(build(options, include))
        failures += bool(seen) != bool(before) or message not in seen
        print(f"{name}: {seen or 'nothing is seen'}", flush=True)
    sys.exit(failures)


main()
