"""Which cells of a texture are repainted, from how much noise, and how that looks in a set of views."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.schedule import TRAIN_STEPS, stable_diffusion
from weft.spaces.mesh_texture import MeshTextureSpace

__all__ = ["Edit", "noise_ratio"]

RIM = 3  # pixels inside the border of an edit over which it comes in
_REACH = 3  # pixels beyond an edit that are denoised with it: its rim reads them


@dataclass(frozen=True, eq=False)
class Edit:
    """What is repainted, how much of it stays, and what is held."""

    z: Tensor  # [cells, 3] in [-1, 1], the texture that is there
    cells: np.ndarray  # bool [cells] to repaint; the others keep their values
    begin: float  # s from which on, of view pixels; infinite: from noise alone

    @property
    def from_noise(self) -> bool:
        """Whether nothing of what is repainted stays."""
        return not np.isfinite(self.begin)

    @property
    def is_partial(self) -> bool:
        return not self.cells.all()

    def shown_by(self, space: MeshTextureSpace) -> np.ndarray:
        """bool [N, H, W]: pixels that show nothing but repainted cells."""
        return (self._weights(space) > 0.999)[:, 0].numpy()

    def reached_by(self, space: MeshTextureSpace) -> np.ndarray:
        """bool [N, H, W]: pixels that show repainted cells, and those a little beyond."""
        shown = (self._weights(space) > 0).float()
        reached = functional.max_pool2d(shown, 2 * _REACH + 1, stride=1, padding=_REACH)[:, 0] > 0
        return reached.numpy() & space.views.mask

    def softened(self, space: MeshTextureSpace, z: Tensor) -> Tensor:
        """z [cells, 3] with the old texture outside the repainted cells, and a short way into it within them.

        The rim is as wide in the world everywhere, also across chart borders, because it is measured in the views.
        """
        linear = space.linear(1.0)
        inside = self.changed_in(space) > 0.5
        edge, share = inside.float(), torch.zeros(inside.shape)
        for _ in range(RIM):
            share += edge / RIM
            edge = -functional.max_pool2d(-edge, 3, stride=1, padding=1)
        share = linear.unproject(linear.rows_of(share)) * torch.from_numpy(self.cells)[:, None]
        return self.z + share * (z - self.z)

    def changed_in(self, space: MeshTextureSpace) -> Tensor:
        """[N, 1, H, W] in [0, 1]: how much of each pixel may change; all of it beside the object."""
        return torch.where(torch.from_numpy(space.views.mask)[:, None], self._weights(space), 1.0)

    def _weights(self, space: MeshTextureSpace) -> Tensor:
        """[N, 1, H, W] in [0, 1]: how much of each pixel is repainted."""
        linear = space.linear(1.0)
        return linear.views_of(linear.project(torch.from_numpy(self.cells.astype(np.float32))[:, None]))


def noise_ratio(strength: float) -> float:
    """s = σ/α at the part `strength` in (0, 1] of the schedule; infinite at 1, where nothing of the old is left."""
    if strength == 1:
        return math.inf
    ratios = [level.s for level in stable_diffusion(TRAIN_STEPS).levels[::-1]]
    return float(np.interp(strength, np.linspace(0, 1, len(ratios)), ratios))
