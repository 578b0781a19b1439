# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plants bugs, one at a time, in a copy of the library's headers and runs program.cu with it: the machine must see each
by a fault or by wrong numbers, and nothing without one.

    plant.py --nvcc NVCC --compiler CXX --machine libptx_machine.a --root SOURCES --work FOLDER"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

DEVICE = "cuda/runtime/device.cuh"
FORWARD = "cuda/attention/forward_kernel.cuh"

# What is planted; the header; the text, and what takes its place.
BUGS = [
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
SETTINGS = [{"UNMASK_PTX_SEED": "1"}, {"UNMASK_PTX_SEED": "2"}, {"UNMASK_PTX_SEED": "3", "UNMASK_PTX_WATCH": "1"}]


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("nvcc", "compiler", "machine", "root", "work"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


def build(options, include):
    here = pathlib.Path(__file__).parent
    work = pathlib.Path(options.work)
    flags = ["-std=c++20", "-O1", "-arch=compute_80", "-code=compute_80", "--no-compress", f"-I{include}", "-c"]
    subprocess.run([options.nvcc, *flags, here / "program.cu", "-o", work / "program.o"], check=True)
    subprocess.run([options.compiler, work / "program.o", options.machine, "-lpthread", "-o", work / "program"],
                   check=True)
    return work / "program"


def what_is_seen(program):
    """The first line that tells of a bug; empty: none."""
    for settings in SETTINGS:
        run = subprocess.run([program], env=os.environ | settings, capture_output=True, text=True, timeout=300,
                             check=False)
        if run.returncode < 0:
            sys.exit(f"the machine has given up:\n{run.stderr}")
        if run.returncode != 0:
            lines = (run.stderr + run.stdout).splitlines()
            return next((line for line in lines if "fault" in line or "differ" in line), f"exit {run.returncode}")
    return ""


def main():
    options = arguments()
    include = pathlib.Path(options.work) / "include"
    failures = 0
    for name, header, before, after in [("nothing", DEVICE, "", "")] + BUGS:
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
        failures += bool(seen) != bool(before)
        print(f"{name}: {seen or 'nothing is seen'}", flush=True)
    sys.exit(failures)


main()
