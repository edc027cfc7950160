"""The two phases of a splat job: views agree through the splats about what goes where, decals paint it.

1. *views*: each view's x0 passes through the splats' colours at every step (SyncTweedies' Case 2, Kim et al. 2024),
   which come from the views that show a splat largest. Noise falls by an equal factor a step, to s = 0.5;
2. *decals*, re-noised to s = 1.6 and down to the end, among themselves (see `spaces.splat_decals`);
3. the splats' colours are fitted by weighted least squares to what every view sees of the decals.

Splats blur, and a denoiser that sees its own blurred result answers with the smoothest patches of the exemplar: on one
scan (91k splats) colours carried through all steps reached 0.29 (wood) and 0.17 (mossy stone) of the exemplar's
sharpness, fitted ones 0.41 and 0.37, for 0.5 and 3.9 decibels of consistency between views. Fitting to the decals
themselves, only face-on, leaves splats undetermined that show from elsewhere. Less damping is sharper (0.41 at 0.02)
and overshoots where splats are large.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from weft.geometry.splats import Splats
from weft.methods.synchronized import synchronized
from weft.models.exemplar import ExemplarDenoiser
from weft.noise import CanonicalNoise, gaussian, generator
from weft.schedule import NoiseLevel, from_noise_ratios
from weft.spaces.linear import LinearSpace
from weft.spaces.sparse import SparseMatrix
from weft.spaces.splat_colors import SplatColorSpace
from weft.spaces.splat_decals import SplatDecals, build_splat_decals
from weft.spaces.splat_surface import Seen, density_of, see_surface
from weft.tasks.events import Warning
from weft.tasks.guide import Guide
from weft.tasks.painting import Clock
from weft.tasks.phases import Painter
from weft.tasks.splat_report import Outcome

__all__ = ["PRUNE", "Fit", "Run", "owned_by_views", "plan_decals", "plan_fit"]

PRUNE = 1e-2  # weights below are left out: more than half of them, and the views agree to 41 dB
BEGIN, VIEWS_END, END = 14.0, 0.5, 0.03  # noise-to-signal ratios, evenly spaced in their logarithm
DECALS_BEGIN = 1.6
DECAL_SHARE = 0.5  # of the steps are the decals'
EXPONENT, RESIDUAL = 60.0, 4  # of the views: practically one owner a splat; passes that sharpen
DECAL_SIDE = 0.625  # of a decal, in view sides
MOST_DECALS = 240
ITERATIONS, DAMPING = 12, 0.1  # of the fit
GLIMPSE = 1  # iterations of a fit for a preview
LEAST_COSINE = 0.05  # that a pixel counts, however flat it sees the surface
_VIEWS, _DECALS, _PLACES, _AGAIN = 1, 2, 3, 4  # streams of a seed


@dataclass(frozen=True, eq=False)
class Fit:
    """From what the decals painted to colours."""

    space: SplatColorSpace
    reads: SparseMatrix  # [N·H·W, cells of the decals], what the views see of them
    weights: np.ndarray  # f4 [N·H·W], the cosine at which a pixel sees the surface; 0 where it sees no decal

    def colors(self, pixels: Tensor, *, iterations: int = ITERATIONS) -> Tensor:
        """[S, 3] for `pixels` [N·H·W, 3] of the views."""
        linear = replace(self._linear, iterations=iterations)
        return linear.aggregate(torch.from_numpy(np.sqrt(self.weights))[:, None] * pixels)

    @property
    def reached(self) -> np.ndarray:
        """bool [S]: splats that some view has a say in."""
        return self._linear.seen

    @cached_property
    def _linear(self) -> LinearSpace:
        return self.space.weighted(self.weights, iterations=ITERATIONS, damping=DAMPING)

    def without(self, views: Sequence[int]) -> Fit:
        """The fit to all but these views."""
        weights = self.weights.reshape(self.space.shape).copy()
        weights[list(views)] = 0
        return replace(self, weights=weights.ravel())

    def target(self, painted: Tensor) -> Tensor:
        """[N·H·W, 3], what the views should show."""
        return self.reads @ painted


def plan_decals(splats: Splats, space: SplatColorSpace, up: np.ndarray, seed: int) -> tuple[Seen, SplatDecals | None]:
    """What the views see, and the decals on it."""
    seen = see_surface(space.cameras, space.projection, space.means, space.shape)
    decals = build_splat_decals(
        splats, space, seen, size=max(32, round(DECAL_SIDE * space.shape[1] / 16) * 16),
        pixels_per_unit=density_of(space.cameras, seen), most=MOST_DECALS, up=up,
        random=np.random.default_rng([seed, _PLACES]), prune=PRUNE,
    )  # fmt: skip
    return seen, decals


def plan_fit(space: SplatColorSpace, seen: Seen, decals: SplatDecals) -> Fit:
    reads = decals.read_by(seen)
    weights = np.maximum(seen.cosine.ravel(), np.float32(LEAST_COSINE)) * (reads.row_counts > 0)
    return Fit(space, reads, weights.astype(np.float32))


def owned_by_views(space: SplatColorSpace) -> LinearSpace:
    """How views become colours in the first phase."""
    return space.owned(EXPONENT, residual_passes=RESIDUAL)


class Run:
    """The denoising itself: after each of its `steps`, `z` are the colours; at the end `painted` are the decals' cells
    (None without decals) and `estimate` the last x0 of the phase's own views."""

    def __init__(
        self, space: SplatColorSpace, decals: SplatDecals | None, fit: Fit | None, painter: Painter, steps: int,
        seed: int, clock: Clock,
    ) -> None:  # fmt: skip
        self.space, self.placed, self.fit, self.clock = space, decals, fit, clock
        self.painter, self.exemplar, self.count, self.seed = painter, painter.exemplar(), steps, seed
        self.states: list[tuple[float, Tensor]] = []  # (s, z)
        self.estimate = torch.zeros(0)
        self.painted: Tensor | None = None

    @property
    def z(self) -> Tensor:
        """f4 [S, 3] in [-1, 1], and a little beyond."""
        return self.states[-1][1]

    @property
    def decals(self) -> int:
        """How many there are."""
        return 0 if self.placed is None else len(self.placed.cameras)

    @property
    def coverage(self) -> float:
        """Fraction of the splats that some view has a say in."""
        return float((self.space.seen if self.fit is None else self.fit.reached).mean())

    @property
    def guide(self) -> Guide:
        return Guide("exemplar", self.painter.picture, self.painter)

    def warnings(self) -> Iterator[Warning]:
        return iter(())

    def outcome(self) -> Outcome:
        """What the report needs to know of the run."""
        fit, rows = self.fit, owned_by_views(self.space).rows_of
        if fit is None or self.painted is None:
            estimate = rows(self.estimate)
            return Outcome(estimate, self.space.mask.ravel(), estimate, self._refit)
        return Outcome(fit.target(self.painted), fit.weights > 0, rows(self.denoised_once_more()), self._refit)

    def _refit(self, pixels: Tensor, held: Sequence[int]) -> tuple[Tensor, np.ndarray]:
        if self.fit is None:
            linear = owned_by_views(self.space.without(held))
            return linear.aggregate(pixels), linear.seen
        others = self.fit.without(held)
        return others.colors(pixels), others.reached

    def steps(self, *, keep: bool) -> Iterator[tuple[str, int, int, bool]]:
        """(phase, step from 1, total, whether it is shown); `states` keeps every step, or only the last."""
        for name, index, total, s, z in self._phases():
            if not keep:
                self.states.clear()
            self.states.append((s, z))
            if self.clock.first_preview is None:
                self.clock.first_preview = self.clock.elapsed()
            yield name, index, total, True

    def denoised_once_more(self) -> Tensor:
        """[N, 3, H, W]: x0 of the views, each for itself, from their renders of z with the last noise."""
        level = from_noise_ratios([END]).levels[0]
        space = self.space
        shown = (space.projection @ self.z).reshape(*space.shape, 3).permute(0, 3, 1, 2)
        noise = gaussian(tuple(shown.shape), generator(self.seed, _AGAIN))
        denoiser = ExemplarDenoiser(self.exemplar, seed=self.seed, mask=space.mask)
        return denoiser(level.alpha * shown + level.sigma * noise, level)

    def _phases(self) -> Iterator[tuple[str, int, int, float, Tensor]]:
        owned = owned_by_views(self.space)
        z = torch.zeros(0)
        last = END if self.placed is None else VIEWS_END
        later = 0 if self.placed is None else max(2, round(self.count * DECAL_SHARE))
        ratios = np.geomspace(BEGIN, last, max(2, self.count - later))
        for index, (s, z) in enumerate(self._denoised("views", owned, self.space.mask, ratios, _VIEWS), 1):
            yield "views", index, len(ratios), s, z
        if self.placed is None or self.fit is None:
            return
        linear, mask = self.placed.linear, self.placed.mask
        empty = torch.from_numpy(self.exemplar.mean)[None, :, None, None]
        clean = torch.where(torch.from_numpy(mask)[:, None], linear.views_of(self.placed.projection @ z), empty)
        ratios = np.geomspace(DECALS_BEGIN, END, later)
        for index, (s, cells) in enumerate(self._denoised("decals", linear, mask, ratios, _DECALS, clean), 1):
            self.painted = cells
            with self.clock.phase("fit"):
                z = self.fit.colors(self.fit.target(cells), iterations=ITERATIONS if index == later else GLIMPSE)
            yield "decals", index, later, s, z

    def _denoised(
        self, name: str, space: LinearSpace, mask: np.ndarray, ratios: np.ndarray, stream: int,
        clean: Tensor | None = None,  # [N, 3, H, W], what is noised to begin with; None: noise alone
    ) -> Iterator[tuple[float, Tensor]]:  # fmt: skip
        """(s, z) after each step."""
        denoiser = ExemplarDenoiser(self.exemplar, seed=self.seed + stream - 1, mask=mask)
        canonical, source = CanonicalNoise(space.nearest, space.cells, space.view_shape), generator(self.seed, stream)
        schedule = from_noise_ratios(ratios)
        level = schedule.levels[0]
        begin = level.sigma * canonical(3, source)
        begin = begin if clean is None else begin + level.alpha * clean

        def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
            with self.clock.phase(f"{name}, of which denoising"):
                self.estimate = denoiser(x, level)
            return self.estimate

        run = synchronized(denoise, space, schedule, begin, eta=1.0, noise=lambda: canonical(3, source))
        while True:
            with self.clock.phase(name):
                step = next(run, None)
            if step is None:
                return
            yield step.level.s, step.z
