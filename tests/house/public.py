# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Headers in cpu/, cuda/ or a folder named detail/ declare nothing outside namespace detail; every other one does."""

import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1]) / "include" / "unmask"
private_part = re.compile(r"namespace detail[:\w]* \{.*?\} // namespace detail[:\w]*", re.DOTALL)
comment = re.compile(r"//[^\n]*")
directive = re.compile(r"^ *#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
frame = re.compile(r"UNMASK_NAMESPACE_(?:BEGIN|END)")
only_directives = {"version.hpp", "unmask.hpp", "unmask.cuh"}


def declares_outside_detail(text):
    for ignored in (private_part, comment, directive, frame):
        text = ignored.sub("", text)
    return bool(text.strip())


bad = []
for header in sorted([*root.rglob("*.hpp"), *root.rglob("*.cuh")]):
    name = header.relative_to(root)
    folders = name.parts[:-1]
    private = "detail" in folders or folders[:1] in (("cpu",), ("cuda",))
    if str(name) not in only_directives and declares_outside_detail(header.read_text()) == private:
        bad.append(f"{name}: " + ("declares something outside namespace detail, and its folder is private" if private
                                  else "is all in namespace detail, and its folder is public"))
if bad:
    sys.exit("\n".join(bad))
