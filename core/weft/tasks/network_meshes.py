"""Meshes painted by a network: views in latents over the texels, decoded and baked at the end.

Kim et al. 2024, Section 4.2: views of the mesh under depth control, words that name the side, attention between
neighbours. A texture that is there is noised to a part of the schedule (SDEdit), or shown to a model that edits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.noise import generator
from weft.schedule import Schedule
from weft.spaces.held import holding
from weft.spaces.linear import LinearSpace
from weft.spaces.mesh_texture import MeshTextureSpace
from weft.spaces.surface import Surface
from weft.tasks.control_images import mesh_controls
from weft.tasks.edit import Edit
from weft.tasks.events import Warning
from weft.tasks.guide import Guide, guide_of
from weft.tasks.network import Network
from weft.tasks.network_run import BAKE_EXPONENT, NetworkRun, RunStep, Spaces, begin
from weft.tasks.painting import Painting
from weft.tasks.view_plan import space_of, used_vertices
from weft.tasks.view_words import neighbours_of, prompt_of, words_of

__all__ = ["NetworkBrush", "NetworkPhase"]

LATENT_RAMP = 1  # latents from a silhouette to full trust: one is as wide as eight pixels
EMPTY = 0.0  # [-1, 1], what is shown around the object: grey
_VIEWS = 1  # noise stream of a seed


@dataclass(frozen=True)
class NetworkPhase:
    """A run over a mesh's views."""

    name: str
    space: MeshTextureSpace
    run: NetworkRun

    @property
    def estimate(self) -> Tensor:
        return self.run.images

    def steps(self) -> Iterator[RunStep]:
        return self.run.steps()


@dataclass(eq=False)
class NetworkBrush:
    """A network that is loaded, and what it is to paint."""

    network: Network
    prompt: str
    style: np.ndarray | None  # f4 [h, w, 3] in [0, 1]
    steps: int
    strength: float = 1.0  # part of the schedule that is walked over what is there

    @property
    def guide(self) -> Guide:
        return self._guide

    def prompts(self, space: MeshTextureSpace) -> tuple[str, ...]:
        """One a view, with the side that it shows."""
        words = words_of(space.views.cameras, middle_of(space.surface))
        return tuple(prompt_of(self.prompt, side) for side in words)

    def warnings(self, space: MeshTextureSpace) -> Iterator[Warning]:
        return self.network.warnings(self.prompts(space))

    def phases(self, painting: Painting) -> Iterator[NetworkPhase]:
        with painting.clock.phase("conditioning"):
            phase = self._phase(painting)
        yield phase

    def _phase(self, painting: Painting) -> NetworkPhase:
        model = self.network.model
        codec, views, edit = model.codec, painting.views, painting.edit
        shown = None if edit is None else _renders(views, edit.z)
        denoiser = self._bind(views, shown, edit)
        schedule = model.levels.schedule(self.steps)
        spaces = _spaces(painting.surface, views, codec.factor)
        clean = None
        if shown is not None and edit is not None:
            old = codec.encode(shown.to(model.device)).cpu()
            if self._from_there(edit):
                schedule, clean = model.levels.from_strength(schedule, self.strength), old
            if edit.is_partial:
                spaces = _holding(spaces, edit, old)
        x = begin(codec, spaces, schedule, generator(painting.seed, _VIEWS), clean).to(model.device)
        run = NetworkRun(
            codec, denoiser, spaces, cast(Schedule, schedule), x, self.network.sync_until, self.network.in_pixels()
        )
        return NetworkPhase("views", views, run)

    def _from_there(self, edit: Edit) -> bool:
        """Whether the texture that is there is noised; models that edit look at it instead."""
        return not (edit.from_noise or self.network.edits)

    def _bind(self, views: MeshTextureSpace, shown: Tensor | None, edit: Edit | None) -> Denoiser:
        def drawn(kinds: Sequence[str]) -> dict[str, Tensor]:
            return mesh_controls(kinds, views.views, views.surface)

        inpaints = "mask" in self.network.card.needs
        mask = edit.reached_by(views) if edit is not None and inpaints else views.views.mask
        conditioning = self.network.conditioning(
            self.prompts(views), drawn=drawn, image=shown, mask=torch.from_numpy(mask)[:, None].float(),
            style=self.style, neighbours=neighbours_of(views.views.cameras, middle_of(views.surface)),
        )  # fmt: skip
        self._guide = guide_of(conditioning.controls, shown)
        return self.network.model.bind(conditioning)


def middle_of(surface: Surface) -> np.ndarray:
    """f4 [3], of the bounding box."""
    points = used_vertices(surface)
    return (points.min(0) + points.max(0)) / 2


def _spaces(surface: Surface, views: MeshTextureSpace, factor: int) -> Spaces:
    latent_cameras = [camera.scaled(1 / factor) for camera in views.views.cameras]
    latents = space_of(surface, latent_cameras, ramp=LATENT_RAMP)
    return Spaces(latents.linear(1.0), views.linear(1.0), views.linear(BAKE_EXPONENT))


def _holding(spaces: Spaces, edit: Edit, old: Tensor) -> Spaces:
    """The spaces with the texture as it was outside what is repainted; `old` [N, C, h, w] are its views' latents."""
    latents = cast(LinearSpace, spaces.latents)
    values = latents.unproject(latents.rows_of(old))
    return replace(
        spaces, latents=holding(latents, ~edit.cells, values), pixels=holding(spaces.pixels, ~edit.cells, edit.z)
    )


def _renders(space: MeshTextureSpace, z: Tensor) -> Tensor:
    """The views of a texture [cells, 3] over grey, [N, 3, H, W] in [-1, 1]."""
    linear = space.linear(1.0)
    empty = torch.full((len(linear.covered), 3), EMPTY)
    return linear.views_of(linear.project(z, empty)).contiguous()
