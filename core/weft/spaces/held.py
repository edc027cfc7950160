"""Spaces in which some cells have their values already, or some pixels: what a repainted patch grows into."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weft.errors import InvalidInput
from weft.spaces.linear import LinearSpace
from weft.spaces.resident import Resident

__all__ = ["HeldSpace", "blind", "holding"]


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldSpace(LinearSpace):
    """`aggregate` puts `values` into the `held` cells, whatever the views say of them.

    In a denoising step that is the replacement of x0 outside a mask (RePaint, Lugmayr et al. 2022; Blended Diffusion,
    Avrahami et al. 2022), in the canonical space instead of in each view: with η = 1 and noise that all views look up
    there, what is held is seen at every level as the original with fresh noise.
    """

    held: NDArray[np.bool_]  # [cells]
    values: Tensor  # [cells, C]; only those of the held cells count

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.held.shape != (self.cells,) or len(self.values) != self.cells:
            raise InvalidInput(
                f"{self.held.shape} flags and {len(self.values)} values do not fit {self.cells} cells",
                "give one of each per cell",
            )

    def aggregate(self, rows: Tensor) -> Tensor:
        z = super().aggregate(rows)
        return torch.where(self._held.on(z.device), self._values.on(z.device), z)

    @cached_property
    def _held(self) -> Resident:
        return Resident(self.held[:, None])

    @cached_property
    def _values(self) -> Resident:
        return Resident(self.values)


def holding(space: LinearSpace, held: NDArray[np.bool_], values: Tensor) -> HeldSpace:
    """`space` with the `held` cells [cells] at `values` [cells, C]."""
    return HeldSpace(
        space.projection, space.view_shape, space.gather, space.fill, space.residual_passes, space.iterations,
        space.damping, held=held, values=values,
    )  # fmt: skip


def blind(space: LinearSpace, pixels: NDArray[np.bool_]) -> LinearSpace:
    """`space` in which these pixels [N·H·W] see no cell, and so keep what they have when views are synchronised; the
    cells of a space with a `gather` read them as before."""
    return replace(space, projection=space.projection.rows_kept(~pixels))
