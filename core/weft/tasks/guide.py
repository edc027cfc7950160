"""What a result is compared with on a contact sheet and in the measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from weft.models.networks.image_model import Control
from weft.tasks.phases import Painter

__all__ = ["Guide", "guide_of"]


@dataclass(frozen=True, eq=False)
class Guide:
    """A picture f4 [h, w, 3] in [0, 1] and, if its matter was painted, the painter of it."""

    title: str
    picture: np.ndarray
    painter: Painter | None = None

    @cached_property
    def shown(self) -> np.ndarray | None:
        """The picture at the scale of the views, if its matter was painted."""
        return None if self.painter is None else self.painter.exemplar().image * np.float32(0.5) + np.float32(0.5)


def guide_of(controls: Sequence[Control], image: Tensor | None = None) -> Guide:
    """What a network was shown of the first view: `image` [N, 3, H, W] in [-1, 1], else a control, else grey."""
    if image is not None:
        return Guide("before", image[0].permute(1, 2, 0).numpy() * np.float32(0.5) + np.float32(0.5))
    if controls:
        images = controls[0].images
        shows = [i for i, view in enumerate(images) if view.std() > 0]  # of a panorama the first may see only the sky
        return Guide(controls[0].kind, images[shows[0] if shows else 0].permute(1, 2, 0).numpy())
    return Guide("no guide", np.full((64, 64, 3), 0.5, np.float32))
