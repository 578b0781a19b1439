# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Everything public has a doc block that Doxygen reads without a warning. Doxygen 1.9 keeps silent about concepts and
enumerators without one, so these are looked up in the XML. Arguments: the root, and a folder for the XML."""

import pathlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree

root, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
doxygen = shutil.which("doxygen")
if doxygen is None:
    print("skipped: no doxygen")
    sys.exit(77)
shutil.rmtree(output, ignore_errors=True)
output.mkdir(parents=True, exist_ok=True)
configuration = (root / ".Doxyfile").read_text() + f'\nOUTPUT_DIRECTORY = "{output}"\n'
run = subprocess.run([doxygen, "-"], input=configuration, cwd=root, text=True, capture_output=True)


def is_documented(element):
    blocks = (element.find("briefdescription"), element.find("detaileddescription"))
    return any(block is not None and "".join(block.itertext()).strip() for block in blocks)


bad, seen = [], 0
for file in sorted((output / "xml").glob("*.xml")):
    for kind in ("compounddef[@kind='concept']", ".//enumvalue"):
        for element in xml.etree.ElementTree.parse(file).getroot().findall(kind):
            seen += 1
            if not is_documented(element):
                name = element.findtext("compoundname") or element.findtext("name")
                bad.append(f"{name} is not documented ({file.name})")
if seen < 50:
    bad.append(f"only {seen} concepts and enumerators found")
if run.returncode != 0 or run.stderr or bad:
    sys.exit(run.stderr + "\n".join(bad))
