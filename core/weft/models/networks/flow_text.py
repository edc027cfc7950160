"""Words as flow transformers take them.

| network            | encoders           | hidden states                                         | pooled           |
|---|---|---|---|
| Stable Diffusion 3 | CLIP-L, CLIP-G, T5 | the CLIPs' last but one, side by side, then T5's last | both projections |
| FLUX.2 klein       | Qwen3              | three of its layers side by side, of a turn in a talk | none             |

Stable Diffusion 3 was trained to do without T5 (Esser et al. 2024): zeros stand for it where it is not
there. Negative words are encoded like others, "" too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from weft.models.networks.components import Components
from weft.models.networks.text import Text, Words, beyond

__all__ = ["KleinText", "StableDiffusion3Text"]

_T5_TOKENS = 256
_QWEN_TOKENS = 512
_QWEN_LAYERS = (9, 18, 27)  # of 36; the word embeddings count as layer 0


class _FlowText(Text):
    kept = 16  # prompts of some MB each

    def __init__(self, components: Components) -> None:
        super().__init__(components.tokenizers, components.text_encoders, components.device, components.dtype)

    def encode_negative(self, prompt: str) -> Words:
        return self.encode(prompt)


class StableDiffusion3Text(_FlowText):
    """77 tokens of the CLIPs, then 256 of T5: hidden [333, C], pooled [P]."""

    def __init__(self, components: Components) -> None:
        super().__init__(components)
        network: Any = components.network
        self._width = int(network.config.joint_attention_dim)

    def cut(self, prompt: str) -> str:
        """The end that no encoder reads: T5 reads three times as much as the CLIPs."""
        if len(self._pairs) < 3:
            return super().cut(prompt)
        tokenizer, _ = self._pairs[2]
        return beyond(tokenizer, prompt, _T5_TOKENS - tokenizer.num_special_tokens_to_add())

    @torch.no_grad()
    def _encode(self, prompt: str) -> Words:
        outputs = [
            encoder(_ids(tokenizer, prompt, tokenizer.model_max_length).to(self._device), output_hidden_states=True)
            for tokenizer, encoder in self._pairs[:2]
        ]
        clip = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        clip = functional.pad(clip, (0, self._width - clip.shape[-1]))
        hidden = torch.cat([clip, self._long(prompt, clip)], dim=1)[0]
        pooled = torch.cat([output.text_embeds for output in outputs], dim=-1)[0]
        return Words(hidden.to(self._dtype), pooled.to(self._dtype))

    def _long(self, prompt: str, like: Tensor) -> Tensor:
        """[1, 256, C] of T5."""
        if len(self._pairs) < 3:
            return like.new_zeros(1, _T5_TOKENS, self._width)
        tokenizer, encoder = self._pairs[2]
        return encoder(_ids(tokenizer, prompt, _T5_TOKENS).to(self._device))[0]


class KleinText(_FlowText):
    """512 tokens of a talk in which the prompt is what the user says: hidden [512, 3 C]."""

    def cut(self, prompt: str) -> str:
        tokenizer, _ = self._pairs[0]
        return beyond(tokenizer, prompt, _QWEN_TOKENS - len(tokenizer(_talk(tokenizer, ""))["input_ids"]))

    @torch.no_grad()
    def _encode(self, prompt: str) -> Words:
        tokenizer, encoder = self._pairs[0]
        read: Any = encoder.model  # without the last layer, which would guess the next word
        tokens = tokenizer(
            _talk(tokenizer, prompt),
            padding="max_length",
            max_length=_QWEN_TOKENS,
            truncation=True,
            return_tensors="pt",
        ).to(self._device)
        states: Sequence[Tensor] = read(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            output_hidden_states=True,
            use_cache=False,
        ).hidden_states
        return Words(torch.cat([states[layer] for layer in _QWEN_LAYERS], dim=-1)[0].to(self._dtype), None)


def _ids(tokenizer: Any, prompt: str, length: int) -> Tensor:
    """i8 [1, length]."""
    return tokenizer(prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids


def _talk(tokenizer: Any, prompt: str) -> str:
    """The prompt as a turn of the user, and the beginning of an answer without thinking aloud."""
    turns = [{"role": "user", "content": prompt}]
    return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, enable_thinking=False)
