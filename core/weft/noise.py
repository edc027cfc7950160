"""Seeded noise. Randomness is an argument: no function here reads or sets a global generator.

The same seed gives the same bytes on the same device. Every view must start from white noise of unit variance, and
views that see the same cell of a canonical space must start from the same value: `projected` gives both, because it
copies values (nearest lookup) and never mixes them. Bilinear lookup would lower the variance to Σw² < 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weft.errors import InvalidInput

__all__ = ["CanonicalNoise", "Variant", "gaussian", "generator", "projected", "whitened"]


class Variant(int):
    """The seed of one of several variants of a thing, whose noises are coupled: ε = Σ_j row_j ξ_j, with ξ_j the same
    for all of them (`methods.coupled_noise` makes rows). Whatever else a seed decides is the same for all, too."""

    row: tuple[float, ...]  # of length 1: every noise stays N(0, I)

    def __new__(cls, seed: int, row: Sequence[float]) -> Variant:
        variant = super().__new__(cls, seed)
        variant.row = tuple(map(float, row))
        return variant


class _Mixture(torch.Generator):
    """The generator of a variant: what is drawn from it by `gaussian` is a mixture of what its parts draw."""

    parts: list[torch.Generator]
    row: tuple[float, ...]


def generator(seed: int, *stream: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for `seed`; each `stream` (a phase, a variant, …) is independent of all others of that seed."""
    if seed < 0 or min(stream, default=0) < 0:
        raise InvalidInput(f"seed {seed} with stream {stream} is negative", "seeds and streams count from 0")
    if isinstance(seed, Variant):
        mixture = _Mixture(device)
        mixture.row = seed.row
        mixture.parts = [generator(int(seed), *stream, part, device=device) for part in range(len(seed.row))]
        return mixture
    state = np.random.SeedSequence(seed, spawn_key=stream).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0] >> np.uint64(1)))


def gaussian(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """N(0, I), float32, on the generator's device."""
    if isinstance(generator, _Mixture):
        total = torch.zeros(shape, dtype=torch.float64, device=generator.device)
        for weight, part in zip(generator.row, generator.parts, strict=True):
            if weight:
                total += weight * gaussian(shape, part)
        return total.float()
    return torch.randn(shape, generator=generator, device=generator.device)


class CanonicalNoise:
    """One N(0, I) field over the cells of a space, looked up by all its views.

    A cell seen by several pixels of one view gives its noise to the first of them, the rest draw their own: each view
    alone is then exactly white, however coarse the cells are. Pixels that see no cell draw their own too.
    """

    def __init__(
        self,
        index: NDArray[np.int32],  # [N·H·W], the cell that each pixel of each view looks up; -1: none
        cells: int,
        view_shape: tuple[int, int, int],  # N, H, W
        signs: NDArray[np.float32] | None = None,  # [N·H·W] of -1 and 1: a negative shows its cell's noise negated
    ) -> None:
        views, height, width = view_shape
        if index.shape != (views * height * width,):
            raise InvalidInput(
                f"an index of shape {index.shape} does not fit views of {view_shape}",
                f"give one cell, or -1, for each of the {views * height * width} pixels",
            )
        if index.size and index.max() >= cells:
            raise InvalidInput(f"cell {index.max()} is not among the {cells} cells", "index cells from 0")
        self.cells, self.view_shape = cells, view_shape
        lookup = whitened(index, views)
        pixels = torch.from_numpy(np.flatnonzero(lookup >= 0))
        seen = torch.from_numpy(lookup[lookup >= 0].astype(np.int64))
        sign = torch.ones(1) if signs is None else torch.from_numpy(signs[lookup >= 0])
        self._lookups = {pixels.device: (pixels, seen, sign[:, None])}  # by device, uploaded once

    def __call__(self, channels: int, generator: torch.Generator) -> Tensor:
        """A new draw, [N, channels, H, W], on the generator's device."""
        views, height, width = self.view_shape
        field = gaussian((self.cells, channels), generator)
        return self.looked_up(field, gaussian((views * height * width, channels), generator))

    def looked_up(self, field: Tensor, rows: Tensor) -> Tensor:
        """The noise `field` [cells, C] as all views see it, [N, C, H, W]; `rows` [N·H·W, C], overwritten there, are
        the pixels' own."""
        views, height, width = self.view_shape
        if rows.device not in self._lookups:
            pixels, seen, sign = next(iter(self._lookups.values()))
            self._lookups[rows.device] = pixels.to(rows.device), seen.to(rows.device), sign.to(rows.device)
        pixels, seen, sign = self._lookups[rows.device]
        rows[pixels] = field[seen] * sign
        return rows.reshape(views, height, width, -1).permute(0, 3, 1, 2)


def projected(
    index: NDArray[np.int32],
    cells: int,
    view_shape: tuple[int, int, int],
    channels: int,
    generator: torch.Generator,
) -> Tensor:  # [N, C, H, W]
    """A single draw of `CanonicalNoise`."""
    return CanonicalNoise(index, cells, view_shape)(channels, generator)


def whitened(index: NDArray[np.int32], views: int) -> NDArray[np.int32]:
    """`index` with every cell kept at its first pixel in each view and -1 at its others in that view."""
    result = np.full_like(index, -1)
    for before, after in zip(index.reshape(views, -1), result.reshape(views, -1), strict=True):
        cells, first = np.unique(before, return_index=True)
        after[first] = cells
    return result
