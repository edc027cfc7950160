"""The two phases of a texture job: views, then face-on decals. Both are the same method in another space.

1. *views*, from the schedule's noise down to s ≈ 0.6: what goes where;
2. *decals*, re-noised to s = 1.6 and down to the end: structure and fine grain, face-on and at twice the views' scale.

η = 1, with noise looked up in texture space: with η = 0 every view carries what it disagreed about along in its own
noise, and the average of what is left is softer.

An *edit* (SDEdit, Meng et al. 2022) starts at a lower noise from a texture that is there, and may hold parts of it. The
old texture then says what goes where, and decals alone do the rest: views first would lose it twice, and more sharpness
with it. Only an edit from noise alone, and one without decals, goes through the views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.geometry.mesh import surface_area
from weft.methods.synchronized import Step, synchronized
from weft.models.exemplar import Exemplar, ExemplarDenoiser
from weft.noise import CanonicalNoise, generator
from weft.schedule import NoiseLevel, Schedule, from_noise_ratios, stable_diffusion
from weft.spaces.decals import build_decals
from weft.spaces.held import holding
from weft.spaces.linear import LinearSpace
from weft.spaces.mesh_texture import MeshTextureSpace
from weft.spaces.surface import Surface
from weft.tasks.edit import Edit
from weft.tasks.view_plan import pixels_per_unit

__all__ = ["Painter", "Phase", "decal_phase", "view_phase"]

VIEWS_END = 0.6  # s at which the views hand over to the decals
DECALS_BEGIN, DECALS_END = 1.6, 0.02  # s of the decals
DECAL_SHARE = 0.45  # of the steps are the decals'
DECAL_SIDE = 0.625  # of a decal, in view sides
DECAL_SCALE = 2.0  # decal pixels per view pixel, at most
DECAL_PIXELS = 500_000  # of surface seen by all decals together, at most: bounds time and memory of large scenes
MOST_DECALS = 240
TEXELS_PER_PIXEL = 1.2  # of a decal, at least: finer ones would paint what the texture cannot hold
MOST_EXEMPLAR = 1280  # pixels of an exemplar's longer side in the decals: its memory and time grow with the square
EXEMPLAR_SPAN = 0.6  # of a view's side that the exemplar's longer side covers at pattern scale 1
VIEW_EXPONENTS = (6.0, 60.0)  # of a view's weight, from the first to the last step
EXPONENT_STEPS = 5  # in which it rises
DECAL_EXPONENT = 40.0  # practically one owner a texel, with a narrow blend between owners
RESIDUAL = 1  # passes that give back what the bake smoothed
LEAST_DECAL_STEPS = 6  # of an edit, however little noise it starts from
_VIEWS, _DECALS = 1, 2  # noise streams of a seed


@dataclass(frozen=True)
class Painter:
    """What is painted, and at which scale."""

    picture: np.ndarray  # the exemplar, f4 [h, w, 3] in [0, 1]
    span: float  # view pixels that its longer side covers

    def exemplar(self, scale: float = 1.0) -> Exemplar:
        """The exemplar for images with `scale` ≤ DECAL_SCALE pixels per view pixel; of a huge one the middle."""
        kept = min(1.0, MOST_EXEMPLAR / (self.span * DECAL_SCALE))
        side = max(Exemplar.SMALLEST, round(self.span * kept * scale))
        return Exemplar(resized(_middle(self.picture, kept), side))


def _middle(picture: np.ndarray, part: float) -> np.ndarray:
    """The middle of [h, w, 3], `part` in (0, 1] of both sides."""
    height, width = (max(2, round(side * part)) for side in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def resized(picture: np.ndarray, longer_side: int) -> np.ndarray:
    """f4 [h, w, 3] with its longer side at `longer_side` pixels and no side below what an exemplar needs."""
    height, width = picture.shape[:2]
    factor = longer_side / max(height, width)
    shape = [max(Exemplar.SMALLEST, round(side * factor)) for side in (height, width)]
    planes = torch.from_numpy(np.ascontiguousarray(picture, np.float32)).permute(2, 0, 1)[None]
    scaled = functional.interpolate(planes, size=shape, mode="bilinear", antialias=True, align_corners=False)
    return scaled[0].permute(1, 2, 0).contiguous().numpy()


@dataclass
class Phase:
    """A synchronised run that has not begun. Iterating `steps` runs it; `estimate` is the last x0 of the views before
    they were synchronised, [N, 3, H, W]."""

    name: str
    space: MeshTextureSpace
    denoiser: ExemplarDenoiser
    schedule: Schedule
    space_at: Callable[[float], LinearSpace]  # by progress in [0, 1]
    x: Tensor  # [N, 3, H, W] at the schedule's first level
    noise: Callable[[], Tensor]
    estimate: Tensor = field(default_factory=lambda: torch.zeros(0))

    def __len__(self) -> int:
        return len(self.schedule)

    def steps(self) -> Iterator[Step]:
        def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
            self.estimate = self.denoiser(x, level)
            return self.estimate

        return synchronized(
            denoise, self.space_at(0.0), self.schedule, self.x, eta=1.0, noise=self.noise, space_at=self.space_at
        )


def view_phase(
    painter: Painter, space: MeshTextureSpace, *, steps: int, seed: int, alone: bool, edit: Edit | None = None
) -> Phase:
    """The first phase. `alone`: no decals follow, so the views are denoised to the end."""
    schedule = stable_diffusion(steps)
    if not alone:
        ends = [level.s for level in stable_diffusion(max(2, round(steps * (1 - DECAL_SHARE)) + 6)).levels]
        kept = [s for s in ends if s >= VIEWS_END]
        schedule = from_noise_ratios([*kept, VIEWS_END]).until(VIEWS_END) if kept[-1] > VIEWS_END else schedule
    clean = None
    if edit is not None and not edit.from_noise:
        schedule, clean = _begun_at(schedule, edit.begin), edit.z
    return _phase("views", painter.exemplar(), space, schedule, _sharpening(space), clean, edit, (seed, _VIEWS), seed)


def _sharpening(space: MeshTextureSpace) -> Callable[[float], LinearSpace]:
    """The spaces of a phase by its progress in [0, 1], their exponents rising in a few steps: building one costs more
    than passing through it."""
    first, last = VIEW_EXPONENTS
    linear = lru_cache(maxsize=1)(space.linear)
    return lambda progress: linear(first + (last - first) * round(progress * EXPONENT_STEPS) / EXPONENT_STEPS)


def decal_phase(
    painter: Painter,
    surface: Surface,
    views: MeshTextureSpace,
    z: Tensor,
    *,
    steps: int,
    seed: int,
    edit: Edit | None = None,
) -> Phase:
    """The second phase, from the views' texture z [cells, 3], or from an edit's own."""
    size = views.views.shape[1]
    density = pixels_per_unit(views)
    scale = decal_scale(surface, density, 1.0 if edit is None else float(edit.cells.mean()))
    space = build_decals(
        surface,
        size=max(16, round(DECAL_SIDE * size / 16) * 16),
        pixels_per_unit=density * scale,
        most=MOST_DECALS,
        random=np.random.default_rng([seed, _DECALS]),
        wanted=None if edit is None else edit.cells,
    )
    # Finer pixels need more noise each for the same in the world.
    begin = DECALS_BEGIN if edit is None or edit.from_noise else edit.begin * scale
    linear = space.linear(DECAL_EXPONENT, taps=4, residual_passes=RESIDUAL)
    return _phase(
        "decals", painter.exemplar(scale), space, _decal_schedule(steps, begin), lambda _: linear, z, edit,
        (seed, _DECALS), seed + 1,
    )  # fmt: skip


def _decal_schedule(steps: int, begin: float) -> Schedule:
    """`steps` · DECAL_SHARE even ratios from DECALS_BEGIN to DECALS_END; from elsewhere at the same spacing."""
    count = max(2, round(steps * DECAL_SHARE))
    if begin != DECALS_BEGIN:
        part = np.log(begin / DECALS_END) / np.log(DECALS_BEGIN / DECALS_END)
        count = max(min(count, LEAST_DECAL_STEPS), round(count * part))
    return from_noise_ratios(np.geomspace(begin, min(DECALS_END, begin / 2), count))


def _begun_at(schedule: Schedule, s: float) -> Schedule:
    """The part of a variance-preserving schedule below `s`, from exactly there."""
    below = np.array([level.s < s for level in schedule.levels])
    alpha = 1 / np.sqrt(1 + s**2)
    return Schedule(np.append(alpha, schedule.alphas[below]), np.append(s * alpha, schedule.sigmas[below]))


def _phase(
    name: str,
    exemplar: Exemplar,
    space: MeshTextureSpace,
    schedule: Schedule,
    space_at: Callable[[float], LinearSpace],
    clean: Tensor | None,  # [cells, 3], what is noised to begin with; None: noise alone
    edit: Edit | None,
    noise_stream: tuple[int, int],
    seed: int,  # of the denoiser
) -> Phase:
    denoiser = ExemplarDenoiser(exemplar, seed=seed, mask=space.views.mask if edit is None else edit.reached_by(space))
    noise = _texture_noise(space, generator(*noise_stream))
    level = schedule.levels[0]
    x = level.sigma * noise()
    if clean is not None:
        linear = space_at(0.0)
        empty = torch.from_numpy(exemplar.mean)[None, :, None, None]
        shown = torch.where(torch.from_numpy(space.views.mask)[:, None], linear.views_of(linear.project(clean)), empty)
        x += level.alpha * shown
    if edit is not None and edit.is_partial:

        def held_at(progress: float) -> LinearSpace:
            return holding(space_at(progress), ~edit.cells, edit.z)

        return Phase(name, space, denoiser, schedule, held_at, x, noise)
    return Phase(name, space, denoiser, schedule, space_at, x, noise)


def decal_scale(surface: Surface, density: float, share: float = 1.0) -> float:
    """Decal pixels per view pixel: as fine as the texture can hold and as the pixel budget allows, at least 1.
    `share` of the surface, in (0, 1], is to be seen."""
    area = sum(surface_area(mesh) for mesh in surface.meshes)
    texels = np.sqrt(surface.cells / area)  # per world unit
    affordable = np.sqrt(DECAL_PIXELS / (area * share))
    return float(max(1.0, min(DECAL_SCALE, texels / TEXELS_PER_PIXEL / density, affordable / density)))


def _texture_noise(space: MeshTextureSpace, source: torch.Generator) -> Callable[[], Tensor]:
    """Draws of one noise field over the texture, looked up by every view."""
    index = space.linear(1.0).nearest
    canonical = CanonicalNoise(index, space.surface.cells, space.views.shape)
    return lambda: canonical(3, source)
