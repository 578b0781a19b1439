# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The program itself: test_program.py PROGRAM WEIGHTS PACKAGE. Its logits are those of reference.json, it writes the
same for the same seed, and says what is wrong. Says "skipped" where the weights are not there."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

program, weights, package = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
here = pathlib.Path(__file__).parent
MODELS = {"sapiens": ["sapiens_heavy", "sapiens_light"], "antiberty": ["antiberty"]}


def run(*arguments, folder=weights):
    return subprocess.run([program, "--weights", folder, *arguments], capture_output=True, text=True,
                          env={**os.environ, "UNMASK_FETCH_WEIGHTS": "0"})


def check_logits(model, case):
    """The case's text with its masks, a letter a token, through the program."""
    mask = {"sapiens": 24, "antiberty": 4}[package]
    text = "".join("_" if token == mask else letter
                   for token, letter in zip(case["ids"][1:-1], case["text"], strict=True))
    printed = run("--model", model, "--logits", text)
    assert printed.returncode == 0, printed.stderr
    logits = json.loads(printed.stdout)
    assert len(logits) == len(case["ids"]), "a row for every position"
    rows = dict(enumerate(case["logits"])) if "logits" in case else {int(k): v for k, v in case["logits_at"].items()}
    scale = max(abs(number) for row in rows.values() for number in row)
    off = max(abs(a - b) for position, row in rows.items() for a, b in zip(logits[position], row, strict=True))
    assert off <= 2e-5 * scale, (model, case["name"], off, scale)


def check_writing():
    wrote = [run("--generate", "--samples", "2", "--steps", "6", "--seed", seed, "--threads", threads)
             for seed, threads in (("1", "1"), ("1", "2"), ("2", "1"))]
    texts = [each.stdout.split("\n\n")[0] for each in wrote]
    assert all(each.returncode == 0 for each in wrote), wrote
    assert texts[0] == texts[1] != texts[2] and len(texts[0].splitlines()) == 2, texts
    chain = json.loads((here / "reference.json").read_text())["sapiens_heavy"]["cases"][0]["text"]
    filled = run("--infill", chain, "--hide", "36-60", "--steps", "25").stdout.splitlines()
    assert filled[0] == chain[:35] + 25 * "_" + chain[60:], filled
    assert filled[1][:35] + filled[1][60:] == chain[:35] + chain[60:] and "_" not in filled[1], filled
    found = sum(a == b for a, b in zip(filled[1][35:60], chain[35:60], strict=True))
    assert filled[2] == f"{found} of 25 hidden tokens are found again" and found >= 15, filled


def check_refusals():
    for arguments, said in [(("--model", "x", "--logits", "A"), "--model is 'x', expected sapiens_heavy"),
                            (("--generate", "--order", "x"), "expected confident, low_entropy or random"),
                            (("--infill", "AC", "--hide", "2-3"), "--hide is '2-3', expected FIRST-LAST"),
                            (("--logits", "A" * 143), "a position is 144, expected one of the model's 144"),
                            (("--generate", "--steps", "0"), "--steps is '0', expected"), ((), "nothing to do")]:
        refused = run(*arguments)
        assert refused.returncode == 1 and said in refused.stderr, (arguments, refused)
    with tempfile.TemporaryDirectory() as folder:
        missing = run("--logits", "A", folder=folder)
        assert missing.returncode == 77 and missing.stderr.endswith("skipped: UNMASK_FETCH_WEIGHTS is 0\n"), missing


missing = [name for name in MODELS[package] if not (weights / f"{name}.safetensors").exists()]
if missing:
    reason = weights / f"{package}.skipped"
    print("skipped:", reason.read_text().strip() if reason.exists() else "no weights: fetch.py was not run")
    sys.exit()
for name in MODELS[package]:
    for each in json.loads((here / "reference.json").read_text())[name]["cases"]:
        check_logits(name, each)
if package == "sapiens":
    check_writing()
    check_refusals()
