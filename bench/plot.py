#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Draws the speed of attention against length for three masks, from a results file: an SVG beside it.

The background is transparent and the colours are readable on white and on black.
"""

import argparse
import json
from pathlib import Path

from support.programs import case
from targets import PLOT_LENGTHS, PLOT_MASKS

GROUP = "lengths"

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 120, 56, 52  # margins
GREY = "#747d89"
COLOURS = ("#2f81f7", "#d9730d", "#2da44e")


def text(x: float, y: float, content: str, *, anchor: str = "middle", fill: str = GREY, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}"{more}>{content}</text>'


def apart(heights: list[float], distance: float) -> list[float]:
    """Moves the heights of labels away from each other until none is nearer to the next than this."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    moved = list(heights)
    for _ in range(100):
        for above, below in zip(order, order[1:], strict=False):
            lacking = max(0.0, distance - (moved[below] - moved[above]))
            moved[above] -= lacking / 2
            moved[below] += lacking / 2
    return moved


def draw(results: Path, head_dim: int = 128) -> Path:
    """Draws a results file of run.py; returns where the picture is."""
    content = json.loads(results.read_text())

    def median(mask: str, length: int, counter: str) -> float:
        name = case("forward", mask, length=length, head_dim=head_dim)
        return float(content["groups"][GROUP][name][counter]["median"]) / 1e9

    speeds = {mask: [median(mask, length, "useful_flops") for length in PLOT_LENGTHS] for mask in PLOT_MASKS}
    peaks = sorted(median(mask, length, "peak_flops") for mask in PLOT_MASKS for length in PLOT_LENGTHS)
    peak = peaks[len(peaks) // 2]

    step = 50 if peak > 150 else 20
    top = (int(peak / step) + 1) * step
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x_of(place: int) -> float:  # lengths double, so they are evenly spaced
        return LEFT + 24 + place * (right - LEFT - 48) / (len(PLOT_LENGTHS) - 1)

    def y_of(speed: float) -> float:
        return bottom - speed / top * (bottom - TOP)

    about = content["about"]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        "<!-- SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception -->",
        text(
            LEFT,
            22,
            f"Attention forward, fp32, 8 heads of {head_dim}, 2 threads",
            anchor="start",
            more=' font-size="16" font-weight="bold"',
        ),
        text(
            LEFT,
            40,
            f"{about['processor']}, {about['instruction_set']}, {about['date']}; only visible scores count",
            anchor="start",
        ),
        text(0, 0, "useful GFLOP/s", more=f' transform="translate(18 {(TOP + bottom) / 2:.1f}) rotate(-90)"'),
        text((LEFT + right) / 2, HEIGHT - 12, "length (positions)"),
    ]
    for tick in range(0, top + 1, step):
        y = y_of(tick)
        lines.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{GREY}" '
            f'stroke-opacity="{0.9 if tick == 0 else 0.25}"/>'
        )
        lines.append(text(LEFT - 8, y + 4.5, str(tick), anchor="end"))
    for place, length in enumerate(PLOT_LENGTHS):
        lines.append(text(x_of(place), bottom + 20, str(length)))
    lines.append(
        f'<line x1="{LEFT}" y1="{y_of(peak):.1f}" x2="{right}" y2="{y_of(peak):.1f}" stroke="{GREY}" '
        f'stroke-width="1.5" stroke-dasharray="6 4"/>'
    )

    labels = apart([y_of(speed[-1]) for speed in speeds.values()] + [y_of(peak)], 16)
    for (mask, speed), colour, label in zip(speeds.items(), COLOURS, labels, strict=False):
        points = [(x_of(place), y_of(value)) for place, value in enumerate(speed)]
        lines.append(
            f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" '
            f'stroke="{colour}" stroke-width="2.5"/>'
        )
        lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
        lines.append(text(right + 6, label + 4.5, mask, anchor="start", fill=colour))
    lines.append(text(right + 6, labels[-1] + 4.5, "FMA peak", anchor="start"))
    lines.append("</svg>")

    path = results.with_suffix(".svg")
    path.write_text("\n".join(lines) + "\n")
    return path


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("results", type=Path, help="what run.py wrote, bench/results/*-attention.json")
    arguments.add_argument("--head-dim", type=int, choices=(64, 128), default=128)
    given = arguments.parse_args()
    print(draw(given.results, given.head_dim))


if __name__ == "__main__":
    main()
