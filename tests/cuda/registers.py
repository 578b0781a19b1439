#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What kernels cost, in the words of ptxas, against the table registers.csv; and what they must not leave to it.

    registers.py [--nvcc NVCC] [--architectures 80 90 --] [CASE...]
                                            fails where a case costs something else than the table says
    registers.py [--nvcc NVCC] --write      writes the table

A case is a file of registers/, without its .cu. If it holds several kernels, these have different names. Shared memory,
the stack and what is spilled are in bytes; shared memory that a launch asks for is not seen here. Cases of SPILL_FREE
fail if anything spills, whatever the table says. Other versions of nvcc than the table's may count other registers:
then differences are printed, and that is all.

Cases of EXACT, whose kernels promise the CPU's bits, fail if their PTX has a product that ptxas may fuse with a sum:
of doubles that isn't marked .rn. (A product with a power of two is exact, fused or not; floats are fused by name.)
"""

import argparse
import csv
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE = HERE / "registers.csv"
ARCHITECTURES = (80, 86, 89, 90, 100, 120)
EXACT = re.compile(r"rows|sampler")
SPILL_FREE = re.compile(r"bfloat16_(64|128)\b|rows|sampler")
COSTS = ("registers", "shared", "stack", "spills")

Costs = dict[tuple[str, ...], tuple[str, ...]]  # (case, kernel, arch): COSTS

ENTRY = re.compile(
    r"Compiling entry function '(?P<symbol>\w+)' for 'sm_(?P<arch>\w+)'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<spills>\d+) bytes spill stores.*?"
    r"Used (?P<registers>\d+) registers(?:[^\n]*?(?P<shared>\d+) bytes smem)?[^\n]*$",
    re.DOTALL | re.MULTILINE,
)


PRODUCT = re.compile(r"^\s*mul\.f64\s[^;]*;", re.MULTILINE)
POWER_OF_TWO = re.compile(r"0d[0-9A-F]{3}0{13};")


def output_of(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}")
    return done.stdout


def kernel_name(symbol: str) -> str:
    """forward_kernel, of `void unmask::detail::forward_kernel<int>(int)`."""
    return re.split(r"[<(]", output_of("c++filt", symbol))[0].split("::")[-1].strip()


def fusible_products(ptx: str) -> list[str]:
    return [product.strip() for product in PRODUCT.findall(ptx) if not POWER_OF_TWO.search(product)]


def measure(case: str, nvcc: str, architectures: list[int]) -> Costs:
    targets = [f"--generate-code=arch=compute_{arch},code=sm_{arch}" for arch in architectures]
    flags = ["-std=c++20", "--fatbin", "--threads=2", "--resource-usage", "--Werror=all-warnings"]
    with tempfile.TemporaryDirectory() as scratch:
        source = HERE / "registers" / f"{case}.cu"
        include = HERE.parents[1] / "include"
        kept = ["--keep", f"--keep-dir={scratch}"]
        output = output_of(nvcc, *flags, *kept, *targets, f"-I{include}", str(source), "-o", f"{scratch}/{case}")
        fusible = [product for ptx in Path(scratch).glob("*.ptx") for product in fusible_products(ptx.read_text())]
        if EXACT.search(case) and fusible:
            sys.exit(f"{case} has products that ptxas may fuse with sums; say product_of:\n  " + "\n  ".join(fusible))
    costs: Costs = {}
    for entry in ENTRY.finditer(output):
        key = (case, kernel_name(entry["symbol"]), entry["arch"])
        if key in costs:
            sys.exit(f"{case} has two kernels {key[1]}")
        costs[key] = tuple(entry[cost] or "0" for cost in COSTS)
    if not costs:
        sys.exit(f"{case} has no kernel")
    return costs


def read_table() -> tuple[str, Costs]:
    """The version of nvcc that it is for, and its rows."""
    version, _, *rows = TABLE.read_text().splitlines()
    return version.removeprefix("# nvcc "), {tuple(row[:3]): tuple(row[3:]) for row in csv.reader(rows)}


def write_table(version: str, costs: Costs) -> None:
    by_architecture = sorted(costs, key=lambda key: (key[:2], len(key[2]), key[2]))
    rows = [",".join(key + costs[key]) + "\n" for key in by_architecture]
    TABLE.write_text(f"# nvcc {version}\ncase,kernel,arch,{','.join(COSTS)}\n" + "".join(rows))


def compare(expected: Costs, measured: Costs) -> list[str]:
    """What differs, in words."""

    def text(cost: tuple[str, ...] | None) -> str:
        return " ".join(cost) if cost else "nothing"

    return [
        f"{' '.join(key)}: {text(expected.get(key))}, now {text(measured.get(key))}"
        for key in dict.fromkeys([*expected, *measured])
        if expected.get(key) != measured.get(key)
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--nvcc", default="nvcc")
    arguments.add_argument("--architectures", nargs="+", type=int, choices=ARCHITECTURES, default=ARCHITECTURES)
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("case", nargs="*")
    given = arguments.parse_args()

    cases = given.case or sorted(file.stem for file in (HERE / "registers").glob("*.cu"))
    version = re.findall(r"\bV([\d.]+)", output_of(given.nvcc, "--version"))[0]
    measured: Costs = {}
    for case in cases:
        measured |= measure(case, given.nvcc, given.architectures)

    if given.write:
        write_table(version, measured)
    tables_version, table = read_table()
    asked = {(case, str(arch)) for case in cases for arch in given.architectures}
    different = compare({key: cost for key, cost in table.items() if (key[0], key[2]) in asked}, measured)
    spilling = [
        f"{' '.join(key)} has a stack of {stack} and spills {spills} bytes"
        for key, (_, _, stack, spills) in measured.items()
        if SPILL_FREE.search(key[0]) and (stack, spills) != ("0", "0")
    ]
    if different:
        print(f"{', '.join(COSTS)}, by the table of nvcc {tables_version} and now by {version}:")
        print(*(f"  {line}" for line in different), sep="\n")
    if spilling:
        print("registers don't suffice:", *spilling, sep="\n  ")
    sys.exit(1 if spilling or (different and version == tables_version) else 0)


if __name__ == "__main__":
    main()
