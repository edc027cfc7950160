"""Tokenizers with small vocabularies, saved with the files that publishers give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from practice_weights import write_json
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer
from transformers.models.t5.tokenization_t5 import T5Tokenizer

__all__ = ["CLIP_VOCABULARY", "QWEN_VOCABULARY", "T5_VOCABULARY", "clip_tokenizer", "qwen_tokenizer", "t5_tokenizer"]

TEXT = "a of the view front back side top left right photo wood stone gold moss bunny brick red blue make it"
WORDS = TEXT.split()
CLIP_VOCABULARY = QWEN_VOCABULARY = 768  # the sizes of the embeddings; the vocabularies are a little smaller
T5_VOCABULARY = 384


def clip_tokenizer(folder: Path, pad: str = "<|endoftext|>") -> None:
    """77 tokens; the end has the highest number, as in the published vocabulary (the text encoder looks for it)."""
    letters = _letters()
    merges, words = _merges("</w>")
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *words, "<|startoftext|>", "<|endoftext|>"]
    write_json(folder / "vocab.json", {token: index for index, token in enumerate(tokens)})
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(f"{a} {b}" for a, b in merges)]) + "\n", "utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    write_json(folder / "special_tokens_map.json", {**special, "pad_token": pad})
    write_json(
        folder / "tokenizer_config.json",
        {**special, "pad_token": pad, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"},
    )


def t5_tokenizer(folder: Path) -> None:
    """Words and single letters, 100 extra tokens."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(f"▁{word}", -1.0) for word in WORDS if len(word) > 1]
    pieces += [(chr(code), -4.0) for code in range(33, 127)]
    pieces += [(f"<extra_id_{number}>", 0.0) for number in range(99, -1, -1)]
    T5Tokenizer(vocab=pieces, model_max_length=512).save_pretrained(folder)


CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


def qwen_tokenizer(folder: Path) -> None:
    """Bytes and words, with marks for the turns of a talk and a template that uses them."""
    merges, words = _merges("")
    joined: Any = merges  # pairs, though the signature says texts
    tokens = [*_letters(), *words]
    tokenizer = Qwen2Tokenizer(
        vocab={token: index for index, token in enumerate(tokens)}, merges=joined, model_max_length=512
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>", "<think>", "</think>"]})
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)


def _letters() -> Sequence[str]:
    """The 256 printable characters that stand for bytes in byte-level vocabularies (GPT-2), "!" first."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [*map(chr, plain), *(chr(256 + index) for index in range(256 - len(plain)))]


def _merges(end: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Pairs to be joined, in this order, so that the words become one token each; and what they make."""
    pairs: dict[tuple[str, str], str] = {}
    for word in WORDS:
        parts = [*word[:-1], word[-1] + end]
        for index in range(1, len(parts)):
            pair = ("".join(parts[:index]), parts[index])
            pairs[pair] = "".join(pair)
    return list(pairs), list(dict.fromkeys(pairs.values()))
