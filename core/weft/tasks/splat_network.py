"""Splats painted by a network: many views whose decoded images agree through the splats' colours at every step.

Kim et al. 2024 on splats: a view mixes many splats, so latents cannot be shared; Tweedie's x0 is decoded, the
colours that explain all images best are solved for, and their renders are encoded again (`methods.decoded`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from weft.geometry.camera import Camera
from weft.noise import generator
from weft.spaces.splat_colors import SplatColorSpace
from weft.tasks.events import Warning
from weft.tasks.guide import Guide, guide_of
from weft.tasks.network import Network
from weft.tasks.network_run import NetworkRun, Spaces, begin
from weft.tasks.painting import Clock
from weft.tasks.splat_controls import splat_controls
from weft.tasks.splat_phases import DAMPING, ITERATIONS
from weft.tasks.splat_report import Outcome
from weft.tasks.view_words import neighbours_of, prompt_of, words_of

__all__ = ["NetworkSplats"]

_VIEWS = 1  # noise stream of a seed


class NetworkSplats:
    """A run over the views of splats: after each of its `steps`, `z` f4 [S, 3] in [-1, 1] are the colours."""

    decals = 0

    def __init__(
        self, space: SplatColorSpace, network: Network, prompt: str, style: np.ndarray | None, up: np.ndarray,
        steps: int, seed: int, clock: Clock,
    ) -> None:  # fmt: skip
        model = network.model
        self.space, self.network, self.clock = space, network, clock
        cameras, middle = _upright(space, up)
        self.prompts = tuple(prompt_of(prompt, side) for side in words_of(cameras, middle))
        with clock.phase("conditioning"):
            self.conditioning = network.conditioning(
                self.prompts, drawn=lambda kinds: splat_controls(kinds, space), style=style,
                neighbours=neighbours_of(cameras, middle),
            )  # fmt: skip
        with clock.phase("binding"):
            denoiser = model.bind(self.conditioning)
        # The weights of fifty views take gigabytes: the last synchronisation shares those of the steps.
        spaces = Spaces(None, space.shared(), space.shared(iterations=ITERATIONS, damping=DAMPING))
        schedule = model.levels_at(*space.shape[1:]).schedule(steps)
        x = begin(model.codec, spaces, schedule, generator(seed, _VIEWS)).to(model.device)
        self._run = NetworkRun(model.codec, denoiser, spaces, schedule, x, network.sync_until, in_pixels=True)
        self.states: list[tuple[float, Tensor]] = []  # (s, z)

    @property
    def z(self) -> Tensor:
        return self.states[-1][1]

    @property
    def coverage(self) -> float:
        """Fraction of the splats that some view sees."""
        return float(self.space.seen.mean())

    @property
    def guide(self) -> Guide:
        return guide_of(self.conditioning.controls)

    def warnings(self) -> Iterator[Warning]:
        return self.network.warnings(self.prompts)

    def steps(self, *, keep: bool) -> Iterator[tuple[str, int, int, bool]]:
        """(phase, step from 1, total, whether it is shown); `states` keeps every step that is, or only the last."""
        steps = self._run.steps()
        while True:
            with self.clock.phase("views"):
                step = next(steps, None)
            if step is None:
                return
            if step.z is not None:
                if not keep:
                    self.states.clear()
                self.states.append((step.level.s, step.z))
                if self.clock.first_preview is None:
                    self.clock.first_preview = self.clock.elapsed()
            yield "views", step.index + 1, step.total, step.z is not None

    def outcome(self) -> Outcome:
        pixels = self._run.spaces.pixels.rows_of(self._run.images)
        return Outcome(pixels, self.space.mask.ravel(), pixels, self._refit)

    def _refit(self, pixels: Tensor, held: Sequence[int]) -> tuple[Tensor, np.ndarray]:
        weights = np.ones(self.space.shape, np.float32)
        weights[list(held)] = 0
        others = self.space.weighted(weights.ravel(), iterations=ITERATIONS, damping=DAMPING)
        return others.aggregate(torch.from_numpy(weights.reshape(-1, 1)) * pixels), others.seen


def _upright(space: SplatColorSpace, up: np.ndarray) -> tuple[list[Camera], np.ndarray]:
    """The cameras and the middle of the splats in a frame whose +Z is up: rows of `up` [3, 3] are its axes."""
    turn = np.eye(4)
    turn[:3, :3] = up
    cameras = [replace(camera, pose=turn @ camera.pose) for camera in space.cameras]
    return cameras, np.asarray(up @ np.median(space.means, axis=0))
