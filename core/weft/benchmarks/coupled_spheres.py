"""An editor that relights by analogy alone: painted spheres under the old light and under the new one, no quotient.

Image analogies (Hertzmann et al. 2001) with the exemplar denoiser: a pixel becomes what spheres show under the new
light where they look the same under the old one and face the same way. It redraws all that it relights, so that views
differ in detail, as those of a network do: on it the ways of editing views can be told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from torch import Tensor

from weft.benchmarks.coupled_scenes import reflectances
from weft.denoiser import Denoiser, each
from weft.geometry.camera import Camera
from weft.geometry.colour import encoded
from weft.geometry.environment import Environment
from weft.models.exemplar import Exemplar, ExemplarDenoiser, ExemplarSettings
from weft.schedule import Schedule, stable_diffusion
from weft.spaces.linear import LinearSpace
from weft.spaces.view_geometry import ViewGeometry
from weft.tasks.views_editor import EmbeddedEditor

__all__ = ["SphereEditor"]

SPHERES = 2  # across and down, each painted differently
_SETTINGS = ExemplarSettings(patch=5, fine_patch=5, coarsest=2, guide_noise=0.25)
_PRIOR_GUIDE_NOISE = 1.5  # one view tells less of the others than the spheres of its own side tell of a view
_EXPONENT = 1.0  # of F: where every view draws its own detail, cells with one owner would make seams, not detail
_COLOUR = 2.0  # what a difference of colour counts beside one of normals
_WALL = 4.0  # between things and what is behind them

Picture = tuple[np.ndarray, np.ndarray]  # f4 [H, W, 3] in [0, 1] under the new light, and its guide f4 [H, W, 7]


class SphereEditor(EmbeddedEditor):
    """A `ViewEditor` of sRGB views. The old light and the new one are both known."""

    def __init__(
        self, images: np.ndarray, geometry: ViewGeometry, old: Environment, new: Environment, *, steps: int
    ) -> None:  # fmt: skip
        """images f4 [N, H, W, 3] in [0, 1] under `old`."""
        self._geometry = geometry
        self.schedule: Schedule = stable_diffusion(steps)
        self._guides = _guide(images, geometry.normal)
        self._spheres = [spheres(camera, old, new, min(images.shape[1:3]) // 2) for camera in geometry.cameras]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        views, height, width = self._geometry.shape
        return views, 3, height, width

    def editor(self, seed: int) -> Denoiser:
        """Every view by spheres seen from its own side."""
        return each([self._denoiser(one, seed + 1000 * i, [i], _SETTINGS) for i, one in enumerate(self._exemplars)])

    def prior(self, reference: int, edited: Tensor, seed: int) -> Denoiser:
        """All views alike, by what the reference view has become and by spheres seen from every other side."""
        picture = (edited.permute(1, 2, 0).numpy() / 2 + 0.5).clip(0, 1)
        known = beside([(picture, self._guides[reference]), *self._spheres[::2]])
        settings = ExemplarSettings(patch=5, fine_patch=5, coarsest=2, guide_noise=_PRIOR_GUIDE_NOISE)
        return self._denoiser(Exemplar(*known), seed + 500, range(len(self._guides)), settings)

    def agreed(self, space: LinearSpace) -> Callable[[Tensor], Tensor]:
        return lambda x0: self._space.synchronize(x0)[0]

    @cached_property
    def _exemplars(self) -> list[Exemplar]:
        return [Exemplar(*picture) for picture in self._spheres]

    @cached_property
    def _space(self) -> LinearSpace:
        return self._geometry.space(_EXPONENT)

    def images(self, x0: Tensor) -> Tensor:
        return x0.clamp(-1, 1)

    def _denoiser(
        self, exemplar: Exemplar, seed: int, views: Sequence[int], settings: ExemplarSettings
    ) -> ExemplarDenoiser:
        mask, guide = self._geometry.mask[list(views)], self._guides[list(views)]
        return ExemplarDenoiser(exemplar, settings=settings, seed=seed, mask=mask, guide=guide)


def spheres(camera: Camera, old: Environment, new: Environment, across: int) -> Picture:
    """Spheres as `camera` sees them, matt and unshadowed, under `new`, each
    `across` px wide; their guide is what they show under `old`."""
    y, x = (0.5 - (np.mgrid[:across, :across] + 0.5) / across) * 2.1
    z = np.sqrt(np.clip(1 - x * x - y * y, 0, None))
    inside = (x * x + y * y < 1)[..., None]
    normal = np.where(inside, np.stack([-x, y, z], -1) @ camera.pose[:3, :3].T, 0).astype(np.float32)
    before, after = (_sheet(normal, inside, light.irradiance(normal)) for light in (old, new))
    return after, _guide(before, np.tile(normal, (SPHERES, SPHERES, 1)))


def _sheet(normal: np.ndarray, inside: np.ndarray, shading: np.ndarray) -> np.ndarray:
    """f4 [H, W, 3] in [0, 1]: the spheres side by side."""
    paints = [reflectances(normal.reshape(-1, 3), i + 1, grain=0.0).reshape(normal.shape) for i in range(SPHERES**2)]
    tiles = [np.where(inside, encoded(paint * shading), 0.5).astype(np.float32) for paint in paints]
    return np.concatenate([np.concatenate(tiles[i : i + SPHERES], 1) for i in range(0, len(tiles), SPHERES)], 0)


def _guide(images: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """f4 [..., 7]: colours under the old light in [-1, 1], normals in the world, and the wall."""
    there = _WALL * normals.any(-1, keepdims=True)
    return np.concatenate([_COLOUR * (2 * images - 1), normals, there], -1).astype(np.float32)


def beside(pictures: Sequence[Picture]) -> Picture:
    """Pictures of any heights in one, what is missing below them empty."""
    height = max(len(image) for image, _ in pictures)

    def filled(part: np.ndarray) -> np.ndarray:
        return np.pad(part, ((0, height - len(part)), (0, 0), (0, 0)))

    images, guides = zip(*pictures, strict=True)
    joined = (np.concatenate([filled(part) for part in parts], 1) for parts in (images, guides))
    return next(joined).astype(np.float32), next(joined).astype(np.float32)
