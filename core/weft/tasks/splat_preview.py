"""Colours of splats as a preview: a picture in whose pixels they follow one another."""

from __future__ import annotations

import numpy as np

__all__ = ["PREVIEW_WIDTH", "in_rows"]

PREVIEW_WIDTH = 1024  # splats in a row of a preview


def in_rows(colors: np.ndarray) -> np.ndarray:
    """The colours [N, 3], sRGB in [0, 1], as f4 [rows, 1024, 3], the last row filled up with white."""
    rows = -(-len(colors) // PREVIEW_WIDTH)
    padded = np.ones((rows * PREVIEW_WIDTH, 3), np.float32)
    padded[: len(colors)] = colors
    return padded.reshape(rows, PREVIEW_WIDTH, 3)
