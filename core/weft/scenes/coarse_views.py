"""Training views in fewer pixels: while a scene is still rough it learns as much from them, several times as fast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weft.geometry.camera import Camera

__all__ = ["halved"]


def halved(camera: Camera, image: np.ndarray, mask: np.ndarray | None) -> tuple[Camera, np.ndarray, np.ndarray | None]:
    """Means of 2 × 2 pixels of `image` [H, W, 3], seen by the camera that fits; an odd row or column is left out. A
    pixel of `mask` bool [H, W] counts where all four do."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    lens = {name: getattr(camera, name) / 2 for name in ("fx", "fy", "cx", "cy")}
    small = replace(camera, width=width, height=height, **lens)
    rows, columns = slice(0, 2 * height), slice(0, 2 * width)
    quads = image[rows, columns].reshape(height, 2, width, 2, 3)
    known = None if mask is None else mask[rows, columns].reshape(height, 2, width, 2).all((1, 3))
    return small, (quads[:, 0, :, 0] + quads[:, 0, :, 1] + quads[:, 1, :, 0] + quads[:, 1, :, 1]) / 4, known
