# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""No line is longer than 120 characters, comments included. Tables and links in Markdown, and messages that a compiler
should give, are exempt."""

import pathlib
import sys

root = pathlib.Path(sys.argv[1])
folders = ("include", "examples", "tests", "bench", ".github", ".ci")
endings = (".hpp", ".cuh", ".cpp", ".cu", ".inl", ".py", ".cmake", ".sh", ".sed", ".md", "CMakeLists.txt")
generated = root / "examples" / "sink_study" / "report"

files = [root / "CMakeLists.txt", root / "README.md", root / ".clang-format", root / ".clang-tidy", root / ".Doxyfile"]
for folder in folders:
    files += [file for file in sorted((root / folder).rglob("*")) if file.is_file() and file.name.endswith(endings)]
if len(files) < 400:
    sys.exit(f"only {len(files)} files found under {root}")


def is_exempt(file, line):
    if file.suffix == ".md":
        return line.lstrip().startswith("|") or "](" in line or "://" in line
    return line.startswith("// expected-error: ")


bad = []
for file in files:
    if generated in file.parents:
        continue
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if len(line) > 120 and not is_exempt(file, line):
            bad.append(f"{file.relative_to(root)}:{number}: {len(line)} characters")
if bad:
    sys.exit("\n".join(bad))
