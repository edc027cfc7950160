"""A radiance field of planes and lines, in plain PyTorch: the readable one.

Chen et al., "TensoRF: Tensorial Radiance Fields" (ECCV 2022), the vector-matrix decomposition (Eq. 6): a field's value
at (x, y, z) is the sum over components r and the three ways to part space into a plane and a line,

    density   σ = softplus(Σ_r M_r^{xy} v_r^z + M_r^{xz} v_r^y + M_r^{yz} v_r^x + shift)
    colour    c = sigmoid(Σ_k Y_k(direction) (B a)_k),  a = all M_r · v_r of the appearance (their "SH" decoder)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.geometry.harmonics import sh_basis
from weft.scenes.grid_box import GridBox
from weft.scenes.training_rays import Rays

__all__ = ["PARAMETERS", "TensorField"]

PARAMETERS = ("density_planes", "density_lines", "color_planes", "color_lines", "basis")

_PLANES, _LINES = ((0, 1), (0, 2), (1, 2)), (2, 1, 0)  # axes of each plane, and the line across it
_COMPONENTS = (8, 24)  # of density and appearance, for each plane
_SPREAD = 0.1  # of the first random values
_SHIFT, _DENSITY = -6.0, 20.0  # of the density before its softplus; σ of softplus 1, per half of the box
_CELLS, _LEAST = 64, 0.02  # of the occupancy a side; least optical depth of a cell's length
_SHADED = 1e-4  # least weight of a sample whose colour is asked for


@dataclass(eq=False)
class TensorField:
    """The parameters are leaves that a loss has gradients by."""

    density_planes: Tensor  # f4 [3, R, N, N]
    density_lines: Tensor  # f4 [3, R, N, 1]
    color_planes: Tensor  # f4 [3, C, N, N]
    color_lines: Tensor  # f4 [3, C, N, 1]
    basis: Tensor  # f4 [3 K, 3 C], B
    box: GridBox
    background: np.ndarray  # f4 [3] sRGB
    occupied: np.ndarray  # bool [M, M, M] (z y x): where there may be something

    @classmethod
    def random(cls, size: int, degree: int, box: GridBox, background: np.ndarray, seed: int) -> TensorField:
        """Nearly nothing, nearly grey, everywhere. `degree` 0 to 3 of the harmonics."""
        generator = torch.Generator().manual_seed(seed)
        few, many = _COMPONENTS
        shapes = (3, few, size, size), (3, few, size, 1), (3, many, size, size), (3, many, size, 1)
        planes, lines, others, more = (_SPREAD * torch.randn(shape, generator=generator) for shape in shapes)
        basis = torch.randn((3 * (degree + 1) ** 2, 3 * many), generator=generator) / (3 * many) ** 0.5
        nowhere_empty = np.ones((_CELLS,) * 3, bool)
        return cls(planes, lines, others, more, basis, box, background.astype(np.float32), nowhere_empty)

    @property
    def size(self) -> int:
        """Vertices a side."""
        return self.density_planes.shape[-1]

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in PARAMETERS}

    def look(self, rays: Rays, jitter: np.ndarray | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Image [R, 3], opacity [R] and distance [R] (Σ T α t); `jitter` [R] in [0, 1) is where in its intervals a ray
        looks, the middles by default."""
        edges, spans = self.box.edges(self.size), self.box.spans(rays)
        lengths = torch.from_numpy(np.diff(edges).astype(np.float32))
        within = (np.full(len(rays), 0.5) if jitter is None else jitter)[:, None] * np.diff(edges)
        t = torch.from_numpy((spans[:, :1] + edges[:-1] + within).astype(np.float32))  # [R, S]
        origins, directions = torch.from_numpy(rays.origins), torch.from_numpy(rays.directions)
        at = self._placed(origins[:, None] + t[..., None] * directions[:, None])
        inside = (at.abs().amax(-1) < 1) & (t <= torch.from_numpy(spans[:, 1:].astype(np.float32)))
        cells = ((at[inside] + 1) / 2 * _CELLS).long().clamp(max=_CELLS - 1)  # what is just below 1 may round
        inside[inside.clone()] = torch.from_numpy(self.occupied)[cells[:, 2], cells[:, 1], cells[:, 0]]
        density = torch.zeros_like(t).masked_scatter(inside, self.density_at(at[inside]))
        # α and T of Mildenhall et al. 2020, Eq. 3.
        depth = density * lengths
        through = torch.exp(-functional.pad(depth.cumsum(1), (1, 0)))  # T, from before the first sample on
        weights = through[:, :-1] - through[:, 1:]  # T α
        shaded = weights.detach() > _SHADED
        color = torch.zeros(*t.shape, 3)
        color[shaded] = self.color_at(at[shaded], directions[:, None].expand(*t.shape, 3)[shaded])
        image = (weights[..., None] * color).sum(1) + through[:, -1:] * torch.from_numpy(self.background)
        return image, 1 - through[:, -1], (weights * t).sum(1)

    def density_at(self, at: Tensor) -> Tensor:
        """σ [P] per scene unit at places [P, 3] of the grid, in [-1, 1] (x y z)."""
        parts = _products(self.density_planes, self.density_lines, at)
        return functional.softplus(parts.sum(0) + _SHIFT) * (_DENSITY / self.box.half)

    def color_at(self, at: Tensor, directions: Tensor) -> Tensor:
        """sRGB [P, 3] at places [P, 3], seen along unit `directions` [P, 3]."""
        parts = _products(self.color_planes, self.color_lines, at)
        bands = len(self.basis) // 3
        sh = (self.basis @ parts).reshape(3, bands, len(at))
        degree = round(bands**0.5) - 1
        basis = torch.from_numpy(sh_basis(directions.numpy(), degree).astype(np.float32))
        return torch.sigmoid((sh * basis.T).sum(1)).T

    def _placed(self, points: Tensor) -> Tensor:
        """Points [..., 3] of the scene's frame in the grid, inside of [-1, 1]."""
        middle, half = torch.from_numpy(self.box.extent)
        at = (points - middle) / half
        if not self.box.contracted:
            return at
        far = at.abs().amax(-1, keepdim=True).clamp(min=1)
        return at * (2 - 1 / far) / far / 2

    @torch.no_grad()
    def survey(self) -> None:
        """Look where there is something; only there, and next to it, rays look from now on."""
        side = (torch.arange(2 * _CELLS) + 0.5) / _CELLS - 1  # twice a cell along each axis
        planes = []
        for z in side:
            y, x = torch.meshgrid(side, side, indexing="ij")
            planes.append(self.density_at(torch.stack([x, y, z.expand_as(x)], -1).reshape(-1, 3)).reshape(x.shape))
        optical = torch.stack(planes) * (2 * self.box.half / _CELLS)
        near = functional.max_pool3d(optical[None, None], 6, 2, 2)[0, 0]  # a cell, and half of its neighbours
        self.occupied = (near > min(_LEAST, float(near.max()) / 2)).numpy()  # in the first steps all is thin

    @torch.no_grad()
    def resized(self, size: int) -> TensorField:
        """The same field on grids of `size`, in a box drawn closer around what is occupied."""
        box = self.box.drawn_closer(self.occupied)
        (middle, half), (old_middle, old_half) = box.extent, self.box.extent
        ends = torch.from_numpy(np.stack([middle - half, middle + half]) - old_middle) / torch.from_numpy(old_half)
        places = torch.lerp(ends[0], ends[1], torch.linspace(0, 1, size)[:, None]).T  # [3, size], of the old grid

        def read(planes: Tensor, lines: Tensor) -> tuple[Tensor, Tensor]:
            across = [torch.stack(torch.meshgrid(places[a], places[b], indexing="xy"), -1) for a, b in _PLANES]
            along = [torch.stack([torch.zeros(size), places[a]], -1)[:, None] for a in _LINES]
            return _read(planes, torch.stack(across)), _read(lines, torch.stack(along))

        density, color = read(self.density_planes, self.density_lines), read(self.color_planes, self.color_lines)
        field = replace(
            self,
            density_planes=density[0],
            density_lines=density[1],
            color_planes=color[0],
            color_lines=color[1],
            box=box,
        )
        field.survey()
        return field


def _products(planes: Tensor, lines: Tensor, at: Tensor) -> Tensor:
    """M_r · v_r of every component [3 R, P] at places [P, 3]."""
    across = torch.stack([at[:, axes] for axes in _PLANES])[:, :, None]
    along = torch.stack([functional.pad(at[:, axis, None], (1, 0)) for axis in _LINES])[:, :, None]
    return (_read(planes, across) * _read(lines, along)).flatten(0, 1)[..., 0]


def _read(grids: Tensor, places: Tensor) -> Tensor:
    """Grids [3, R, H, W] read bilinearly at places [3, h, w, 2]: [3, R, h, w]."""
    return functional.grid_sample(grids, places, align_corners=True)
