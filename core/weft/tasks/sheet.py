"""Contact sheets: rows of labelled pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageOps

__all__ = ["sheet"]

TILE = 288
_LABEL = 20  # pixels above a picture
_LONGEST = 44  # letters of a label that fit over a tile


def sheet(rows: Sequence[Sequence[tuple[str, np.ndarray]]]) -> np.ndarray:
    """f4 [H, W, 3] of rows of (label, image f4 [h, w, 3] in [0, 1]); white where a row is shorter than the longest."""
    longest = max(map(len, rows))
    blank = np.ones((TILE, TILE, 3), np.float32)
    return np.concatenate(
        [np.concatenate([*(_labelled(*tile) for tile in row), *[blank] * (longest - len(row))], 1) for row in rows]
    )


def _labelled(label: str, image: np.ndarray) -> np.ndarray:
    """A tile f4 [TILE, TILE, 3]: the image as large as fits, and its name."""
    whole = Image.fromarray((image.clip(0, 1) * 255 + 0.5).astype(np.uint8))
    picture = ImageOps.contain(whole, (TILE - 8, TILE - _LABEL - 4), Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (TILE, TILE), "white")
    tile.paste(picture, ((TILE - picture.width) // 2, _LABEL + (TILE - _LABEL - 4 - picture.height) // 2))
    ImageDraw.Draw(tile).text((6, 4), label[:_LONGEST], fill=(70, 70, 70))
    return np.asarray(tile, np.float32) / 255
