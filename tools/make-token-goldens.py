#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the files of tests/data/tokens that the tokenizer is tested against, with implementations of others.

usage: tools/make-token-goldens.py tests/data/tokens
Needs the Python packages regex, tokenizers and sentencepiece. Made with regex 2026.11.15, tokenizers 0.23.3 and
sentencepiece 0.2.3; other versions may train other vocabularies, so all files are written together.

strings.json     the texts
splits.json      for each pre-tokenizer and text: how many bytes each word has (the published expressions, run by
                 `regex`)
bpe.json         a byte-level BPE vocabulary, trained by `tokenizers`, and bpe-ids.json: its ids for the texts
spm.json         a SentencePiece vocabulary, trained by `sentencepiece`, and spm-ids.json
helper-29m-ids.json is not made here: it came with the model.
"""
import json
import os
import random
import sys
import tempfile

import regex
import sentencepiece
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}%s]+%s"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
CAPITAL, SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED = (r"[^\r\n\p{L}\p{N}]?" + CAPITAL + "*" + SMALL + r"+%s|[^\r\n\p{L}\p{N}]?" + CAPITAL + "+" + SMALL +
         r"*%s|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"
EXPRESSIONS = {
    "gpt-2": [GPT2],
    "llama-bpe": [WORDS % ("{1,3}", "", r"[\r\n]*")],
    "qwen2": [WORDS % ("", "", r"[\r\n]*")],
    "seed-coder": [WORDS % ("", r"\r\n", "")],
    "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]"],
    "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"],
    "smollm": [r"\p{N}", GPT2],
    "tekken": [CASED % ("", "", "")],
    "gpt-4o": [CASED % (SUFFIX, SUFFIX, "{1,3}")],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
                    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
                    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "bloom": [BLOOM],
    "viking": [BLOOM, r"\p{N}"],
}

STRINGS = [
    "", " ", "a", "Hello, world!", "  two  spaces\n\nnew\tline ", "I'm can't WE'LL they'Ve 'S 'd ''' it'", "don'ta 'tis",
    "naïve café 東京 🚀 ﷽ 👩‍👩‍👧‍👦", "12345 1,234.56 ½ ²³ ⅣⅤ ٣٤٥٦", "a\u0301e\u0301 \u0301x \u0903\u0301", "<|eot_id|>User: x",
    "if (x<=y) { return &z->w; } // ok\r\n", "\r\n\r\n \n\t\n  x", "x   ", "   ", "\n", "\t\t\tfoo  bar\t baz",
    "ǅungla ǅǅ ʰʱword ʰ", "camelCase HTTPServer XMLHttpRequest iPhone McDonald's USA'S ABCdefGHI'll",
    "пример ПРИМЕР Пример ΑΒΓ αβγ", "ประเทศไทย ภาษา", "한국어 テスト です、日本。", "العربية ١٢٣ ، नमस्ते । हिन्दी",
    "\u00a0nbsp\u2003em\u2028line\u3000wide\u0085next\u1680", "zero\u200bwidth\ufeffbom\u200d", "\u0001\u0002 \u0007bell \u007f",
    "\ue000private \U0010ffff \u0378unassigned", "a/b\\c//\n/\r\n/x", "!!!\n\n???\r\r", " !a ?b $c €d #e _f ~g", "a_b__c-d--e.f..g",
    "http://example.org/a?b=c&d=%20#e", "0 00 000 0000 00000 1a2b3c 12ab345cd6789", "<<<>>> ==> |x| `y` ^z^ +1 -1 ~0",
    "\u2581block \u2581\u2581", "<s> </s> <unk> <0x41>", "e" * 40, "ab" * 30, " " * 40 + "x", "\n" * 9 + " ", "😀" * 12, "9" * 20,
    "🇩🇪🇫🇷 👍🏽 ❤️", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐐀𐐨 𠀀𠀁", "ß ẞ İ ı ŉ Ω", "‘quotes’ “double” «guillemets» — … ‐", "。，、！？（）「」", "¿Qué? ¡Sí! ºª",
    "tab\there \n next\n\n\nlast", "The quick brown fox jumps over the lazy dog. 1234567890",
]
# Of every class some, those that have bitten others more often.
POOL = (list("abzABZ'''\"  \n\r\t.,!?/_-$+<=>^~|`0129") + ["'s", "'LL", "'t", "'re", "  ", "\r\n", "the", "Ab"] +
        list("éßÉǅʰاא中日한กप\u0301\u0903\u20dd٣Ⅳ²½€£©´，。、…—«»\u00a0\u2003\u3000\u2028\u0085\u0001\u200b\u200d\u0378\ue000🚀👍𝔘𠀀"))


def strings():
    source = random.Random(1)
    return STRINGS + ["".join(source.choices(POOL, k=source.randrange(1, 24))) for _ in range(150)]


def cut(expression, piece):
    """All matches and what lies between them, as Split(…, "isolated") does it."""
    out, start = [], 0
    for match in regex.finditer(expression, piece):
        if match.start() > start:
            out.append(piece[start:match.start()])
        if match.end() > match.start():
            out.append(match.group())
        start = match.end()
    return out + ([piece[start:]] if start < len(piece) else [])


def split(name, text):
    pieces = [text] if text else []
    for expression in EXPRESSIONS[name]:
        pieces = [word for piece in pieces for word in cut(expression, piece)]
    return [len(piece.encode()) for piece in pieces]


def corpus():
    with open(os.path.join(HERE, "..", "LICENSE"), encoding="utf-8") as f:
        return f.read().splitlines() + STRINGS * 3


def make_bpe(texts, extra):
    special = ["<|begin_of_text|>", "<|eot_id|>"]
    trained = tokenizers.Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=900, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    model = json.loads(trained.to_str())["model"]
    vocabulary = sorted(model["vocab"], key=model["vocab"].get)
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    # Two tokens that no merge makes: only a pre-tokenizer that keeps whole words finds them.
    vocabulary += ["Ġreproduction", "ĊĊĊĊĊ"]
    out = {"model": "gpt2", "tokens": vocabulary + ["<user>", "<user><b>"] + special,
           "types": [1] * len(vocabulary) + [4, 4, 3, 3], "merges": merges,
           "bos": len(vocabulary) + 2, "eot": len(vocabulary) + 3}
    ids = {}
    for name in ("gpt-2", "llama-bpe", "qwen2", "falcon", "default", "tekken"):
        whole = name in ("llama-bpe", "tekken")
        one = tokenizers.Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(vocabulary)},
                                              merges=[tuple(m.split(" ")) for m in merges], ignore_merges=whole))
        one.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(tokenizers.Regex(e), "isolated") for e in EXPRESSIONS[name]] +
            [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        one.decoder = decoders.ByteLevel()
        one.add_tokens([tokenizers.AddedToken(t, normalized=False) for t in ("<user>", "<user><b>")])
        plain = [one.encode(text, add_special_tokens=False).ids for text in texts + extra]
        one.add_special_tokens(special)
        parsed = [one.encode(text, add_special_tokens=False).ids for text in extra]
        ids[name] = {"plain": plain, "parsed": parsed}
    return out, ids


def make_spm(texts):
    with tempfile.TemporaryDirectory() as folder:
        source, prefix = os.path.join(folder, "text"), os.path.join(folder, "spm")
        with open(source, "w", encoding="utf-8") as f:
            f.write("\n".join(line for line in corpus()[:-2 * len(STRINGS)] if "\u2581" not in line))
        sentencepiece.SentencePieceTrainer.train(
            input=source, model_prefix=prefix, vocab_size=800, model_type="bpe", byte_fallback=True,
            normalization_rule_name="identity", remove_extra_whitespaces=False, allow_whitespace_only_pieces=True,
            split_digits=True, character_coverage=0.98, user_defined_symbols=["<user>", "<user><b>"],
            minloglevel=2)
        model = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")
    kinds = [(2, model.is_unknown), (3, model.is_control), (6, model.is_byte), (5, model.is_unused)]
    types = []
    for i in range(len(model)):
        kind = next((number for number, holds in kinds if holds(i)), 1)
        types.append(4 if model.id_to_piece(i).startswith("<user>") else kind)
    out = {"model": "llama", "tokens": [model.id_to_piece(i) for i in range(len(model))], "types": types,
           "scores": [model.get_score(i) for i in range(len(model))], "bos": 1, "eos": 2, "unknown": 0}
    # U+2581 in the text is a space to SentencePiece; here it stays itself.
    return out, [model.encode(text) if "\u2581" not in text else None for text in texts]


def write(folder, name, thing):
    with open(os.path.join(folder, name), "w", encoding="ascii") as f:
        json.dump(thing, f, separators=(",", ":"))
        f.write("\n")


def main():
    folder, texts = sys.argv[1], strings()
    write(folder, "strings.json", texts)
    write(folder, "splits.json", {name: [split(name, text) for text in texts] for name in EXPRESSIONS})
    extra = ["<user>x<user><b>y<user", "a <|eot_id|> b<|begin_of_text|><|eot_id|>", " reproduction reproduction"]
    bpe, ids = make_bpe(texts, extra)
    write(folder, "bpe.json", bpe)
    write(folder, "bpe-ids.json", {"extra": extra, "ids": ids})
    spm, ids = make_spm(texts + extra)
    write(folder, "spm.json", spm)
    write(folder, "spm-ids.json", {"extra": extra, "ids": ids})


main()
