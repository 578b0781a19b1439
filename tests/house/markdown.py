# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks the Markdown files: README.md is short, what they name exists, and every block of code compiles as it stands.

A ```cpp block that is a whole program of examples/ is built and run there. Every other one is compiled alone and, if it
has a main(), run. The blocks of README.md are also used together, by readme_program.cpp. A ```cuda block is compiled if
there is nvcc.

    markdown.py ROOT [--compiler COMPILER] [--nvcc NVCC] [--include FOLDER]
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MOST_BYTES = 12 * 1024  # of README.md
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
PATH = re.compile(r"(?<![\w/.<-])((?:bench|examples|tests|include/unmask|\.github)/[\w./-]*)")
HEADER = re.compile(r"<(unmask/[\w/]+\.(?:hpp|cuh))>")
MADE = re.compile(r"build|\.(?:html|state)$")  # paths that running something makes

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("root", type=Path)
arguments.add_argument("--compiler", default="g++")
arguments.add_argument("--nvcc", default="")
arguments.add_argument("--include", type=Path, help="instead of ROOT/include")
given = arguments.parse_args()
root = given.root.resolve()
include = given.include or root / "include"
folders = (".github", "bench", "examples", "tests")
files = [root / "README.md", *sorted(file for folder in folders for file in (root / folder).rglob("*.md"))]
programs = {file.read_text().partition("\n")[2] for file in (root / "examples").glob("*.cpp")}
flags = ["-std=c++20", "-Wall", "-Wextra", "-Werror", f"-I{include}"]
failures = []


def run(where, *command):
    """Runs a command; a failure is noted with where it belongs."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        failures.append(f"{where}: {command[0]} failed\n{done.stdout[:2000]}")
    return done.returncode == 0


def check_names(file, text):
    for target in LINK.findall(BLOCK.sub("", text)):
        if not (file.parent / target).exists():
            failures.append(f"{file.relative_to(root)}: {target} does not exist")
    for path in PATH.findall(text):
        path = path.rstrip(".")
        if not MADE.search(path) and not (root / path).exists() and not (file.parent / path).exists():
            failures.append(f"{file.relative_to(root)}: {path} does not exist")
    for header in HEADER.findall(text):
        if not (include / header).exists():
            failures.append(f"{file.relative_to(root)}: there is no header {header}")


def check_block(where, language, code, source):
    source.write_text(code)
    if language == "cuda":
        if given.nvcc:
            run(where, given.nvcc, "-std=c++20", "-arch=sm_80", f"-I{include}", "-cuda", "-x", "cu", source, "-o",
                source.with_suffix(".ii"))  # fmt: skip
    elif re.search(r"^int main\(", code, re.MULTILINE):
        program = source.with_suffix("")
        if run(where, given.compiler, *flags, "-x", "c++", source, "-o", program):
            run(where, program)
    else:
        run(where, given.compiler, *flags, "-fsyntax-only", "-x", "c++", source)


with tempfile.TemporaryDirectory() as folder:
    counts = {}
    for file in files:
        name = file.relative_to(root)
        text = file.read_text()
        check_names(file, text)
        blocks = [(language, code) for language, code in BLOCK.findall(text) if language in ("cpp", "cuda")]
        counts[file] = len(blocks)
        for number, (language, code) in enumerate(blocks):
            source = Path(folder) / f"{str(name).replace('/', '_')}_{number}.hpp"
            if code in programs:
                source.write_text(code)
            else:
                check_block(f"{name}, block {number}", language, code, source)

    readme = files[0]
    size = len(readme.read_bytes())
    if size > MOST_BYTES:
        failures.append(f"README.md has {size} bytes, more than {MOST_BYTES}")
    quickstart = (root / "examples" / "quickstart.cpp").read_text().partition("\n")[2]  # without the SPDX line
    if f"```cpp\n{quickstart}```" not in readme.read_text():
        failures.append("README.md does not show examples/quickstart.cpp")
    program = Path(folder) / "readme_program"
    source = Path(__file__).parent / "readme_program.cpp"
    if run("readme_program.cpp", given.compiler, *flags, f"-I{folder}", source, "-o", program):
        run("readme_program.cpp", program)

if counts[readme] < 2:
    failures.append("README.md has fewer than two blocks of code")
if failures:
    sys.exit("\n".join(failures))
print(f"{len(files)} files, {sum(counts.values())} blocks, README.md has {size} bytes")
