"""Masks of files by the names of the wire."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from weft_wire.errors import WireError

__all__ = ["mask_array"]


def mask_array(path: Path | None, name: str, shape: tuple[int, ...], of: Path) -> dict[str, np.ndarray]:
    """u1 [H, W], 1 where the file is nearer to white than to black; nothing without a path. Refuses a mask that is
    not of `shape`, that of the picture `of`, and one without any white."""
    from weft.io.images import load_image

    if path is None:
        return {}
    mask = load_image(path).mean(-1) > 0.5
    if mask.shape != shape[:2]:
        rows, columns = mask.shape
        message = f"the mask '{path}' is {columns}×{rows} px, '{of.name}' is {shape[1]}×{shape[0]} px"
        raise WireError("invalid_image", message, "make it as large")
    if not mask.any():
        raise WireError("invalid_image", f"the mask '{path}' is black: it marks nothing", "paint what counts white")
    return {name: mask.astype(np.uint8)}
