# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every mask, sink, schedule, score and selector of the library is in the lists that tests and benchmarks share, and
the test matrices of attention name every sink."""

import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
bad = []


def code_of(path):
    return re.sub(r"//[^\n]*", "", path.read_text())


def public_code_of(path):
    text = re.sub(r"namespace detail \{.*?\} // namespace detail", "", path.read_text(), flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", text)


def structs_with(member, text):
    """The names of the structs that declare the member, or of the aliases that the library gives them."""
    for struct in re.finditer(r"^struct (\w+)[^;{]*\{(.*?)^\};", text, re.MULTILINE | re.DOTALL):
        if re.search(member, struct[0]):
            aliases = re.findall(rf"^using (\w+) = {struct[1]}<", text, re.MULTILINE)
            yield from aliases or [struct[1]]


def check(folder, member, list_file, entry, least=5):
    listed = re.findall(entry, code_of(root / list_file))
    policies = [name for header in sorted((root / "include" / "unmask" / folder).glob("*.hpp"))
                for name in structs_with(member, public_code_of(header))]
    if len(policies) < least:
        bad.append(f"only {len(policies)} policies found in include/unmask/{folder}")
    bad.extend(f"{name} is not in {list_file}" for name in policies if name not in listed)
    return policies


check("mask", r"\bbool visible\(", "tests/support/mask_list.hpp", r'\blisted_mask\{"(\w+)')
sinks = check("sink", r"\bbool present\b", "tests/support/sink_list.hpp", r"\blisted_sink<(\w+)>\{")
sampling_lists = "tests/support/sampling_lists.hpp"
listed_policy = r'\blisted_policy\{"(\w+)'
check("sampler/schedule", r"policy_kind::schedule\b", sampling_lists, listed_policy, least=4)
check("sampler/score", r"policy_kind::score\b", sampling_lists, listed_policy)
check("sampler/selector", r"policy_kind::selector\b|: detail::selector_pair<", sampling_lists, listed_policy, least=10)
device_matrix = "cuda/attention/matrix_test.cpp", "cuda/attention/more/matrix_test.cpp"
for matrix in ("attention/float_test.cpp",), ("attention/bfloat16_test.cpp",), device_matrix:
    text = "".join(code_of(root / "tests" / file) for file in matrix)
    bad.extend(f"{sink} is not in tests/{matrix[0]}" for sink in sinks if not re.search(rf"\b{sink}\b", text))
if bad:
    sys.exit("\n".join(bad))
