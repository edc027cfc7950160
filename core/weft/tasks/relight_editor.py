"""The embedded relighting editor: it predicts the *quotient* of new over old shading, so that detail and albedo stay.

    x = log(E_new(n) / E_old(n)) / log 16,    clipped to [-1, 1]: quotients from 1/16 to 16, per channel

is what is denoised. The exemplar shows the quotient on spheres seen from six sides, so that every normal of the world
occurs, and is guided by *world* normals: camera-space ones would say something else in every view. Whatever the mesh
itself blocks of either light is known for every pixel and multiplied afterwards:

    image = source · 16^x · (visibility under the new light / visibility under the old one), in linear light
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional

from weft.denoiser import Denoiser
from weft.errors import InvalidImage, InvalidInput
from weft.geometry.colour import encoded, linear
from weft.geometry.environment import Environment
from weft.geometry.light_fit import fit_light
from weft.geometry.shading import visibility
from weft.models.exemplar import Exemplar, ExemplarDenoiser, ExemplarSettings
from weft.schedule import Schedule, stable_diffusion
from weft.spaces.linear import LinearSpace
from weft.spaces.view_geometry import ViewGeometry
from weft.tasks.views_editor import EmbeddedEditor

__all__ = ["RANGE", "SETTINGS", "RelightEditor", "quotient_spheres"]

RANGE = float(np.log(16.0))  # of |log quotient|
SETTINGS = ExemplarSettings(
    patch=3, fine_patch=3, coarsest=1, guide_noise=0.02, occupancy=0.0, sinkhorn_iterations=0, noise_floor=0.01
)
UNIT = 16  # px, divides the sides of what the exemplar denoiser takes
_RADIUS = 40  # px, of the exemplar's spheres
_DARKEST = 1e-3  # of shading: what is fully in shadow still has a quotient
_SIDES = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], np.float64)


class RelightEditor(EmbeddedEditor):
    """A `ViewEditor`. Raises InvalidImage and InvalidInput for views that do not fit.

    images f4 [N, H, W, 3], sRGB in [0, 1]; mask bool [N, H, W], what may change. `old` None: fitted from the views; an
    even light of 1 stands for pictures that hold no light (unlit textures), whose objects do not shade themselves.
    occluders: vertices f4 [V, 3] and faces i4 [F, 3] of what casts shadows, or None.
    """

    def __init__(
        self,
        images: np.ndarray,
        geometry: ViewGeometry,
        mask: np.ndarray,
        new: Environment,
        old: Environment | None,
        *,
        steps: int,
        seed: int = 0,
        occluders: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        if images.shape != (*geometry.shape, 3) or mask.shape != geometry.shape:
            raise InvalidImage(
                f"views of {list(images.shape)} and masks of {list(mask.shape)} for geometry of {list(geometry.shape)}",
                "give all at one size",
            )
        self.mask = mask & (np.abs(geometry.normal).max(-1) > 0)
        if not self.mask.any():
            raise InvalidInput("no pixel both may change and has a known surface", "widen the masks")
        self.schedule: Schedule = stable_diffusion(steps)
        self.new, self.occluders, self.seed = new, occluders, seed
        self._source = linear(images.astype(np.float32))
        self._geometry = geometry
        self.old = old or fit_light(
            self._source[self.mask], geometry.normal[self.mask], geometry.position[self.mask], occluders, seed=seed
        )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """N, 3, and both sides rounded up to what the denoiser takes."""
        count, height, width = self.mask.shape
        return count, 3, height + -height % UNIT, width + -width % UNIT

    def editor(self, seed: int) -> Denoiser:
        """A: guided by the spheres."""
        return self._denoiser(self._spheres, seed)

    def prior(self, reference: int, edited: Tensor, seed: int) -> Denoiser:
        """A': the same, its exemplar the edited view `reference`."""
        box = _bounds(self._padded_mask[reference])
        image = (edited.permute(1, 2, 0).float().cpu().numpy() / 2 + 0.5).clip(0, 1)
        image = _spread(image, self._padded_mask[reference])
        return self._denoiser(Exemplar(image[box].astype(np.float32), self._guide[reference][box]), seed)

    def agreed(self, space: LinearSpace) -> Callable[[Tensor], Tensor]:
        """F of the quotients; what may not change stays each view's own."""
        mask = torch.from_numpy(self.mask)[:, None]

        def agree(x0: Tensor) -> Tensor:
            own = self._cropped(x0)
            together = torch.where(mask.to(x0.device), space.synchronize(own)[0], own)
            return _padded(together, x0.shape[2:])

        return agree

    def images(self, x0: Tensor) -> Tensor:
        quotient = np.exp(RANGE * self._cropped(x0).permute(0, 2, 3, 1).float().cpu().numpy())
        light = self._source * quotient * self.visibility
        seen = encoded(np.where(self.mask[..., None], light, self._source))
        return torch.from_numpy(seen * np.float32(2) - np.float32(1)).permute(0, 3, 1, 2).contiguous()

    def recoloured(self, x0: Tensor, source: np.ndarray, visibility: np.ndarray) -> np.ndarray:
        """`images` on cells: quotients x0 [M, 3], sRGB `source` f4 [M, 3] in [0, 1] and `visibility` f4 [M, 3] (see
        `visibility_at`) to sRGB f4 [M, 3] in [0, 1]."""
        return encoded(linear(source) * np.exp(RANGE * x0.float().cpu().numpy()) * visibility)

    @cached_property
    def visibility(self) -> np.ndarray:
        """f4 [N, H, W, 3]: what shadows do to the quotient; 1 outside the mask and where nothing casts any."""
        ratio = np.ones_like(self._source)
        ratio[self.mask] = self.visibility_at(self._geometry.position[self.mask], self._geometry.normal[self.mask])
        return ratio

    def visibility_at(self, positions: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """The same f4 [M, 3] at points [M, 3] with unit normals [M, 3]."""
        if self.occluders is None:
            return np.ones((len(positions), 3), np.float32)
        return self._arriving(self.new, positions, normals) / self._arriving(self.old, positions, normals)

    def _arriving(self, light: Environment, positions: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """f4 [M, 3]: shading over unhindered shading."""
        if light.even or self.occluders is None:
            return np.ones((len(positions), 3), np.float32)
        free = light.irradiance(normals) + np.float32(_DARKEST)
        seen = visibility(light, positions, normals, self.occluders)
        return (free * seen.share + self._albedo * seen.bounce + np.float32(_DARKEST)) / (free + np.float32(_DARKEST))

    @cached_property
    def _albedo(self) -> np.ndarray:
        """f4 [3], of the views on the whole; what is blocked reflects with it."""
        shade = self.old.irradiance(self._geometry.normal[self.mask]).mean(0)
        return (self._source[self.mask].mean(0) / np.maximum(shade, _DARKEST)).clip(0, 0.8).astype(np.float32)

    @cached_property
    def _spheres(self) -> Exemplar:
        normals = quotient_spheres(_RADIUS)
        return Exemplar(_logarithm(self.new, self.old, normals) / 2 + np.float32(0.5), normals)

    @cached_property
    def _padded_mask(self) -> np.ndarray:
        return np.pad(self.mask, ((0, 0), *((0, -side % UNIT) for side in self.mask.shape[1:])))

    @cached_property
    def _guide(self) -> np.ndarray:
        """f4 [N, h, w, 3]: world normals, those of the silhouette continued beyond it."""
        padded = np.pad(self._geometry.normal, ((0, 0), *((0, -s % UNIT) for s in self.mask.shape[1:]), (0, 0)))
        return np.stack([_spread(one, own) for one, own in zip(padded, self._padded_mask, strict=True)])

    def _denoiser(self, exemplar: Exemplar, seed: int) -> ExemplarDenoiser:
        return ExemplarDenoiser(exemplar, settings=SETTINGS, seed=seed, mask=self._padded_mask, guide=self._guide)

    def _cropped(self, x0: Tensor) -> Tensor:
        return x0[..., : self.mask.shape[1], : self.mask.shape[2]]


def quotient_spheres(radius: int) -> np.ndarray:
    """World normals f4 [4·radius, 6·radius, 3] of six spheres, seen from all sides; beyond a rim they are the rim's."""
    steps = (np.arange(2 * radius) + 0.5) / radius - 1
    x, y = np.meshgrid(steps, -steps)
    length = np.hypot(x, y)
    inside = np.minimum(1, 1 / length)
    x, y = x * inside, y * inside
    z = np.sqrt(np.maximum(0, 1 - x * x - y * y))
    tiles = []
    for side in _SIDES:
        up = np.array([0, 0, 1.0]) if side[2] == 0 else np.array([0, 1.0, 0])
        tiles.append(x[..., None] * np.cross(up, side) + y[..., None] * up + z[..., None] * side)
    return np.concatenate([np.concatenate(tiles[:3], 1), np.concatenate(tiles[3:], 1)]).astype(np.float32)


def _logarithm(new: Environment, old: Environment, normals: np.ndarray) -> np.ndarray:
    """x of unhindered shading, f4 [..., 3] in [-1, 1]."""
    above, below = (light.irradiance(normals) + np.float32(_DARKEST) for light in (new, old))
    return (np.log(above / below) / np.float32(RANGE)).clip(-1, 1)


def _spread(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """[H, W, C], outside `mask` [H, W] those of the nearest pixel inside; unchanged where the mask is empty."""
    if mask.all() or not mask.any():
        return values
    nearest = distance_transform_edt(~mask, return_distances=False, return_indices=True)
    assert nearest is not None
    row, column = nearest
    return values[row, column]


def _bounds(mask: np.ndarray) -> tuple[slice, slice]:
    """The box around `mask`, no smaller than an exemplar and with room for the coarsest patch."""
    least = 2 * UNIT
    box = []
    for axis in (1, 0):
        inside = np.flatnonzero(mask.any(axis))
        first, last = (inside[0], inside[-1] + 1) if len(inside) else (0, len(mask))
        length = mask.shape[1 - axis]
        spare = max(0, least - (last - first))
        first = int(max(0, min(first - spare // 2, length - least)))
        box.append(slice(first, int(max(last, first + least))))
    return box[0], box[1]


def _padded(x0: Tensor, sides: torch.Size | tuple[int, ...]) -> Tensor:
    down, right = sides[0] - x0.shape[2], sides[1] - x0.shape[3]
    return functional.pad(x0, (0, right, 0, down), mode="replicate") if down or right else x0
