# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Learns the byte-pair tokenizer of the language model from the part of a text that the model is trained on, with the
package `tokenizers`. The shipped one, of the King James Bible:

    bible -f 'ge1:1-re22:21' | sed -E 's/^[0-9A-Za-z]+:[0-9]+ //' > king_james.txt
    make_tokenizer.py king_james.txt king_james.tokenizer.json
"""

import argparse
import json
import pathlib

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("text", type=pathlib.Path, help="a line a verse; the last twentieth of them is held out")
    options.add_argument("to", type=pathlib.Path)
    options.add_argument("--size", type=int, default=2048, help="of the vocabulary")
    given = options.parse_args()

    lines = given.text.read_text().splitlines(keepends=True)
    training = lines[: len(lines) * 95 // 100]  # as corpus.hpp cuts
    held_out = lines[len(training) :]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # GPT-2's words
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(
        training, trainers.BpeTrainer(vocab_size=given.size, initial_alphabet=alphabet, show_progress=False)
    )
    definition = json.loads(made.to_str())
    given.to.write_text(json.dumps(definition, separators=(",", ":"), ensure_ascii=False) + "\n")
    for name, part in (("training", "".join(training)), ("held-out", "".join(held_out))):
        tokens = len(made.encode(part).ids)
        print(f"{name} text: {len(part)} characters, {tokens} tokens, {len(part) / tokens:.3f} characters each")


main()
