# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is written about a run: medians and quartiles, the machine, the table of targets, the file."""

import datetime
import json
import os
import re
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.programs import ROOT

RESULTS = ROOT / "bench" / "results"


def rounded(value: float) -> float:
    return float(f"{value:.5g}")


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles of one counter; the median alone if it never changes."""
    if min(values) == max(values):
        return {"median": rounded(values[0])}
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return {"lower_quartile": rounded(lower), "median": rounded(median), "upper_quartile": rounded(upper)}


def processor() -> str:
    return next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown processor",
    )


def commit() -> str:
    try:
        return subprocess.check_output(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, text=True, stderr=subprocess.DEVNULL
        ).strip()
    except (OSError, subprocess.CalledProcessError):  # a copy of the files alone
        return "unknown"


def about(context: dict[str, str]) -> dict[str, Any]:
    """Date, machine, compiler and commit; context is what the program says about itself."""
    machine = (
        {"processor": context["gpu"], "cores": int(context["multiprocessors"]), "clock_mhz": int(context["clock_mhz"])}
        if "gpu" in context
        else {"processor": processor(), "cores": os.cpu_count()}
    )
    return {
        "date": datetime.date.today().isoformat(),
        **machine,
        "compiler": context["compiler"],
        "instruction_set": context["instruction_set"],
        "commit": commit(),
    }


def save(results: dict[str, Any], kind: str) -> Path:
    """Writes bench/results/<date>-<processor>-<kind>.json, innermost objects on one line each."""
    name = re.sub(r"\((R|TM)\)", "", results["about"]["processor"])
    machine = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{results['about']['date']}-{machine}-{kind}.json"
    text = re.sub(r"{[^{}]*}", lambda flat: re.sub(r"\n *", " ", flat[0]), json.dumps(results, indent=1))
    path.write_text(text.replace("{ ", "{").replace(" }", "}") + "\n")
    return path


@dataclass(frozen=True)
class Verdict:
    """A number beside its target: a bound that it should not be below (at_least) or above; None where there is none.
    What was not measured (None) has not met a bound."""

    what: str
    measured: float | None
    unit: str
    bound: float | None
    at_least: bool

    @property
    def met(self) -> bool | None:
        if self.bound is None:
            return None
        if self.measured is None:
            return False
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def text(self, value: float | None) -> str:
        if value is None:
            return "not measured"
        return f"{100 * value:.0f} %" if self.unit == "%" else f"{value:.2f} {self.unit}"

    def row(self) -> list[str]:
        target = "" if self.bound is None else ("≥ " if self.at_least else "≤ ") + self.text(self.bound)
        return [self.what, self.text(self.measured), target, {None: "", True: "ok", False: "missed"}[self.met]]

    def record(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "measured": None if self.measured is None else rounded(self.measured),
            "unit": self.unit,
            "bound": self.bound,
            "met": self.met,
        }


def comparison(
    verdict: Verdict, name: str, difference: float, ours: Sequence[float], theirs: Sequence[float]
) -> dict[str, Any]:
    """What is written about a case of ours and a peer: the times in milliseconds, one a round."""
    return {
        "case": name,
        "difference": rounded(difference),
        "milliseconds": summary(ours),
        "peer_milliseconds": summary(theirs),
        "ratio": rounded(verdict.measured or 0.0),
        "bound": verdict.bound,
        "met": verdict.met,
    }


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A Markdown table whose columns line up."""
    lines = [list(head), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
