"""How far the patches of one set of images are from those of another: sliced Wasserstein distance.

Rabin et al. 2011, "Wasserstein barycenter and its application to texture mixing": the distance between two clouds of
points is averaged over the sorted differences along random directions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from weft.errors import InvalidInput

__all__ = ["patch_distance"]

_SIDE = 7
_PATCHES = 10_000
_DIRECTIONS = 256
_SCALES = 3  # 1, 1/2, 1/4


def patch_distance(
    images: Sequence[np.ndarray],  # f4 [H, W, 3], of any sizes
    references: Sequence[np.ndarray],
    masks: Sequence[np.ndarray] | None = None,  # bool [H, W] of `images`; patches lie wholly inside
    seed: int = 0,
) -> float:
    """Sliced Wasserstein-1 distance between 7×7 colour patches, averaged over the scales 1, 1/2 and 1/4.

    0 for equal distributions. A scale at which either side has no whole patch is left out.
    """
    rng = np.random.default_rng(seed)
    first = _Level(images, masks)
    second = _Level(references, None)
    distances = []
    for _ in range(_SCALES):
        # The same draw on both sides: equal inputs are then at distance 0 exactly.
        draw = int(rng.integers(2**31))
        a, b = (level.sample(np.random.default_rng(draw)) for level in (first, second))
        if a is not None and b is not None:
            distances.append(_sliced_distance(a, b, rng))
        first, second = first.half(), second.half()
    if not distances:
        raise InvalidInput("no 7×7 patch fits into the images or the mask", "compare larger images")
    return float(np.mean(distances))


class _Level:
    """One side of the comparison at one scale."""

    def __init__(self, images: Sequence[np.ndarray], masks: Sequence[np.ndarray] | None) -> None:
        self.images = [np.asarray(image, np.float32) for image in images]
        self.masks = [np.ones(i.shape[:2], bool) for i in images] if masks is None else [np.asarray(m) for m in masks]

    def half(self) -> _Level:
        """Averages of 2×2 pixels; a coarse pixel is inside when all four are."""
        images, masks = [], []
        for image, mask in zip(self.images, self.masks, strict=True):
            h, w = image.shape[0] // 2, image.shape[1] // 2
            images.append(image[: 2 * h, : 2 * w].reshape(h, 2, w, 2, -1).mean((1, 3)))
            masks.append(mask[: 2 * h, : 2 * w].reshape(h, 2, w, 2).all((1, 3)))
        return _Level(images, masks)

    def sample(self, rng: np.random.Generator) -> np.ndarray | None:
        """f4 [10000, 147]: patches drawn evenly from all places where one fits; None where none does."""
        windows, places = [], []
        for number, (image, mask) in enumerate(zip(self.images, self.masks, strict=True)):
            if min(image.shape[:2]) < _SIDE:
                windows.append(image)
                continue
            windows.append(np.lib.stride_tricks.sliding_window_view(image, (_SIDE, _SIDE, 3))[:, :, 0])
            fits = np.lib.stride_tricks.sliding_window_view(mask, (_SIDE, _SIDE)).all((2, 3))
            rows, columns = np.nonzero(fits)
            places.append(np.stack([np.full(len(rows), number), rows, columns], -1))
        if sum(len(p) for p in places) == 0:
            return None
        every = np.concatenate(places)
        chosen = every[rng.integers(len(every), size=_PATCHES)]
        drawn = np.empty((_PATCHES, _SIDE * _SIDE * 3), np.float32)
        for number in np.unique(chosen[:, 0]):
            mine = chosen[:, 0] == number
            drawn[mine] = windows[number][chosen[mine, 1], chosen[mine, 2]].reshape(mine.sum(), -1)
        return drawn


def _sliced_distance(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> float:
    """Mean over random unit directions of the 1-Wasserstein distance between equally many points [N, D]."""
    directions = rng.standard_normal((a.shape[1], _DIRECTIONS), dtype=np.float32)
    directions /= np.linalg.norm(directions, axis=0)
    # One row a direction: rows sort faster than columns. PyTorch's product takes a quarter of NumPy's time.
    along = torch.from_numpy(directions.T)
    first, second = (np.sort((along @ torch.from_numpy(points.T)).numpy()) for points in (a, b))
    return float(np.abs(first - second).mean())
