"""Words as the U-Nets of Stable Diffusion take them: hidden states of one CLIP text encoder, or of two (SDXL).

| encoders | hidden states                                   | pooled                    | no negative words |
|---|---|---|---|
| one      | the last layer's, normalised                    | none                      | those of ""       |
| two      | the last but one of each, side by side          | the second's projection   | zeros             |
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Text", "Words", "beyond"]


@dataclass(frozen=True, slots=True)
class Words:
    """One prompt, encoded."""

    hidden: Tensor  # [tokens, C]
    pooled: Tensor | None  # [P], of two encoders


class Text:
    """Encodes prompts, each once."""

    kept = 64  # prompts whose embeddings are kept: some 20 MB

    def __init__(
        self,
        tokenizers: Sequence[Any],
        encoders: Sequence[torch.nn.Module],
        device: torch.device,
        dtype: torch.dtype,  # of the network that reads the words
    ) -> None:
        self._pairs = tuple(zip(tokenizers, encoders, strict=True))
        self._device, self._dtype = device, dtype
        self._encoded: OrderedDict[str, Words] = OrderedDict()

    def encode(self, prompt: str) -> Words:
        """The embedding of a prompt; what is beyond the encoders' tokens is cut.

        Prompts are encoded one by one, never in batches: which others a job has must not change their bits.
        """
        if prompt not in self._encoded:
            self._encoded[prompt] = self._encode(prompt)
        self._encoded.move_to_end(prompt)
        if len(self._encoded) > self.kept:
            self._encoded.popitem(last=False)
        return self._encoded[prompt]

    def encode_negative(self, prompt: str) -> Words:
        """The embedding of what should not be shown; see the table for ""."""
        words = self.encode(prompt)
        if prompt or words.pooled is None:
            return words
        return Words(torch.zeros_like(words.hidden), torch.zeros_like(words.pooled))

    def cut(self, prompt: str) -> str:
        """The end of the prompt that no encoder, or not every one, reads; "" where all of it is read."""
        return max((beyond(tokenizer, prompt) for tokenizer, _ in self._pairs), key=len, default="")

    @torch.no_grad()
    def _encode(self, prompt: str) -> Words:
        hidden, pooled = [], None
        for tokenizer, encoder in self._pairs:
            tokens = tokenizer(
                prompt,
                padding="max_length",
                max_length=tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            )
            ids = tokens.input_ids.to(self._device)
            if len(self._pairs) == 1:
                hidden.append(encoder(ids).last_hidden_state)
            else:
                output = encoder(ids, output_hidden_states=True)
                hidden.append(output.hidden_states[-2])
                pooled = output.text_embeds[0].to(self._dtype) if "text_embeds" in output else pooled
        return Words(torch.cat(hidden, dim=-1)[0].to(self._dtype), pooled)


def beyond(tokenizer: Any, prompt: str, room: int | None = None) -> str:
    """What of the prompt one tokenizer cuts: from the first word that does not fit as a whole. `room`: tokens that are
    read; all that the tokenizer's own marks leave by default."""
    if room is None:
        room = int(tokenizer.model_max_length) - int(tokenizer.num_special_tokens_to_add())
    # Without truncation on purpose; `verbose` would log that the sequence is too long for the encoder.
    tokens = tokenizer(prompt, add_special_tokens=False, verbose=False, return_offsets_mapping=tokenizer.is_fast)
    if len(tokens["input_ids"]) <= room:
        return ""
    if tokenizer.is_fast:
        return prompt[prompt.rfind(" ", 0, tokens["offset_mapping"][room][0]) + 1 :]
    return tokenizer.decode(tokens["input_ids"][room:])
