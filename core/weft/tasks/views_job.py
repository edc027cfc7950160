"""Editing views together, for every editor alike: the way that is gone, previews, the bake, and what it is worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import BadCheckpoint
from weft.geometry.camera import packed
from weft.methods.view_editing import Models, Way, edited_views, find_way
from weft.models.networks.image_model import as_planes
from weft.noise import CanonicalNoise, gaussian, generator
from weft.schedule import NoiseLevel
from weft.spaces.linear import LinearSpace
from weft.tasks.events import Event, Preview, Progress
from weft.tasks.painting import Clock
from weft.tasks.views_editor import ViewEditor
from weft.tasks.views_prior import NetworkPrior
from weft.tasks.views_stage import Stage
from weft.tasks.views_wanted import AUTOMATIC, Wanted

__all__ = ["ViewsJob", "strip"]

EXPONENTS = (6.0, 60.0)  # of a view's weight in a cell, from noise to clean: detail ends up with one owner
EXPONENT_STEPS = 5
BAKE_EXPONENT = 6.0
SHOWN = 10  # previews, at most: each makes pictures of the estimate
STRIP_SIDE = 1024  # px of a preview's width
_BEGIN, _STEPS, _REFERENCE = 1, 2, 3  # noise streams of a seed


@dataclass(eq=False)
class ViewsJob:
    """A run that has not begun. After `run`, `images` f4 [N, H, W, 3] in [0, 1] are the edited views and `x0` what
    the editor made them of."""

    stage: Stage
    editor: ViewEditor
    wanted: Wanted
    clock: Clock
    network_prior: NetworkPrior | None = None
    prompt: str = ""  # for that
    x0: Tensor = field(default_factory=lambda: torch.zeros(0))
    images: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    cells: Tensor = field(default_factory=lambda: torch.zeros(0))

    def __post_init__(self) -> None:
        self.wanted.check_count(len(self.stage.images))

    @cached_property
    def way(self) -> Way:
        """Geometry is always known here, and then an editor that is synchronised through it beats two models that pull
        each other (docs/coupled_sampling.md). Whoever names a multi-view network wants these."""
        usual = "synchronized" if self.network_prior is None else "coupled"
        return find_way(usual if self.wanted.way == AUTOMATIC else self.wanted.way)

    @cached_property
    def reference(self) -> int:
        """From 0: the view that is edited first, where the way needs one."""
        if self.wanted.reference:
            return self.wanted.reference - 1
        return best_reference(self.stage.geometry.space(1.0))

    def run(self) -> Iterator[Event]:
        """Progress, and previews: of every mesh its texture, and after these the views side by side."""
        first = self._first()
        models = Models(self.editor.editor(self.wanted.seed), agreed=self._agreed)
        if self.way.needs_prior:
            if self.network_prior is not None:  # refuses what it cannot do, before the reference is edited for it
                self._told(self.network_prior, as_planes(self.stage.images[[self.reference]]))
            edited = yield from self._edit_reference(first)
            models = replace(models, **self._prior(edited))
        strength, units = self.wanted.strength
        steps = edited_views(
            self.way,
            models,
            self.editor.schedule,
            first,
            strength=strength,
            units=units,
            noise=self._noise(_STEPS),
            eta=self._eta,
        )
        while True:
            with self.clock.phase("views"):
                step = next(steps, None)
            if step is None:
                break
            self.x0 = step.x0
            yield Progress("views", step.index + 1, step.total)
            if (step.index + 1) * SHOWN // step.total > step.index * SHOWN // step.total:
                _check_numbers(step.x0, step.index + 1, step.total)
                with self.clock.phase("previews"):
                    shown = self._shown(step.x0)
                if self.clock.first_preview is None:
                    self.clock.first_preview = self.clock.elapsed()
                for index, image in enumerate(shown):
                    yield Preview(index, image, step.index + 1, step.total)
        self.images = self._pictures(self.x0)

    def _shown(self, x0: Tensor) -> list[np.ndarray]:
        """The texture of every mesh, and after these the views side by side."""
        images, space = self._pictures(x0), self.stage.geometry.space(BAKE_EXPONENT)
        textures = self.stage.shown(space.unproject(self.stage.rows(images * 2 - 1)))
        return [*textures, strip(images, STRIP_SIDE)]

    def _prior(self, edited: Tensor) -> dict[str, Any]:
        """The fields of `Models` that a prior fills: a network as it is, or F∘A'."""
        schedule, network = self.editor.schedule, self.network_prior
        if network is not None:
            denoiser = self._told(network, self.editor.images(edited[None]))
            return {"prior": denoiser, "prior_schedule": network.schedule(len(schedule), schedule)}
        alone = self.editor.prior(self.reference, edited, self.wanted.seed)
        return {"prior": lambda x, level: self._agreed(alone(x, level), level)}

    def _told(self, network: NetworkPrior, picture: Tensor) -> Denoiser:
        """The multi-view model, told of the reference as `picture` [1, 3, H, W] in [-1, 1]."""
        return network.bind(self.reference, picture, self.stage.geometry, self.prompt)

    def _edit_reference(self, first: Tensor) -> Iterator[Event]:
        """The reference's x0 [C, h, w], edited alone."""
        alone = edited_views(
            find_way("per_view"), Models(self.editor.editor(self.wanted.seed)), self.editor.schedule, first,
            strength=0.0, noise=self._noise(_REFERENCE), eta=self.editor.eta,
        )  # fmt: skip
        x0 = first
        while True:
            with self.clock.phase("reference"):
                step = next(alone, None)
            if step is None:
                return x0[self.reference]
            x0 = step.x0
            yield Progress("reference", step.index + 1, step.total)

    def _agreed(self, x0: Tensor, level: NoiseLevel) -> Tensor:
        return self.editor.agreed(self._space_at(level))(x0)

    def _space_at(self, level: NoiseLevel) -> LinearSpace:
        """The space of a step: the cleaner, the more each cell belongs to one view."""
        noise = min(1.0, level.sigma / self.editor.schedule.levels[0].sigma)
        part = round((1 - noise) * (EXPONENT_STEPS - 1)) / (EXPONENT_STEPS - 1)
        if part not in self._spaces:
            self._spaces[part] = self.stage.geometry.space(EXPONENTS[0] + part * (EXPONENTS[1] - EXPONENTS[0]))
        return self._spaces[part]

    @cached_property
    def _spaces(self) -> dict[float, LinearSpace]:
        return {}

    def _first(self) -> Tensor:
        """x at the first level."""
        level, noise, clean = self.editor.schedule.levels[0], self._noise(_BEGIN)(), self.editor.clean
        return level.sigma * noise if clean is None else level.alpha * clean.to(noise) + level.sigma * noise

    def _noise(self, *stream: int) -> Any:
        """A source of N(0, I) for x. Where x are pixels, views that see one cell draw one noise."""
        shape = self.editor.shape
        source, device = generator(self.wanted.seed, *stream), self.editor.device
        if (shape[0], *shape[2:]) != self.stage.geometry.shape:
            return lambda: gaussian(shape, source).to(device)
        canonical = self._canonical
        return lambda: canonical(shape[1], source).to(device)

    @property
    def _eta(self) -> float:
        """Models that pull each other are sampled as the paper does: DDPM."""
        return 1.0 if len(self.way.trajectories) > 1 or self.way.corrections else self.editor.eta

    @cached_property
    def _canonical(self) -> CanonicalNoise:
        space = self.stage.geometry.space(EXPONENTS[0])
        return CanonicalNoise(space.nearest, space.cells, space.view_shape)

    def _pictures(self, x0: Tensor) -> np.ndarray:
        """f4 [N, H, W, 3] in [0, 1]; what may not change is as it was."""
        images = self.editor.images(x0).permute(0, 2, 3, 1).float().cpu().numpy() / 2 + 0.5
        return np.where(self.stage.mask[..., None], images.clip(0, 1), self.stage.images).astype(np.float32)

    def bake(self, cells: Tensor | None = None) -> dict[str, np.ndarray]:
        """The result's arrays: the edited views with their cameras, and `cells` [cells, 3] in [-1, 1], the colours that
        the views agree on unless an editor knows better."""
        space = self.stage.geometry.space(BAKE_EXPONENT)
        with self.clock.phase("baking"):
            self.cells = space.aggregate(self.stage.rows(self.images * 2 - 1)) if cells is None else cells
            baked = self.stage.baked(self.cells)
        poses, intrinsics = packed(self.stage.cameras)
        return {"view.images": self.images, "camera.poses": poses, "camera.intrinsics": intrinsics, **baked}


def best_reference(space: LinearSpace) -> int:
    """The view that sees most of the cells that other views see too."""
    views = space.view_shape[0]
    seen = [np.unique(view[view >= 0]) for view in space.nearest.reshape(views, -1)]
    count = np.bincount(np.concatenate(seen), minlength=space.cells)
    return int(np.argmax([(count[cells] > 1).sum() for cells in seen]))


def strip(images: np.ndarray, width: int) -> np.ndarray:
    """Views [N, H, W, 3] in rows as square as can be, f4 [h, w, 3], at most `width` px wide; white where one lacks."""
    count, height, across, _ = images.shape
    columns = min(count, int(np.ceil(np.sqrt(count * height / across))))
    rows = -(-count // columns)
    stride = -(-across // (width // columns))
    small = images[:, ::stride, ::stride]
    padded = np.ones((rows * columns, *small.shape[1:]), np.float32)
    padded[:count] = small
    return np.concatenate([np.concatenate(list(row), 1) for row in padded.reshape(rows, columns, *small.shape[1:])])


def _check_numbers(x0: Tensor, step: int, total: int) -> None:
    """Raise early: what is no number spreads, and would be painted."""
    if not torch.isfinite(x0).all():
        raise BadCheckpoint(
            f"the model computes values that are no numbers after step {step} of {total}",
            "its weights may be damaged: `weft models check NAME` tells",
        )
