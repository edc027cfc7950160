"""An exemplar image prepared for matching: per level, every patch in a low-dimensional appearance space.

Patches are compared in the span of their leading principal components (Lefebvre & Hoppe 2006, "Appearance-space texture
synthesis"). What is dropped of a noisy query is orthogonal to every exemplar patch and cancels in the posterior.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from weft.errors import InvalidImage

__all__ = ["Exemplar", "Level", "coarse_cells"]


class Exemplar:
    """An image prepared for matching: box-filtered at every offset and projected to principal components, per level.

    `image` f4 [H, W, 3], sRGB in [0, 1]; `guide` f4 [H, W, G] or None, any range. Levels are prepared when first used.
    Raises InvalidImage if a side is shorter than 24 pixels or a value is not finite.
    """

    SMALLEST = 24

    def __init__(self, image: np.ndarray, guide: np.ndarray | None = None) -> None:
        if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < self.SMALLEST:
            raise InvalidImage(
                f"the exemplar has shape {tuple(image.shape)}, expected at least {self.SMALLEST} x {self.SMALLEST} x 3",
                "give a larger RGB picture",
            )
        if not np.isfinite(image).all():
            raise InvalidImage("the exemplar holds NaN or infinite values", "re-export it as an ordinary PNG or JPEG")
        self.image = np.ascontiguousarray(image, np.float32) * np.float32(2) - np.float32(1)
        self.guide = None if guide is None else np.ascontiguousarray(guide, np.float32)
        self.mean = self.image.mean((0, 1))
        self._levels: dict[tuple[int, int, int], Level] = {}
        self._boxed: dict[int, np.ndarray] = {1: self.image}

    @property
    def side(self) -> int:
        return min(self.image.shape[:2])

    def boxed(self, d: int) -> np.ndarray:
        """f4 [H - d + 1, W - d + 1, 3]: the mean of d x d pixels at every offset, addressed by their first corner."""
        if d not in self._boxed:
            planes = functional.avg_pool2d(torch.from_numpy(self.image).permute(2, 0, 1)[None], d, stride=1)
            self._boxed[d] = np.ascontiguousarray(planes[0].permute(1, 2, 0).numpy())
        return self._boxed[d]

    def level(self, d: int, patch: int, components: int) -> Level:
        key = (d, patch, components)
        if key not in self._levels:
            self._levels[key] = Level(self.image, self.guide, d, patch, components)
        return self._levels[key]


class Level:
    """Features of every patch of `patch` x `patch` cells of d x d pixels; [rows, columns, k], corner-addressed."""

    def __init__(self, image: np.ndarray, guide: np.ndarray | None, d: int, patch: int, components: int) -> None:
        self.d, self.patch = d, patch
        self.basis, self.features = self._project(image, components)
        self.guide_basis, self.guide_features = (None, None) if guide is None else self._project(guide, components // 2)
        self.rows, self.columns = self.features.shape[:2]

    def _project(self, image: np.ndarray, components: int) -> tuple[torch.Tensor, np.ndarray]:
        planes = torch.from_numpy(image).permute(2, 0, 1)[None]
        boxed = functional.avg_pool2d(planes, self.d, stride=1) if self.d > 1 else planes
        basis = _principal_components(boxed, self.patch, self.d, components)
        features = functional.conv2d(boxed, basis, dilation=self.d)[0].permute(1, 2, 0)
        return basis, np.ascontiguousarray(features.numpy())

    def queries(
        self, images: torch.Tensor, stride: int, guide_scale: float, guide: torch.Tensor | None
    ) -> torch.Tensor:
        """images [N, 3, H, W] -> features [N, h, w, k] of every patch on a grid of `stride` coarse pixels."""
        features = functional.conv2d(coarse_cells(images, self.d, self.patch, stride), self.basis, stride=stride)
        if guide is not None and self.guide_basis is not None:
            guided = functional.conv2d(coarse_cells(guide, self.d, self.patch, stride), self.guide_basis, stride=stride)
            features = torch.cat([features, guided * guide_scale], 1)
        return features.permute(0, 2, 3, 1).contiguous()

    def targets(self, guide_scale: float) -> np.ndarray:
        if self.guide_features is None:
            return self.features
        return np.concatenate([self.features, self.guide_features * np.float32(guide_scale)], -1)


def coarse_cells(planes: torch.Tensor, d: int, patch: int, stride: int) -> torch.Tensor:
    """Cells of d x d pixels, the last row and column repeated until queries `stride` apart reach the border."""
    coarse = functional.avg_pool2d(planes, d) if d > 1 else planes
    down, right = -(coarse.shape[2] - patch) % stride, -(coarse.shape[3] - patch) % stride
    return functional.pad(coarse, (0, right, 0, down), mode="replicate") if down or right else coarse


def _principal_components(planes: torch.Tensor, patch: int, dilation: int, components: int) -> torch.Tensor:
    """Leading components of the patches of planes [1, C, H, W] as convolution weights [k, C, patch, patch]."""
    channels = planes.shape[1]
    reach = dilation * (patch - 1)
    rows, columns = planes.shape[2] - reach, planes.shape[3] - reach
    step = max(1, int(math.sqrt(rows * columns / 3000)))
    cells = dilation * torch.arange(patch)
    y = torch.arange(0, rows, step)[:, None, None, None] + cells[:, None]
    x = torch.arange(0, columns, step)[:, None, None] + cells
    samples = planes[0][:, y, x].permute(1, 2, 0, 3, 4).reshape(-1, channels * patch * patch).double()
    samples = samples - samples.mean(0)
    _, vectors = torch.linalg.eigh(samples.T @ samples)
    leading = vectors[:, -min(components, vectors.shape[1]) :].flip(1).T
    return leading.reshape(-1, channels, patch, patch).float().contiguous()
