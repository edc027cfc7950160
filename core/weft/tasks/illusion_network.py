"""An illusion painted by a network: every view from words of its own, agreeing as images at every step.

Latents are not what a turned or cut picture is made of (Geng et al. 2024, *Visual Anagrams*), so the views
share the images that their latents decode to (`methods.decoded`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weft.errors import InvalidInput
from weft.methods.cases import SYNCTWEEDIES, Case
from weft.noise import generator
from weft.spaces.illusion import Transformation, illusion_space, transformations
from weft.tasks.events import Warning
from weft.tasks.network import Network
from weft.tasks.network_run import NetworkRun, RunStep, Spaces, begin
from weft.tasks.sheet import sheet

__all__ = ["NetworkIllusion"]

_NOISE = 1  # stream of a seed


class NetworkIllusion:
    """`steps` run it; `views` are how the image of `size`² pixels is looked at. The network must be loaded."""

    def __init__(
        self, network: Network, slots: Sequence[tuple[str, np.ndarray | None]], names: Sequence[str], size: int,
        steps: int, seed: int,
    ) -> None:  # fmt: skip
        for prompt, picture in slots:
            if picture is not None or not prompt.strip():
                raise InvalidInput(
                    f"{network.card.name} makes illusions of words, not of pictures", "describe the view"
                )
        self.network, self.seed, self.size = network, seed, network.view_size(size)
        self.prompts = [prompt for prompt, _ in slots]
        self.materials = [network.material(prompt) for prompt in self.prompts]
        self.views: list[Transformation] = transformations(names, self.size, seed)
        self.schedule = network.model.levels_at(self.size, self.size).schedule(steps)

    def prepare(self) -> None:
        """Bind the words."""
        self._denoiser = self.network.model.bind(self.network.conditioning(self.prompts, drawn=None))

    def warnings(self) -> Iterator[Warning]:
        return self.network.warnings(self.prompts)

    def steps(self, case: Case) -> Iterator[RunStep]:
        if case != SYNCTWEEDIES:
            raise InvalidInput("a network's views agree as images, in one way", "use the case synctweedies")
        space, model = illusion_space(self.views, self.size), self.network.model
        spaces = Spaces(None, space, space)
        x = begin(model.codec, spaces, self.schedule, generator(self.seed, _NOISE)).to(model.device)
        return NetworkRun(
            model.codec, self._denoiser, spaces, self.schedule, x, self.network.sync_until, in_pixels=True
        ).steps()

    def report(
        self,
        image: NDArray[np.float32],
        views: Sequence[NDArray[np.float32]],
        states: Sequence[tuple[float, NDArray[np.float32]]],
    ) -> tuple[dict[str, Any], NDArray[np.float32]]:
        """No measures, since there is no picture to compare with; the contact sheet f4 [H, W, 3]."""
        way = [(f"s = {s:.2f}", state) for s, state in states]
        ends = [
            (f"{view.name}: {words}", seen) for view, words, seen in zip(self.views, self.prompts, views, strict=True)
        ]
        return {}, sheet([way, [("image", image), *ends]])
