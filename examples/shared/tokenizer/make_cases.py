# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Writes what test_tokenizer.cpp checks: small tokenizers of the kinds that models have, and what the package
`tokenizers` makes of hostile texts.

    make_cases.py FOLDER               those of cases/
    make_cases.py FOLDER --random N    N random texts more, for each tokenizer
"""

import argparse
import json
import pathlib
import random
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)
WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they "
    "which one you were all her she there would their we him been has when who will no more if out so up said what "
    "its about than into them can only other time new some could these two may first then do any like my now over "
    "token tokens mask masked attention sink sinks diffusion language model models naïve café Straße Ελλάδα привет "
    "мир 世界 你好 こんにちは 안녕 नमस्ते शब्द مرحبا"
).split()


def corpus():
    draw = random.Random(1)
    for _ in range(600):
        words = draw.choices(WORDS, k=12)
        yield " ".join(words).capitalize() + draw.choice([".", "!", "?\n", ", 2024.\r\n", ": 3.14;\t"])


def qwen():
    """As Qwen2 and Qwen3, and so Dream and SDAR, have it."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|mask|>"]
    plain = [AddedToken("<tool_call>", normalized=False), AddedToken("</tool_call>", normalized=False)]
    return made, special, plain


def llama():
    """As Llama 3 has it: digits by threes, whole words before merges, a token before each text."""
    made = Tokenizer(models.BPE(ignore_merges=True))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    special = ["<|startoftext|>", "<|eot_id|>", "<|mdm_mask|>", AddedToken("<mask>", lstrip=True, special=True)]
    plain = [AddedToken("word", single_word=True), AddedToken("right", rstrip=True), AddedToken("éa", normalized=False)]
    return made, special, plain


def gpt2():
    """GPT-2's own expression and its space in front, with everything else that a file may ask for."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.NFKC()])
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Punctuation("merged_with_previous"),
            pre_tokenizers.Split("的", "merged_with_next"),
            pre_tokenizers.Split(Regex(r"[\r\n]"), "removed"),
            pre_tokenizers.Split("a.b", "contiguous", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=True),
        ]
    )
    return made, ["<|endoftext|>"], [AddedToken("ﬁn", normalized=True), AddedToken("<<", normalized=True), "<<<"]


HOSTILE = [
    "", " ", "  ", "\n", "\r\n\r\n", "\t \t", " \n \n  x", "a", "a ", " a", "  a  b  ", "Hello, world!",
    "I'm you're we'LL",
    "'S'T'RE", "'ſ", "don't'", "3.14159 12345678 1,000", "x1y22z333", "²³½ⅷ٣", "naïve café", "e\u0301 \u00e9 \u0301",
    "ＡＢＣ ﬁn ﬂ", "Å Å Å", "각 각", "你好，世界！的的", "こんにちは 世界", "안녕하세요", "नमस्ते",
    "مرحبا بالعالم", "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽", "\u00a0\u2003\u3000\u202f\u205f", "a\u180eb \u180e", "\u200b\u200d\ufeff",
    "\x00\x01\x7f",
    "\u0085\u2028\u2029 x", "tab\tand\vvertical\fform", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|", "<|im_start|><|im_start|>", "a<|endoftext|>b", " <mask> x<mask>", "\u3000 <mask>",
    "word words sword word.",
    "word_ _word éword", "right   x", "right\n\nright right", "<tool_call>{}</tool_call>", "<<<<", "<< < <<<", "éa éa",
    "a.b a.ba.b axb", "a\r\nb\nc", "-----====", "!?!?...", "$100 €5", "http://a.b/c?d=e&f#g", "\\s\\S[]()",
    "\U0010ffff\U00020000",
    "ǅ ß ẞ İ ı", "Straße STRASSE", "z̷̢̛a̶lgo", "the" * 40, " " * 70 + "x", "ab" * 200,
]  # fmt: skip


def random_text(draw):
    def character():
        kind = draw.randrange(8)
        if kind < 3:
            return draw.choice("  etaoin shrdlu'.,!?0123\n\r\t<|>_")
        if kind == 3:
            return draw.choice(WORDS)
        if kind == 4:
            added = ["<|im_start|>", "<|endoftext|>", "<mask>", "word", "right", "<<"]
            return draw.choice(added + ["的", "'s", "'RE", "a.b"])
        if kind == 5:
            return chr(draw.randrange(0x80, 0x600))
        if kind == 6:
            return draw.choice("\u0300\u0301\u0308\u0327\u200d\u00a0\u3000\u2028\u0085\u180e\u1100\u1161\u11a8")
        while True:
            code = draw.randrange(0x11_0000)
            if not 0xD800 <= code < 0xE000:
                return chr(code)

    return "".join(character() for _ in range(draw.randrange(1, 24)))


def is_settled(text):
    """Are all characters so old that every library has them in its tables?"""
    return all(unicodedata.ucd_3_2_0.category(c) != "Cn" for c in text)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--random", type=int, default=60)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for make in (qwen, llama, gpt2):
        made, special, plain = make()
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=560, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
        )
        made.train_from_iterator(corpus(), trainer)
        made.add_special_tokens(special)
        made.add_tokens(plain)
        if make is llama:
            start = ("<|startoftext|>", made.token_to_id("<|startoftext|>"))
            made.post_processor = processors.Sequence(
                [
                    processors.ByteLevel(trim_offsets=False),
                    processors.TemplateProcessing(single="<|startoftext|> $A", special_tokens=[start]),
                ]
            )
        definition = json.loads(made.to_str())
        name = make.__name__
        draw = random.Random(given.seed)
        texts = HOSTILE + [text for text in (random_text(draw) for _ in range(given.random)) if is_settled(text)]
        cases = []
        for text in texts:
            tokens = made.encode(text, add_special_tokens=False).ids
            cases.append(
                {
                    "text": text,
                    "tokens": tokens,
                    "framed": made.encode(text).ids,
                    "shown": made.decode(tokens, skip_special_tokens=False),
                    "plain": made.decode(tokens),
                    "cut": made.decode(tokens[1::2], skip_special_tokens=False),
                }
            )
        (given.folder / f"{name}.json").write_text(json.dumps(definition, separators=(",", ":"), ensure_ascii=False))
        lines = ",\n".join(json.dumps(case) for case in cases)
        (given.folder / f"{name}.cases.json").write_text(f"[\n{lines}\n]\n")


main()
