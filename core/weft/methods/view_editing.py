"""Ways to edit many views with an editor A, right view by view, and a multi-view prior B, consistent: one table.

*Coupled Diffusion Sampling for Training-Free Multi-View Image Editing*, CVPR 2026, with what it is compared to:

| row of `WAYS` | trajectories | from |
|---|---|---|
| per_view          | A                                    | every view for itself |
| single_edit       | B, told of one view that A edited    | image-conditioned multi-view models |
| averaging         | one of (A + B) / 2                   | Liu et al. 2022: scores are averaged |
| averaging_mcmc    | the same, corrected at every level   | Du et al. 2023: unadjusted Langevin |
| sdedit            | B, from A's result noised to a level | Meng et al. 2022 |
| coupled           | A and B, pulling each other          | the paper; the result is B's |
| synchronized      | F∘A                                  | known geometry: `methods.synchronized` |
| synchronized_once | A, then F of the result              | known geometry |

Where geometry is known, B is F∘A', F the way through the canonical space and A' the editor told of the edited view.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import InvalidInput, UnknownName
from weft.methods.coupled_sampling import Trajectory, coupled
from weft.schedule import CLEAN, NoiseLevel, Schedule
from weft.stepper import ddim

__all__ = ["WAYS", "EditStep", "Models", "Way", "edited_views", "find_way"]

Noise = Callable[[], Tensor]
LANGEVIN_SIZE = 0.1  # of a Langevin step, as a part of σ²: larger ones leave the level


@dataclass(frozen=True, slots=True)
class Way:
    """A row of the table. `trajectories` name estimates of `Models`; the result is the last one's."""

    name: str
    help: str
    trajectories: tuple[str, ...]
    from_edited: bool = False  # begin with the editor's result, noised to `strength` of the schedule
    corrections: int = 0  # Langevin steps at every level
    agree: bool = False  # F once at the end

    @property
    def needs_prior(self) -> bool:
        return bool({"prior", "mean"} & set(self.trajectories))

    @property
    def needs_space(self) -> bool:
        """Whether it goes through the canonical space by itself, whatever the prior does."""
        return self.agree or "tied" in self.trajectories


_ROWS = (
    Way("per_view", "every view is edited for itself", ("editor",)),
    Way("single_edit", "one view is edited, the prior makes the others", ("prior",)),
    Way("averaging", "both estimates are averaged on one way (Liu et al. 2022)", ("mean",)),
    Way("averaging_mcmc", "the same with Langevin corrections (Du et al. 2023)", ("mean",), corrections=2),
    Way("sdedit", "the prior goes over the edited views (Meng et al. 2022)", ("prior",), from_edited=True),
    Way("coupled", "editor and prior pull each other", ("editor", "prior")),
    Way("synchronized", "the editor's views agree through the geometry at every step", ("tied",)),
    Way("synchronized_once", "the editor's views agree through the geometry at the end", ("editor",), agree=True),
)
WAYS: dict[str, Way] = {row.name: row for row in _ROWS}


@dataclass(frozen=True, eq=False)
class Models:
    """What a way is put together from; all take and give [N, C, H, W].

    `agreed` is F on the estimates made at a level, None where no geometry is known; `prior` None where there is no
    multi-view model. A prior with a `prior_schedule` of its own begins from noise of its own: see
    `coupled_sampling.matched`.
    """

    editor: Denoiser
    prior: Denoiser | None = None
    agreed: Callable[[Tensor, NoiseLevel], Tensor] | None = None
    prior_schedule: Schedule | None = None

    def estimate(self, name: str) -> Denoiser:
        """The denoiser that a row calls "editor", "prior", "mean" or "tied"."""
        return {"editor": self.editor, "prior": self._prior, "mean": self._mean, "tied": self._tied}[name]

    def _prior(self, x: Tensor, level: NoiseLevel, /) -> Tensor:
        assert self.prior is not None
        return self.prior(x, level)

    def _mean(self, x: Tensor, level: NoiseLevel, /) -> Tensor:
        return (self.editor(x, level) + self._prior(x, level)) / 2

    def _tied(self, x: Tensor, level: NoiseLevel, /) -> Tensor:
        assert self.agreed is not None
        return self.agreed(self.editor(x, level), level)


@dataclass(frozen=True, slots=True)
class EditStep:
    """What one step left behind. The last step's `x0` is the result."""

    index: int  # from 0
    total: int
    level: NoiseLevel  # where the step began
    x0: Tensor  # [N, C, H, W], the estimate of the trajectory that is asked for


def find_way(name: str) -> Way:
    """Raises UnknownName."""
    if name not in WAYS:
        raise UnknownName(f"no way to edit views is called {name!r}", f"ways: {', '.join(WAYS)}")
    return WAYS[name]


@torch.no_grad()
def edited_views(
    way: Way,
    models: Models,
    schedule: Schedule,
    x: Tensor,  # [N, C, H, W] at the schedule's first level
    *,
    strength: float,
    units: str = "kappa",
    eta: float = 1.0,
    noise: Noise | None = None,
    start_at: float = 0.5,
) -> Generator[EditStep, None, None]:
    """Edit all views the given way, one `EditStep` per step. `strength` in `units` couples (see `coupled_sampling`);
    `start_at` in (0, 1], the part of the schedule that `from_edited` walks again. `noise()` [N, C, H, W] ~ N(0, I) is
    needed for η > 0, for `from_edited` and for corrections."""
    _check(way, models, eta, noise, start_at)
    if way.from_edited:
        assert noise is not None
        rest = _tail(models.prior_schedule or schedule, start_at)
        total = len(schedule) + len(rest)
        done = x
        for step in _alone(models.editor, schedule, x, eta, noise, 0):
            done = step.x0
            yield EditStep(step.index, total, step.level, done)
        level = rest.levels[0]
        again = level.alpha * done + level.sigma * noise()
        for step in _alone(models.estimate(way.trajectories[0]), rest, again, eta, noise, 0):
            yield EditStep(len(schedule) + step.index, total, step.level, step.x0)
        return
    parts = [_trajectory(models, name, schedule, x, eta, noise) for name in way.trajectories]
    if len(parts) == 1:
        (one,) = parts
        steps = _alone(one.denoiser, one.schedule, one.x, eta, noise, way.corrections)
    else:
        steps = (EditStep(s.index, s.total, s.level, s.x0[-1]) for s in coupled(parts, strength, units=units))
    for step in steps:
        last = step.index == step.total - 1
        if last and way.agree:
            assert models.agreed is not None
            step = EditStep(step.index, step.total, step.level, models.agreed(step.x0, CLEAN))
        yield step


def _trajectory(
    models: Models, name: str, schedule: Schedule, x: Tensor, eta: float, noise: Noise | None
) -> Trajectory:
    if name == "prior" and models.prior_schedule is not None:
        schedule = models.prior_schedule
        assert noise is not None
        x = schedule.levels[0].sigma * noise()
    return Trajectory(models.estimate(name), schedule, x, eta, noise)


def _tail(schedule: Schedule, part: float) -> Schedule:
    """The last `part` of the steps, at least one."""
    first = len(schedule) - max(1, round(part * len(schedule)))
    return schedule.starting_at(schedule.levels[first].s)


def _alone(
    denoiser: Denoiser, schedule: Schedule, x: Tensor, eta: float, noise: Noise | None, corrections: int
) -> Generator[EditStep, None, None]:
    """One trajectory by itself, `corrections` Langevin steps at every level but the last."""
    total = len(schedule)
    for index, (level, next_level) in enumerate(schedule):
        x0 = denoiser(x, level)
        own = noise() if eta > 0 and noise is not None and next_level.sigma > 0 else None
        x = ddim(x, x0, level, next_level, eta=eta, noise=own)
        yield EditStep(index, total, level, x0)
        for _ in range(corrections if next_level.sigma > 0 else 0):
            assert noise is not None
            x = _langevin(denoiser, x, next_level, noise())


def _langevin(denoiser: Denoiser, x: Tensor, level: NoiseLevel, noise: Tensor) -> Tensor:
    """x + δ ∇log p(x) + √(2δ) z with ∇log p = (α x0 - x)/σ² and δ a part of σ²; moments drift by O(δ), unadjusted."""
    toward = level.alpha * denoiser(x, level) - x
    return x + LANGEVIN_SIZE * toward + (2 * LANGEVIN_SIZE) ** 0.5 * level.sigma * noise


def _check(way: Way, models: Models, eta: float, noise: Noise | None, start_at: float) -> None:
    if way.needs_prior and models.prior is None:
        raise InvalidInput(f"{way.name} needs a multi-view prior, and there is none", "give geometry or use per_view")
    if way.needs_space and models.agreed is None:
        raise InvalidInput(f"{way.name} needs to know what views share", "give a mesh, splats or depth, or per_view")
    if noise is None and (eta > 0 or way.corrections or way.from_edited or models.prior_schedule is not None):
        raise InvalidInput(f"{way.name} with eta = {eta:g} needs a source of noise", "pass noise")
    if not 0 < start_at <= 1:
        raise InvalidInput(f"start_at = {start_at:g} is outside 0 to 1", "it is a part of the schedule")
