"""Views edited by a network with trained weights: a `ViewEditor` over whatever a card names.

| job     | model                              | `views`         | `mask`          | beside them                      |
|---|---|---|---|---|
| relight | IC-Light fc                        | the views       | the object      | a prompt for the light           |
| relight | IC-Light fbc                       | the views       | the object      | `environment`, or `style` as one |
| relight | Neural Gaffer                      | the views       | the object      | `environment`                    |
| stylize | SD, with its ControlNets and style | the views       | what may change | prompt, `style`, `strength`      |
| stylize | InstructPix2Pix, FLUX.2 klein      | the views       | what may change | an instruction as the prompt     |
| move    | inpainting                         | the coarse edit | its holes       | the scene in words               |
| move    | Magic Fixup                        | the coarse edit | its holes       | `before`                         |
| move    | SD without image conditioning      | the coarse edit | what may change | prompt, `strength`               |

Models that see no picture begin from the views' own latents, noised as far as `strength` (SDEdit, Meng et al. 2022).
Beyond the mask latents are held (Avrahami et al. 2022), but for models that relight, which paint surroundings of their
own, in which the object is lit, and Magic Fixup, which fits all of a picture to its parts that moved. What may not
change is for the caller to keep in the pictures.

The prior A' is the same model told of one view E that it edited before: E is the style picture where there is an
adapter for one; U-Nets let every view attend to E's; and E's own x0 is put back at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.denoiser import Denoiser
from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.environment import Environment
from weft.geometry.rays import meeting_point
from weft.methods.decoded import through_images
from weft.models.networks.image_model import ViewNeighbours, as_planes
from weft.schedule import NoiseLevel, Schedule
from weft.spaces.linear import LinearSpace
from weft.spaces.view_geometry import ViewGeometry
from weft.tasks.network import Network
from weft.tasks.view_controls import view_controls
from weft.tasks.view_surroundings import seen_behind, turned_maps
from weft.tasks.view_words import neighbours_of

__all__ = ["NetworkEditor"]


@dataclass(eq=False)
class NetworkEditor:
    """A `ViewEditor` in latents. Sides of `views` are multiples of the model's `unit`: views are fitted before.

    Networks are deterministic: the seeds of `editor` and `prior` change nothing.
    """

    network: Network
    views: np.ndarray  # f4 [N, H, W, 3] sRGB in [0, 1], what is edited
    prompt: str
    steps: int
    strength: float = 1.0  # in (0, 1], part of the way that is walked over the views by models that are not shown them
    mask: np.ndarray | None = None  # bool [N, H, W]; everything where None
    geometry: ViewGeometry | None = None  # for controls, and whose cameras say who neighbours whom
    cameras: Sequence[Camera] = field(default_factory=tuple)  # where there is no geometry
    style: np.ndarray | None = None  # f4 [h, w, 3] in [0, 1]
    environment: Environment | None = None
    before: np.ndarray | None = None  # f4 [N, H, W, 3] in [0, 1], the views before the edit that `views` are

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    @cached_property
    def _schedule(self) -> Schedule:
        levels = self.network.model.levels_at(*self.views.shape[1:3])
        schedule = levels.schedule(self.steps)
        return schedule if self.network.edits else levels.from_strength(schedule, self.strength)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        codec, (views, height, width) = self.network.model.codec, self.views.shape[:3]
        return views, codec.channels, height // codec.factor, width // codec.factor

    @property
    def device(self) -> torch.device:
        return self.network.model.device

    @property
    def eta(self) -> float:
        return self.network.card.eta

    @property
    def clean(self) -> Tensor | None:
        """[N, C, h, w] on the CPU: what is noised at the schedule's first level; None: begin from noise alone."""
        if "before" in self.network.card.needs:
            return self._latents  # it was trained at levels that all leave a trace of the edit
        return None if self.network.edits or self.strength == 1 else self._latents

    def editor(self, seed: int) -> Denoiser:
        """A: all views with the prompt, attending to their neighbours where these are known."""
        denoiser = self._bound(self.style, self._neighbours)
        return lambda x, level, /: self._held(denoiser(x, level))

    def prior(self, reference: int, edited: Tensor, seed: int) -> Denoiser:
        """A', see the module; `edited` [C, h, w]."""
        style = self.style
        if self.network.model.styled:
            style = self.images(edited[None])[0].permute(1, 2, 0).cpu().numpy() / 2 + 0.5
        denoiser = self._bound(style, _toward(reference, len(self.views)))

        def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
            x0 = self._held(denoiser(x, level)).clone()
            x0[reference] = edited.to(x0)
            return x0

        return denoise

    def agreed(self, space: LinearSpace) -> Callable[[Tensor], Tensor]:
        """F through the decoded images: `methods.decoded`."""
        codec = self.network.model.codec
        return lambda x0: self._held(through_images(x0, codec, lambda shown: space.synchronize(shown)[0]))

    def images(self, x0: Tensor) -> Tensor:
        return self.network.model.codec.decode(x0).float().clamp(-1, 1).to(x0.device)

    def _bound(self, style: np.ndarray | None, neighbours: ViewNeighbours | None) -> Denoiser:
        mask = np.ones(self.views.shape[:3], bool) if self.mask is None else self.mask
        conditioning = self.network.conditioning(
            (self.prompt,) * len(self.views),
            drawn=lambda kinds: view_controls(kinds, self.views, self.geometry),
            image=self._planes,
            mask=torch.from_numpy(mask)[:, None].float(),
            style=style,
            background=self._behind,
            before=None if self.before is None else as_planes(self.before),
            surroundings=self._surroundings,
            neighbours=neighbours,
        )
        return self.network.model.bind(conditioning)

    @cached_property
    def _planes(self) -> Tensor:
        return as_planes(self.views)

    @cached_property
    def _latents(self) -> Tensor:
        model = self.network.model
        return model.codec.encode(self._planes.to(model.device)).cpu()

    @property
    def _behind(self) -> Tensor | None:
        if self.environment is None or "background" not in self.network.card.needs:
            return None
        return seen_behind(self.environment, self._cameras)

    @property
    def _surroundings(self) -> Tensor | None:
        if "surroundings" not in self.network.card.needs:
            return None
        if self.environment is None:
            name = self.network.card.name
            raise InvalidInput(f"{name} relights by an environment map, and there is none", "send one, or name a light")
        low, high = turned_maps(self.environment, self._cameras, (self.views.shape[1], self.views.shape[2]))
        return torch.cat([high, low], 1)

    @property
    def _cameras(self) -> Sequence[Camera]:
        return self.cameras if self.geometry is None else self.geometry.cameras

    @property
    def _neighbours(self) -> ViewNeighbours | None:
        cameras = self._cameras
        if not cameras or not self.network.card.views_attend:
            return None
        return neighbours_of(cameras, meeting_point(cameras))

    @cached_property
    def _share(self) -> Tensor | None:
        """[N, 1, h, w] in [0, 1]: how much of a latent may change; None where all of it may."""
        free = self.network.relights or "before" in self.network.card.needs
        if self.mask is None or self.mask.all() or free:
            return None
        allowed = torch.from_numpy(self.mask)[:, None].float()
        return functional.adaptive_avg_pool2d(allowed, self.shape[2:])

    def _held(self, x0: Tensor) -> Tensor:
        """x0 with the views' own latents where nothing may change."""
        if self._share is None:
            return x0
        return torch.lerp(self._latents.to(x0), x0, self._share.to(x0))


def _toward(reference: int, views: int) -> ViewNeighbours:
    """Every view looks at itself and the reference."""
    keys = tuple((view,) if view == reference else (view, reference) for view in range(views))
    return ViewNeighbours(keys, (reference,) * views)
