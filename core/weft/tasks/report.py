"""What a finished texture is worth: weight-free measures, a contact sheet and a turntable."""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.geometry.camera import Camera, frame_object
from weft.metrics import (
    chart_ids,
    chart_map,
    eroded,
    pairwise_view_psnr,
    patch_distance,
    relative_sharpness,
    rerender_psnr,
    seam_energy,
)
from weft.models.exemplar import ExemplarDenoiser
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel
from weft.spaces.mesh_texture import MeshTextureSpace
from weft.spaces.surface import Surface
from weft.tasks.edit import Edit
from weft.tasks.guide import Guide
from weft.tasks.phases import Painter
from weft.tasks.rendering import render_surface
from weft.tasks.sheet import sheet
from weft.tasks.view_plan import used_vertices

__all__ = [
    "Finished",
    "Phase",
    "StepOf",
    "contact_sheet",
    "measure",
    "texture_of",
    "textures_of",
    "turntable",
]

NEW_ANGLES = [(22.0, 12.0), (112.0, -8.0), (200.0, 25.0), (292.0, 8.0), (335.0, 45.0)]
STANDARD = 10  # views that are measured: the paper's ten, which come first
ROUND_TRIP = (0.12, 0.06, 0.03)  # noise-to-signal ratios at which a re-render is denoised again
_REPORT = 9  # noise stream of a seed
_FRAMES = 36


class StepOf(Protocol):
    """A step of a phase, as far as tasks need it."""

    @property
    def index(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def level(self) -> NoiseLevel: ...
    @property
    def z(self) -> Tensor | None: ...  # [cells, 3] in [-1, 1]; None where a step is not shown. The last one is.


class Phase(Protocol):
    """A synchronised run. Once it has ended, `estimate` are the views' own last images, [N, 3, H, W] in [-1, 1]."""

    @property
    def name(self) -> str: ...
    @property
    def space(self) -> MeshTextureSpace: ...
    @property
    def estimate(self) -> Tensor: ...
    def steps(self) -> Iterator[StepOf]: ...


@dataclass(frozen=True)
class Finished:
    """A run that has ended."""

    surface: Surface
    views: MeshTextureSpace
    phase: Phase  # the last one
    z: Tensor  # [cells, 3] in [-1, 1]
    guide: Guide
    states: tuple[tuple[float, Tensor], ...]  # (s, z) on the way
    seed: int
    edit: Edit | None = None  # what was repainted of what; None: all is new

    @cached_property
    def textures(self) -> list[np.ndarray]:
        return textures_of(self.surface, self.z)

    @cached_property
    def renders(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Unlit renders of the standard views, and the pixels that wholly show what was painted."""
        pairs = [render_surface(self.surface, self.textures, c) for c in self.views.views.cameras[:STANDARD]]
        masks = [mask for _, mask in pairs]
        if self.edit is not None:
            shown = self.edit.shown_by(self.views)[:STANDARD]
            masks = [mask & painted for mask, painted in zip(masks, shown, strict=True)]
        return [image for image, _ in pairs], masks


def textures_of(surface: Surface, z: Tensor) -> list[np.ndarray]:
    return [texture_of(surface, z, i) for i in range(len(surface.meshes))]


def texture_of(surface: Surface, z: Tensor, index: int, stride: int = 1) -> np.ndarray:
    """The texture of an object from z [cells, 3] in [-1, 1]: f4 [T, T, 3] in [0, 1], every `stride`-th texel."""
    colours = z.numpy()[surface.nearest[index, ::stride, ::stride]]
    return np.clip(colours * np.float32(0.5) + np.float32(0.5), 0, 1)


def measure(finished: Finished) -> dict[str, Any]:
    """Numbers by name, None where one cannot be measured. Higher is better for *_psnr (dB) and sharpness, 1 is ideal
    for seam_energy, 0 for patch_distance.

    `rerender_psnr` compares the baked texture with the final images of the last phase's own views (decals);
    `view_psnr` the standard views' renders with themselves, noised to where the schedule ends (s = 0.03) and denoised
    once more; of a network, with the views' own last images. `sharpness` is relative to the exemplar at the scale
    shown, `sharpness_own_resolution` to it as given; both and `patch_distance` exist only where there is an exemplar.
    """
    renders, masks = finished.renders
    own_views = _as_images(finished.phase.estimate)
    space = finished.phase.space
    own_masks = space.views.mask if finished.edit is None else finished.edit.shown_by(space)
    linear = space.linear(1.0)
    baked = _as_images(linear.views_of(linear.project(finished.z)))
    standard = finished.views.views
    cosines = list(finished.views.facing[:STANDARD])
    guide = finished.guide
    again = own_views[:STANDARD] if guide.painter is None else _round_trip(finished, guide.painter)
    cameras, depths = standard.cameras[:STANDARD], list(standard.depth[:STANDARD])
    positions = _positions(cameras, depths)
    return {
        "rerender_psnr": _measured(2, rerender_psnr, baked, own_views, list(own_masks), list(space.facing)),
        "view_psnr": _measured(2, rerender_psnr, renders, again, masks, cosines),
        "pairwise_psnr": _measured(2, pairwise_view_psnr, again, cameras, positions, depths, cosines),
        "seam_energy": _measured(3, _seam_energy, finished, False),
        "seam_energy_with_rims": _measured(3, _seam_energy, finished, True),
        "peak_memory_mb": _peak_memory(),
        "instance_views": len(space.views.cameras),
        **({} if guide.shown is None else _likeness(guide.picture, guide.shown, renders, masks)),
    }


def _likeness(
    picture: np.ndarray, shown: np.ndarray, renders: list[np.ndarray], masks: list[np.ndarray]
) -> dict[str, Any]:
    """How near the renders come to the exemplar, as given and at their scale."""
    return {
        "sharpness": _measured(3, _sharpness, renders, masks, shown),
        "sharpness_own_resolution": _measured(3, _sharpness, renders, masks, picture),
        "patch_distance": _measured(4, patch_distance, renders, [shown], masks),
    }


def _measured(digits: int, measure: Callable[..., float | None], *of: Any) -> float | None:
    """The rounded value; None where the pictures do not allow it (flat objects edge-on, exemplars of one colour)."""
    try:
        value = measure(*of)
    except InvalidInput:
        return None
    return None if value is None or not math.isfinite(value) else round(float(value), digits)


def _peak_memory() -> int:
    """Largest resident size of this process so far, MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20


def _as_images(views: Tensor) -> list[np.ndarray]:
    """[N, 3, H, W] in [-1, 1] to N images f4 [H, W, 3] in [0, 1]."""
    return list((views.permute(0, 2, 3, 1).numpy() * np.float32(0.5) + np.float32(0.5)).clip(0, 1))


def _round_trip(finished: Finished, painter: Painter) -> list[np.ndarray]:
    """The standard views' re-renders, noised a little and denoised once more: what the model would rather see."""
    images = torch.from_numpy(np.stack(finished.renders[0])).permute(0, 3, 1, 2) * 2 - 1
    mask = finished.views.views.mask[: len(images)]
    denoiser = ExemplarDenoiser(painter.exemplar(), seed=finished.seed, mask=mask)
    empty = torch.from_numpy(denoiser.exemplar.mean)[None, :, None, None]
    images = torch.where(torch.from_numpy(mask)[:, None], images, empty)
    source = generator(finished.seed, _REPORT)
    estimate = images
    for s in ROUND_TRIP:
        estimate = denoiser(images + s * gaussian(tuple(images.shape), source), NoiseLevel(1.0, s))
    return _as_images(estimate)


def _positions(cameras: Sequence[Camera], depths: Sequence[np.ndarray]) -> list[np.ndarray]:
    """World position f4 [H, W, 3] of what each pixel of each view sees."""
    found = []
    for camera, depth in zip(cameras, depths, strict=True):
        rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
        solid = np.where(np.isfinite(depth), depth, 0)
        spread = np.ones_like(solid) if camera.orthographic else solid
        right, up = (columns - camera.cx) / camera.fx * spread, -(rows - camera.cy) / camera.fy * spread
        found.append((np.stack([right, up, -solid], -1) @ camera.pose[:3, :3].T + camera.center).astype(np.float32))
    return found


def _sharpness(renders: Sequence[np.ndarray], masks: Sequence[np.ndarray], exemplar: np.ndarray) -> float:
    """`relative_sharpness` of the views that show more of the object than an edge."""
    inside = [i for i, mask in enumerate(masks) if eroded(mask, 4).any()]
    if not inside:
        raise InvalidInput("no view shows more than an edge of the object", "use larger views")
    return relative_sharpness([renders[i] for i in inside], [masks[i] for i in inside], exemplar)


def _seam_energy(finished: Finished, rims: bool) -> float:
    """Mean over the objects. `rims`: texels that face apart count too, as the two sides of a sheet do at its rim."""
    surface, first = finished.surface, 0
    energies = []
    for i, mesh in enumerate(surface.meshes):
        inside, own = surface.chart[i], surface.object == i
        position = np.full((*inside.shape, 3), np.nan, np.float32)
        position[inside] = surface.position[own]
        normal = np.zeros((*inside.shape, 3), np.float32)
        normal[inside] = surface.normal[own]
        triangle = np.full(inside.shape, -1, np.int32)
        triangle[inside] = surface.triangle[own] - first
        charts = chart_map(triangle, chart_ids(mesh))
        facing = None if rims else normal
        energies.append(seam_energy(finished.textures[i], position, charts, facing, finished.seed))
        first += len(mesh.faces)
    return float(np.mean(energies))


def contact_sheet(finished: Finished) -> np.ndarray:
    """f4 [H, W, 3]: exemplar and camera views; the texture on its way; five angles that no camera had."""
    front = finished.views.views.cameras[0]
    size = front.width
    renders = finished.renders[0]
    views = [(f"view {i}", renders[i]) for i in range(min(4, len(renders)))]
    steps = [(f"s = {s:.2f}", _seen_from(finished, z, front)) for s, z in finished.states]
    cameras = frame_object(used_vertices(finished.surface), NEW_ANGLES, size)
    new = [
        (
            f"new {azimuth:.0f}/{elevation:.0f}",
            render_surface(finished.surface, finished.textures, camera, shaded=True)[0],
        )
        for (azimuth, elevation), camera in zip(NEW_ANGLES, cameras, strict=True)
    ]
    guide = (finished.guide.title, finished.guide.picture)
    if finished.edit is not None:
        views = [("before", _seen_from(finished, finished.edit.z, front)), *views[:3]]
    return sheet([[guide, *views], [*steps, ("final", renders[0])], new])


def _seen_from(finished: Finished, z: Tensor, camera: Camera) -> np.ndarray:
    return render_surface(finished.surface, textures_of(finished.surface, z), camera, supersample=2)[0]


def turntable(finished: Finished) -> np.ndarray:
    """f4 [36, H, W, 3]: once around, shaded."""
    size = finished.views.views.cameras[0].width
    directions = [(360.0 * k / _FRAMES, 15.0) for k in range(_FRAMES)]
    cameras = frame_object(used_vertices(finished.surface), directions, size)
    frames = [render_surface(finished.surface, finished.textures, c, supersample=2, shaded=True)[0] for c in cameras]
    return np.stack(frames)
