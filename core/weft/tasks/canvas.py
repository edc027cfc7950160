"""Textures that are to be changed in place: which of their texels may change, and the way to cells and back.

Textures may have any size and differ in it; the cells of a job form one square grid per object, as fine as the largest
of them. Where both are the same, nothing is resampled. Texels that may not change are copied, never computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.geometry.mesh import Mesh
from weft.geometry.rasterize import rasterize_uv
from weft.spaces.surface import Surface, build_surface
from weft.tasks.painting import preview_stride
from weft.tasks.report import texture_of

__all__ = ["Canvas", "build_canvas"]

LARGEST = 4096  # side of the grid of cells, at most
_GUTTER = 1 / 64  # of the texture's side: so far beyond a chart its colours are continued, for renderers that blur


@dataclass(frozen=True, eq=False)
class Canvas:
    """Textures with their surface. Build with `build_canvas`."""

    surface: Surface
    textures: tuple[np.ndarray, ...]  # f4 [H, W, 3] in [0, 1], as given
    masks: tuple[np.ndarray, ...]  # bool [H, W], texels that may change

    def cells(self) -> np.ndarray:
        """bool [cells]: those that may change."""
        size, chart = self.surface.size, self.surface.chart
        return np.concatenate([nearest(mask, (size, size))[chart[i]] for i, mask in enumerate(self.masks)])

    def z(self) -> Tensor:
        """The textures as cells, [cells, 3] in [-1, 1]."""
        size, chart = self.surface.size, self.surface.chart
        colours = [fitted(texture, (size, size))[chart[i]] for i, texture in enumerate(self.textures)]
        return torch.from_numpy(np.concatenate(colours)) * 2 - 1

    def image(self, z: Tensor, index: int) -> np.ndarray:
        """The texture of an object f4 [H, W, 3], with z [cells, 3] where it may change and as it was elsewhere."""
        return self._image(z, index, 1)

    def preview(self, z: Tensor, index: int) -> np.ndarray:
        """The same, every n-th texel of it."""
        return self._image(z, index, preview_stride(max(self.masks[index].shape)))

    def _image(self, z: Tensor, index: int, stride: int) -> np.ndarray:
        mask = self.masks[index][::stride, ::stride]
        result = self.textures[index][::stride, ::stride].copy()
        if self.masks[index].shape == self.surface.chart[index].shape:
            painted = texture_of(self.surface, z, index, stride)
        else:
            painted = fitted(texture_of(self.surface, z, index), self.masks[index].shape)[::stride, ::stride]
        result[mask] = painted[mask]
        return result

    def kept(self) -> float:
        """Fraction of all texels that may not change."""
        return 1 - sum(int(mask.sum()) for mask in self.masks) / sum(mask.size for mask in self.masks)


def build_canvas(
    meshes: Sequence[Mesh],
    textures: Sequence[np.ndarray],
    masks: Sequence[np.ndarray | None],
    selections: Sequence[np.ndarray | None],
) -> Canvas:
    """A texel may change if its mask is above 0 and a selected face (with the gutter beside it) covers it.

    A mask counts texel by texel and gutters too; without one every texel that is on or near a chart may change.
    """
    size = min(LARGEST, max(max(texture.shape[:2]) for texture in textures))
    surface = build_surface(meshes, size)
    allowed = []
    for i, (texture, mask, selection) in enumerate(zip(textures, masks, selections, strict=True)):
        where = np.ones(texture.shape[:2], bool) if mask is None else mask > 0
        if selection is not None or mask is None:
            where = where & nearest(_covered(surface, i, selection), where.shape)
        allowed.append(where)
    return Canvas(surface, tuple(textures), tuple(allowed))


def _covered(surface: Surface, index: int, selection: np.ndarray | None) -> np.ndarray:
    """bool [T, T]: the charts of an object, or the texels of its selected faces, and the gutter beside them."""
    chart = own = surface.chart[index]
    if selection is not None:  # drawn alone: where UVs overlap, the surface knows only the first face of a texel
        uv = surface.corner_uv[surface.face_object == index][selection]
        own = rasterize_uv(uv, surface.size).triangle >= 0 if len(uv) else np.zeros_like(chart)
    owner = surface.nearest[index] - surface.nearest[index][chart].min()  # each texel's number among the charts'
    rows, columns = np.nonzero(chart)
    y, x = np.nonzero(~chart)
    number = owner[y, x]
    near = np.hypot(y - rows[number], x - columns[number]) <= max(2.0, _GUTTER * surface.size)
    near &= own[rows[number], columns[number]]
    covered = own.copy()
    covered[y[near], x[near]] = True
    return covered


def fitted(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """f4 [H, W, C] at another size, [*shape, C]; the image itself where the size is the same."""
    if image.shape[:2] == tuple(shape):
        return image
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    scaled = functional.interpolate(planes, size=tuple(shape), mode="bilinear", antialias=True, align_corners=False)
    return scaled[0].permute(1, 2, 0).contiguous().numpy()


def nearest(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[H, W] at another size: what lies at the middle of each texel."""
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * m / n).astype(np.int64), m - 1)
        for n, m in zip(shape, values.shape, strict=True)
    )
    return values[rows[:, None], columns]
