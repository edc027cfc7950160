"""A multi-view network as the prior of a job on views, in the place of the one that geometry makes of the editor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.methods.coupled_sampling import matched
from weft.models.cards import notice
from weft.models.networks.multi_view import GeometryPictures, MultiViewConditioning, MultiViewModel
from weft.models.prior_cards import PriorCard, check_partners
from weft.schedule import Schedule
from weft.spaces.view_geometry import ViewGeometry
from weft.tasks.events import Event, Progress, Warning
from weft.tasks.network import Network
from weft.tasks.painting import Clock

__all__ = ["NetworkPrior"]


@dataclass(frozen=True, eq=False)
class NetworkPrior:
    """`open` loads the model, or finds it loaded."""

    card: PriorCard
    open: Callable[[], MultiViewModel]

    @cached_property
    def model(self) -> MultiViewModel:
        """The loaded model; the first look takes its time."""
        return self.open()

    def load(self, clock: Clock, editor: Network | None) -> Iterator[Event]:
        """Have the model loaded. Raises ModelMismatch where it and the editor (None: the embedded one) denoise
        different things."""
        check_partners(None if editor is None else editor.card, self.card)
        yield Progress("prior", 1, 1, f"loading {self.card.name}")
        if text := notice(self.card):
            yield Warning(text, "`weft models` lists the licences")
        with clock.phase("prior"):
            self.model  # noqa: B018 (the look loads it)

    def bind(self, reference: int, picture: Tensor, geometry: ViewGeometry, prompt: str) -> Denoiser:
        """What view number `reference`, edited to `picture` [1, 3, H, W] in [-1, 1], says of all views."""
        known = None
        if self.card.geometry:
            known = GeometryPictures(
                _planes(geometry.position), _planes(geometry.normal), torch.from_numpy(geometry.mask)[:, None].float()
            )
        prompts = (prompt,) * len(geometry.cameras) if prompt else ()
        wanted = MultiViewConditioning(geometry.cameras, (reference,), picture, prompts, geometry=known)
        return self.model.bind(wanted)

    def schedule(self, steps: int, like: Schedule) -> Schedule:
        """Its own levels above those of the editor, then the editor's."""
        return matched(self.model.levels.schedule(steps), like)


def _planes(maps: object) -> Tensor:
    """f4 [N, H, W, 3] as [N, 3, H, W]."""
    return torch.as_tensor(maps).permute(0, 3, 1, 2).contiguous()
