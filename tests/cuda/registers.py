#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What kernels cost, by ptxas, against the table registers.csv; and what they must not cost, or leave to it.

    registers.py [--nvcc NVCC] [--architectures 80 90 --] [CASE...]
                                            fails where a case costs something else than the table says
    registers.py [--nvcc NVCC] --write      writes the table

A case is a file of registers/, without its .cu. If it holds several kernels, these have different names. Shared memory,
the stack and what is spilled are in bytes. If a launch asks for shared memory, the case has a variable that says how
much: NAME_asks, for the kernel NAME. Blocks are those that a multiprocessor holds at once, and planned are those of the
kernel's launch bound. It is a failure, whatever the table says, if there are fewer blocks than wanted() says, or if a
case of SPILL_FREE spills. Other versions of nvcc than the table's may count other registers: then differences are
printed, and that is all.

Cases of EXACT, whose kernels promise the CPU's bits, fail if their PTX has a product that ptxas may fuse with a sum:
of doubles that isn't marked .rn. (A product with a power of two is exact, fused or not; floats are fused by name.)
"""

import argparse
import csv
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE = HERE / "registers.csv"
EXACT = re.compile(r"rows|sampler")
SPILL_FREE = re.compile(r"bfloat16_(64|128)\b|rows|sampler")
COSTS = ("registers", "shared", "stack", "spills", "blocks", "planned")

Costs = dict[tuple[str, ...], tuple[str, ...]]  # (case, kernel, arch): COSTS


@dataclass(frozen=True)
class Multiprocessor:
    """What its blocks share, by the CUDA Programming Guide ("Technical Specifications per Compute Capability")."""

    shared: int  # bytes, of which CUDA takes 1024 for each block
    warps: int
    blocks: int

    def holds(self, threads: int, registers: int, shared: int) -> int:
        """How many blocks. Registers are in four parts of 16 K, and given to warps by 256."""
        warps = -(-threads // 32)
        warps_with_registers = 4 * (16 * 1024 // (-(-registers * 32 // 256) * 256))
        with_shared = self.shared // (-(-(shared + 1024) // 128) * 128)
        return min(warps_with_registers // warps, with_shared, self.warps // warps, self.blocks)


MULTIPROCESSORS = {
    80: Multiprocessor(164 * 1024, 64, 32),
    86: Multiprocessor(100 * 1024, 48, 16),
    89: Multiprocessor(100 * 1024, 48, 24),
    90: Multiprocessor(228 * 1024, 64, 32),
    100: Multiprocessor(228 * 1024, 64, 32),
    120: Multiprocessor(100 * 1024, 48, 24),
}
ARCHITECTURES = tuple(MULTIPROCESSORS)

# Where a multiprocessor has 100 KB of shared memory, two blocks are enough, and these are alone. Wide kernels of 96 and
# 128 columns are not launched there: narrow ones are, of which it holds two. Of 256 columns it can't hold two without
# tiles of 16 keys.
# Of backward kernels, those of 192 columns are alone, too; for 96 and 128, small ones are launched instead of them.
ALONE = re.compile(r"forward_(?!narrow).*_(96|128|256)|backward_bfloat16_(96|128|192|256)")
# Not launched where a multiprocessor has 100 KB.
ONLY_LARGE = re.compile(r"backward_any_order_")

ENTRY = re.compile(
    r"Compiling entry function '(?P<symbol>\w+)' for 'sm_(?P<arch>\w+)'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<spills>\d+) bytes spill stores.*?"
    r"Used (?P<registers>\d+) registers(?:[^\n]*?(?P<shared>\d+) bytes smem)?[^\n]*$",
    re.DOTALL | re.MULTILINE,
)
BOUND = re.compile(r"\.entry (?P<symbol>\w+)\([^{]*?\.maxntid (?P<threads>\d+)[^{]*?\.minnctapersm (?P<blocks>\d+)")
ASKS = re.compile(r" (?P<kernel>\w+)_asks = (?P<bytes>\d+);")

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


def is_launched(case: str, arch: int) -> bool:
    return MULTIPROCESSORS[arch].shared > 100 * 1024 or not ONLY_LARGE.match(case)


def wanted(case: str, arch: int, planned: int) -> int:
    """How many blocks a multiprocessor must hold."""
    if not is_launched(case, arch):
        return 0
    if MULTIPROCESSORS[arch].shared > 100 * 1024:
        return planned
    return 1 if ALONE.match(case) else min(planned, 2)


def measure(case: str, nvcc: str, architectures: list[int]) -> Costs:
    targets = [f"--generate-code=arch=compute_{arch},code=sm_{arch}" for arch in architectures]
    flags = ["-std=c++20", "--fatbin", "--threads=2", "--resource-usage", "--Werror=all-warnings"]
    with tempfile.TemporaryDirectory() as scratch:
        source = HERE / "registers" / f"{case}.cu"
        include = HERE.parents[1] / "include"
        kept = ["--keep", f"--keep-dir={scratch}"]
        output = output_of(nvcc, *flags, *kept, *targets, f"-I{include}", str(source), "-o", f"{scratch}/{case}")
        ptx = "".join(each.read_text() for each in Path(scratch).glob("*.ptx"))
    fusible = fusible_products(ptx)
    if EXACT.search(case) and fusible:
        sys.exit(f"{case} has products that ptxas may fuse with sums; say product_of:\n  " + "\n  ".join(fusible))
    asks = dict(ASKS.findall(ptx))
    bounds = {kernel_name(symbol): (int(threads), int(blocks)) for symbol, threads, blocks in BOUND.findall(ptx)}
    costs: Costs = {}
    for entry in ENTRY.finditer(output):
        kernel = kernel_name(entry["symbol"])
        key = (case, kernel, entry["arch"])
        if key in costs:
            sys.exit(f"{case} has two kernels {kernel}")
        threads, planned = bounds[kernel]
        shared = int(entry["shared"] or 0) + int(asks.get(kernel, 0))
        blocks = MULTIPROCESSORS[int(entry["arch"])].holds(threads, int(entry["registers"]), shared)
        costs[key] = (entry["registers"], str(shared), entry["stack"], entry["spills"], str(blocks), str(planned))
    if not costs:
        sys.exit(f"{case} has no kernel")
    if set(asks) - set(bounds):
        sys.exit(f"{case} has no kernel {', '.join(set(asks) - set(bounds))}")
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
        for key, (_, _, stack, spills, _, _) in measured.items()
        if SPILL_FREE.search(key[0]) and is_launched(key[0], int(key[2])) and (stack, spills) != ("0", "0")
    ]
    lonely = [
        f"{' '.join(key)}: {blocks} blocks on a multiprocessor, not {wanted(key[0], int(key[2]), int(planned))}"
        for key, (*_, blocks, planned) in measured.items()
        if int(blocks) < wanted(key[0], int(key[2]), int(planned))
    ]
    if different:
        print(f"{', '.join(COSTS)}, by the table of nvcc {tables_version} and now by {version}:")
        print(*(f"  {line}" for line in different), sep="\n")
    if spilling:
        print("registers don't suffice:", *spilling, sep="\n  ")
    if lonely:
        print("too much of a multiprocessor is taken:", *lonely, sep="\n  ")
    sys.exit(1 if spilling or lonely or (different and version == tables_version) else 0)


if __name__ == "__main__":
    main()
