"""How large a network of the kind of SEVA is, read off the shapes of its weights. Needs no torch.

Stable Virtual Camera is published as weights without a configuration that programs read. What shapes do not tell is the
same in all of them: attention heads of 64 channels, normalisation in 32 groups, one transformer a stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from weft.errors import BadCheckpoint

__all__ = ["SevaSizes", "seva_sizes"]


@dataclass(frozen=True, slots=True)
class SevaSizes:
    """Those that are published are the defaults."""

    width: int = 320  # channels of the first level
    multipliers: tuple[int, ...] = (1, 2, 4, 4)  # of the width, level by level
    blocks: int = 2  # a level
    attended: tuple[bool, ...] = (True, True, True, False)  # levels whose blocks have transformers
    context: int = 1024  # channels of the pictures' embedding
    inputs: int = 11  # channels: noisy latents, whether the view is known, rays
    outputs: int = 4  # channels of a latent
    rays: int = 6


def seva_sizes(shapes: Mapping[str, tuple[int, ...]], name: str) -> SevaSizes:
    """Raises BadCheckpoint for weights of something else; `name` is that of their file, for the message."""
    try:
        return _sizes(shapes)
    except (KeyError, IndexError, ZeroDivisionError):
        raise BadCheckpoint(f"{name} holds no network of the kind of SEVA", "fetch it again") from None


def _sizes(shapes: Mapping[str, tuple[int, ...]]) -> SevaSizes:
    width, inputs = shapes["input_blocks.0.0.weight"][:2]
    levels: list[list[tuple[int, bool]]] = [[]]  # of (channels, has a transformer), by block
    for block in range(1, 1 + max(int(key.split(".")[1]) for key in shapes if key.startswith("input_blocks."))):
        if f"input_blocks.{block}.0.op.weight" in shapes:
            levels.append([])
        else:
            channels = shapes[f"input_blocks.{block}.0.in_layers.2.weight"][0]
            levels[-1].append((channels, f"input_blocks.{block}.1.norm.weight" in shapes))
    return SevaSizes(
        width=width,
        multipliers=tuple(level[-1][0] // width for level in levels),
        blocks=len(levels[0]),
        attended=tuple(level[-1][1] for level in levels),
        context=shapes["middle_block.1.transformer_blocks.0.attn2.to_k.weight"][1],
        inputs=inputs,
        outputs=shapes["out.2.weight"][0],
        rays=shapes["middle_block.0.dense_emb_layers.0.weight"][1],
    )
