"""The embedded NeRF: a radiance field on a grid of voxels, trained on a processor's few cores.

After Sun et al., "Direct Voxel Grid Optimization" (CVPR 2022), and Fridovich-Keil et al., "Plenoxels" (CVPR 2022):
density and harmonics at vertices, nothing else. Photographs of a place get a grid whose outer half holds all that is
far away; an object gets a plain box around it. The grid begins coarse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.scenes.grid_box import NEAR, GridBox, box_of
from weft.scenes.scene import Rendering, TrainingViews
from weft.scenes.training_rays import TrainingRays, rays_of
from weft.scenes.voxel_field import VoxelField
from weft.scenes.voxel_update_kernels import smooth, step_down

__all__ = ["Voxels"]

_COARSE, _COARSE_STEPS = 48, 0.3  # vertices a side in the beginning, and for which share of the steps
_EMPTY = -4.0  # density in the beginning: nearly nothing, and less than what counts as occupied
_RAYS = 4096  # of a step
_WHOLE = 8192  # rays of whole pictures at a time
_RATES = (1.5, 0.2)  # of density and colour
_FALL = 0.1  # of the rates, from the first step to the last
_WARM = 10  # steps in which the rates rise
_MEMORY = 0.95  # of RMSprop
_SMOOTH = (2e-5, 2e-5)  # of density and colour; at 1e-4 detail is lost, an object's first
_USUAL = 0.1  # root mean square of the gradients by pixels for which these are meant
_SURVEYS = (64, 32)  # occupancy is measured from this step of an optimiser on, every so many steps


class Voxels:
    """See `scenes.scene.Scene`. Begin with `begin`, go on with `from_arrays`."""

    kind = "voxels"

    def __init__(self, field: VoxelField, resolution: int) -> None:
        """`resolution`: vertices a side in the end."""
        self.field = field
        self.background = field.background
        self.resolution = resolution
        self._moments = np.zeros_like(field.density), np.zeros_like(field.color)
        self._gradient = field.no_gradient()
        self._age, self._geometry, self._rate = 0, True, 1.0  # of the optimiser
        self._held: np.ndarray | None = None  # bool [N, N, N], vertices that may not change
        self._rays: TrainingRays | None = None

    @classmethod
    def begin(
        cls,
        views: TrainingViews,
        *,
        resolution: int = 128,
        degree: int = 1,
        seed: int = 0,
        bounded: bool = False,
        background: Sequence[float] = (0.5, 0.5, 0.5),
    ) -> Self:
        """An empty grid, the same for every seed. It will have `resolution`³ vertices (72: a quick look at the depth);
        harmonics have the `degree` 0 to 3. `bounded`: there is nothing but `background` (sRGB) farther from 0 than the
        pictures show there."""
        if resolution < 8:
            raise InvalidInput(f"a grid of {resolution} vertices a side, expected 8 or more", "72 to 160 are usual")
        size, box = min(_COARSE, resolution), box_of(views.cameras, bounded)
        return cls(VoxelField.empty(size, degree, _EMPTY, box, np.array(background)), resolution)

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Self:
        """What `arrays` told; the arrays may be changed afterwards."""
        names = ("density", "color", "background", "occupied")
        density, color, background, occupied = (arrays[name].copy() for name in names)
        box = GridBox(arrays["box"].copy(), bool(arrays["contracted"]))
        scene = cls(VoxelField(density, color, box, background, occupied), int(arrays["resolution"]))
        scene._moments = arrays["density_moments"].copy(), arrays["color_moments"].copy()
        scene._age, scene._geometry = int(arrays["age"]), bool(arrays["geometry"])
        scene._rate = float(arrays["rate"])
        scene._held = arrays["held"].copy() if "held" in arrays else None
        return scene

    def arrays(self) -> dict[str, np.ndarray]:
        held = {} if self._held is None else {"held": self._held}
        return held | {
            "density": self.field.density,
            "color": self.field.color,
            "box": self.field.box.extent,
            "contracted": np.array(self.field.box.contracted),
            "background": self.field.background,
            "occupied": self.field.occupied,
            "resolution": np.array(self.resolution),
            "density_moments": self._moments[0],
            "color_moments": self._moments[1],
            "age": np.array(self._age),
            "geometry": np.array(self._geometry),
            "rate": np.array(self._rate),
        }

    def render(self, camera: Camera) -> Rendering:
        rays, slope = rays_of(camera, NEAR)
        image, opacity, distance = self.field.look(rays)
        solid = opacity >= 0.5
        depth = np.where(solid, distance / np.where(solid, opacity, 1) * slope, np.float32(np.inf))
        size = camera.height, camera.width
        return Rendering(image.reshape(*size, 3), opacity.clip(0, 1).reshape(size), depth.reshape(size))

    def fit(self, views: TrainingViews, step: int, total: int, seed: int) -> float:
        self._prepare(step, total)
        if self._rays is None or not self._rays.fits(views):
            self._rays = TrainingRays(views, NEAR)
        generator = np.random.default_rng((seed, step))
        pixels, rays = self._rays.draw(_RAYS, generator)
        seen = self.field.record(rays, generator.random(_RAYS, np.float32))
        error = seen.image - views.images.reshape(-1, 3)[pixels]
        self.field.send_back(seen, 2 * error, self._gradient)
        self._step(step, total)
        return float(np.mean(error**2))

    def descend(self, cameras: Sequence[Camera], gradients: np.ndarray, step: int, total: int, seed: int) -> None:
        """Only the gradients' direction counts: a positive factor for all of them makes no difference."""
        self._prepare(step, total)
        size = float(np.sqrt(np.mean(gradients.astype(np.float64) ** 2)))
        if size == 0:
            return
        scaled = gradients * np.float32(_USUAL / size * _RAYS / gradients[..., 0].size)
        for camera, gradient in zip(cameras, scaled.reshape(len(cameras), -1, 3), strict=True):
            rays, _ = rays_of(camera, NEAR)
            for k in range(0, len(rays), _WHOLE):
                seen = self.field.record(rays[k : k + _WHOLE])
                self.field.send_back(seen, gradient[k : k + _WHOLE], self._gradient)
        self._step(step, total)

    def places(self) -> np.ndarray:
        return self.field.places()

    def restart(
        self, *, geometry: bool = True, rate: float = 1.0, trainable: np.ndarray | None = None, anchor: float = 0.0
    ) -> None:
        """Besides: grids are not anchored."""
        if anchor:
            raise InvalidInput(f"an anchor of {anchor:g} for voxels, which have none", "leave it out, or edit splats")
        if trainable is not None and trainable.shape != (self.field.size**3,):
            raise InvalidInput(f"{len(trainable)} voxels may change or not, expected {self.field.size**3}")
        for moments in self._moments:
            moments[:] = 0
        self._gradient = self.field.no_gradient()
        self._age, self._geometry, self._rate = 0, geometry, rate
        self._held = None if trainable is None else ~trainable.reshape(self.field.density.shape)

    def _prepare(self, step: int, total: int) -> None:
        """Grow, and look where something is, when it is time."""
        first, every = _SURVEYS
        growing = self._geometry and self._held is None
        if self.field.size < self.resolution and step >= _COARSE_STEPS * total and growing:
            self.field.survey()
            self.field = self.field.resized(self.resolution)
            self._moments = np.zeros_like(self.field.density), np.zeros_like(self.field.color)
            self._gradient = self.field.no_gradient()
        elif self._geometry and self._age >= first and self._age % every == 0:
            self.field.survey()

    def _step(self, step: int, total: int) -> None:
        """Move along the gradient that was gathered, and forget it."""
        size, touched = self.field.size, self._gradient.touched
        if self._held is not None:
            touched[self._held] = 0
        rate = self._rate * _FALL ** (step / total) * min(1.0, (self._age + 1) / _WARM)
        values = self.field.density[..., None], self.field.color
        gradients = self._gradient.density[..., None], self._gradient.color
        for k in range(2):
            if k == 0 and not self._geometry:
                gradients[k][:] = 0
                continue
            smooth(values[k], touched, np.float32(_SMOOTH[k]), gradients[k])
            planes = (
                one.reshape(size, size * size, -1) for one in (values[k], gradients[k], self._moments[k], touched)
            )
            step_down(*planes, np.float32(rate * _RATES[k]), np.float32(_MEMORY))
        touched[:] = 0
        self._age += 1
