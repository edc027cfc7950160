"""Meshes painted by a network: views in latents over the texels, decoded and baked at the end.

Kim et al. 2024 on meshes: views of the mesh under depth control, words that name the side, attention between
neighbours. A texture that is there is noised to a part of the schedule (SDEdit), or shown to a model that edits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.models.networks.image_model import Conditioning
from weft.noise import generator
from weft.schedule import Schedule
from weft.spaces.held import blind, holding
from weft.spaces.linear import LinearSpace
from weft.spaces.mesh_texture import MeshTextureSpace
from weft.spaces.surface import Surface
from weft.tasks.control_images import mesh_controls
from weft.tasks.edit import Edit
from weft.tasks.events import Warning
from weft.tasks.guide import Guide, guide_of
from weft.tasks.network import Network
from weft.tasks.network_run import BAKE_EXPONENT, Held, NetworkRun, RunStep, Spaces, begin
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
    guide: Guide = field(init=False)  # once the phase has begun

    def prompts(self, space: MeshTextureSpace) -> tuple[str, ...]:
        """One a view, with the side that it shows."""
        words = words_of(space.views.cameras, middle_of(space.surface))
        return tuple(prompt_of(self.prompt, side) for side in words)

    def warnings(self, space: MeshTextureSpace) -> Iterator[Warning]:
        return self.network.warnings(self.prompts(space))

    def phases(self, painting: Painting) -> Iterator[NetworkPhase]:
        model, views, clock = self.network.model, painting.views, painting.clock
        shown = None if painting.edit is None else _renders(views, painting.edit.z)
        with clock.phase("conditioning"):
            conditioning = self._conditioning(views, shown, painting.edit)
            self.guide = guide_of(conditioning.controls, shown)
        with clock.phase("binding"):
            denoiser = model.bind(conditioning)
        with clock.phase("latent texels"):
            spaces = _spaces(painting.surface, views, model.codec.factor)
            old = None if shown is None else model.codec.encode(shown.to(model.device))
            schedule, x = self._begin(painting, spaces, old)
            spaces, held = _holding(spaces, painting, old)
        run = NetworkRun(
            model.codec, denoiser, spaces, schedule, x.to(model.device), self.network.sync_until,
            self.network.in_pixels(), held=held,
        )  # fmt: skip
        yield NetworkPhase("views", views, run)

    def _begin(self, painting: Painting, spaces: Spaces, old: Tensor | None) -> tuple[Schedule, Tensor]:
        """The walk, and where it begins: with noise over what is there, latents `old` [N, C, h, w]; models that edit
        look at that instead and begin from noise."""
        model, edit = self.network.model, painting.edit
        levels = model.levels_at(*painting.views.views.shape[1:])
        schedule, clean = levels.schedule(self.steps), None
        if edit is not None and not (edit.from_noise or self.network.edits):
            schedule, clean = levels.from_strength(schedule, self.strength), old
        return schedule, begin(model.codec, spaces, schedule, generator(painting.seed, _VIEWS), clean)

    def _conditioning(self, views: MeshTextureSpace, shown: Tensor | None, edit: Edit | None) -> Conditioning:
        def drawn(kinds: Sequence[str]) -> dict[str, Tensor]:
            return mesh_controls(kinds, views.views, views.surface)

        mask = views.views.mask if edit is None or self.network.relights else edit.reached_by(views)
        return self.network.conditioning(
            self.prompts(views), drawn=drawn, image=shown, mask=torch.from_numpy(mask)[:, None].float(),
            style=self.style, neighbours=neighbours_of(views.views.cameras, middle_of(views.surface)),
        )  # fmt: skip


def middle_of(surface: Surface) -> np.ndarray:
    """f4 [3], of the bounding box."""
    points = used_vertices(surface)
    return (points.min(0) + points.max(0)) / 2


def _spaces(surface: Surface, views: MeshTextureSpace, factor: int) -> Spaces:
    latent_cameras = [camera.scaled(1 / factor) for camera in views.views.cameras]
    latents = space_of(surface, latent_cameras, ramp=LATENT_RAMP)
    return Spaces(latents.linear(1.0), views.linear(1.0), views.linear(BAKE_EXPONENT))


def _holding(spaces: Spaces, painting: Painting, old: Tensor | None) -> tuple[Spaces, Held | None]:
    """The spaces, and what stays in the views of what is there, of which `old` [N, C, h, w] are the latents."""
    edit = painting.edit
    if edit is None or old is None or not edit.is_partial:
        return spaces, None
    share = functional.adaptive_avg_pool2d(edit.changed_in(painting.views), (old.shape[2], old.shape[3]))
    latents = blind(cast(LinearSpace, spaces.latents), (share == 0).flatten().numpy())
    pixels = holding(spaces.pixels, ~edit.cells, edit.z)
    return replace(spaces, latents=latents, pixels=pixels), Held(old, share.to(old.device))


def _renders(space: MeshTextureSpace, z: Tensor) -> Tensor:
    """The views of a texture [cells, 3] over grey, [N, 3, H, W] in [-1, 1]."""
    linear = space.linear(1.0)
    empty = torch.full((len(linear.covered), 3), EMPTY)
    return linear.views_of(linear.project(z, empty)).contiguous()
