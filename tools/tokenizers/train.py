#!/usr/bin/env python3
"""Writes the six tokenizer.json files that internal/engine/tokenizer is compared with the official library on.

    pip install -r requirements.txt
    python train.py OUT

The pipelines are those of the files that the models came with; the vocabularies are small and trained here, on corpus.txt, by the
official library. Two runs give the same bytes.
"""
import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = (Path(__file__).parent / "corpus.txt").read_text(encoding="utf-8")
SIZE = 1400  # tokens of a vocabulary, without added ones

# What Llama 3 and Qwen2 split by; they differ in how many digits stand together.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Added tokens of every kind, in all six files: which way a text is cut by them is the hardest part to get right.
KINDS = [
    AddedToken("<left>", lstrip=True, normalized=False, special=True),
    AddedToken("<right>", rstrip=True, normalized=False, special=True),
    AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
    AddedToken("<mask>", lstrip=True, normalized=True, special=True),
    AddedToken("zap", single_word=True, normalized=False),
    AddedToken("zapper", single_word=True, lstrip=True, rstrip=True, normalized=False),
    AddedToken("za", normalized=False),
    AddedToken("cafe\u0301!", normalized=True),  # composed by a normalizer
    AddedToken("two words", normalized=True),
    AddedToken("\u00e9t\u00e9", single_word=True, normalized=True),
    AddedToken("<tool_call>", normalized=False),
    AddedToken("<tool_call>x", normalized=False),
    AddedToken("\u3000\u3000", normalized=False),
    AddedToken("\n\n\n\n\n", normalized=True),
    AddedToken(" lead", normalized=False),
    AddedToken("\U0001f98a", normalized=False),
]


def special(*names, normalized=False):
    return [AddedToken(name, special=True, normalized=normalized) for name in names]


def byte_level(added, split, normalizer=None, processor=None, decoder=None, **options):
    """A tokenizer on bytes written as printable characters, as GPT-2 has them."""
    tokenizer = Tokenizer(models.BPE(**options))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoder or decoders.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)
    tokenizer.train_from_iterator(
        CORPUS.splitlines(keepends=True),
        trainers.BpeTrainer(
            vocab_size=SIZE, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), special_tokens=[], show_progress=False
        ),
    )
    tokenizer.add_tokens(added + KINDS)
    if processor is not None:
        tokenizer.post_processor = processor(tokenizer)
    return tokenizer


def split_words(digits, trim_offsets):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS.replace("DIGITS", digits)), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=trim_offsets, use_regex=False),
        ]
    )


def begins_with(token, *before):
    """A post-processor that puts one token before a text."""

    def make(tokenizer):
        template = processors.TemplateProcessing(
            single=f"{token} $A",
            pair=f"{token} $A {token}:1 $B:1",
            special_tokens=[(token, tokenizer.token_to_id(token))],
        )
        return processors.Sequence([*before, template]) if before else template

    return make


def llama3():
    return byte_level(
        special("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        split_words(r"\p{N}{1,3}", trim_offsets=True),
        processor=begins_with("<|begin_of_text|>", processors.ByteLevel(add_prefix_space=True, trim_offsets=False, use_regex=True)),
        ignore_merges=True,
    )


def qwen2():
    byte_steps = dict(add_prefix_space=False, trim_offsets=False, use_regex=False)
    return byte_level(
        special("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        split_words(r"\p{N}", trim_offsets=False),
        normalizer=normalizers.NFC(),
        processor=lambda _: processors.ByteLevel(**byte_steps),
        decoder=decoders.ByteLevel(**byte_steps),
        continuing_subword_prefix="",
        end_of_word_suffix="",
    )


def smollm2():
    return byte_level(
        special("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>"),
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
            ]
        ),
    )


def gpt2():
    return byte_level(
        special("<|endoftext|>", normalized=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
        processor=lambda _: processors.ByteLevel(add_prefix_space=True, trim_offsets=False, use_regex=True),
        continuing_subword_prefix="",
        end_of_word_suffix="",
    )


def sentence_piece(normalizer=None, split=None):
    """A tokenizer on characters, as SentencePiece writes them, with bytes for those that it has no token for."""
    names = ["<unk>", "<s>", "</s>"]
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    # Only some of the characters get a token, so that the others take the way through bytes.
    known = "".join(c for c in CORPUS if c.isascii() and c not in "\n\t~" or c in "今天气很好，我们的éàüößпривет🙂")
    trained.train_from_iterator(
        [known],
        trainers.BpeTrainer(
            vocab_size=SIZE, special_tokens=names + [f"<0x{b:02X}>" for b in range(256)], show_progress=False
        ),
    )
    learnt = json.loads(trained.to_str())["model"]
    tokenizer = Tokenizer(
        models.BPE(learnt["vocab"], [tuple(m) for m in learnt["merges"]], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if split is not None:
        tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_tokens(special(*names) + KINDS)
    tokenizer.post_processor = begins_with("<s>")(tokenizer)
    return tokenizer


def llama2():
    return sentence_piece(normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]))


def llama2_first():
    return sentence_piece(split=pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False))


def main():
    out = Path(sys.argv[1])
    for make in (llama3, qwen2, smollm2, gpt2, llama2, llama2_first):
        path = out / f"{make.__name__.replace('_', '-')}.json"
        path.write_text(make().to_str(pretty=False) + "\n", encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
