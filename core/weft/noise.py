"""Seeded noise. Randomness is an argument: no function here reads or sets a global generator.

The same seed gives the same bytes on the same device. Every view must start from white noise of unit variance, and
views that see the same cell of a canonical space must start from the same value: `projected` gives both, because it
copies values (nearest lookup) and never mixes them. Bilinear lookup would lower the variance to Σw² < 1.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weft.errors import InvalidInput

__all__ = ["CanonicalNoise", "Variant", "gaussian", "generator", "projected", "whitened"]

_UNITS = 8  # independent noises that one draw holds
_CACHED = 2**13  # eights that are mixed at a time
_MORE = 2**31  # added to the numbers of streams that only variants draw from


class Variant(int):
    """The seed of one of several variants of a thing, whose noises are coupled: ε = Σ_j row_j ξ_j, with ξ_j the same
    for all of them (`methods.coupled_noise` makes rows). Whatever else a seed decides is the same for all, too. The
    row (1,) is the plain seed, to the bit, and zeros at the end of a row change nothing.

    It costs one draw and not one for every ξ_j. Of a draw x, eight values at a time, ξ_j = U_j x with the signed
    permutations U_j that multiply an octonion by its units: U_0 = I, and U_iᵀ U_j + U_jᵀ U_i = 0 for all i ≠ j
    (Hurwitz 1898, Radon 1922). So Q(row) = Σ_j row_j U_j is orthogonal, every ε = Q x is N(0, I) exactly, and of two
    variants Q Q'ᵀ + Q' Qᵀ = 2 ⟨row, row'⟩ I: the values that any one linear functional has on both correlate by
    ⟨row, row'⟩, and ε - ε' is white. Longer rows take one more draw for every eight that are not zero.
    """

    row: tuple[float, ...]  # of length 1: every noise stays N(0, I)

    def __new__(cls, seed: int, row: Sequence[float]) -> Variant:
        variant = super().__new__(cls, seed)
        variant.row = tuple(map(float, row))
        return variant


class _Mixture(torch.Generator):
    """The generator of a variant: `gaussian` mixes what it draws; all else comes as from the plain seed's."""

    mixers: list[NDArray[np.float32]]  # Q of the first eight of the row, and of every other that is not zero, [8, 8]
    more: list[torch.Generator]  # that these others are drawn from
    rest: torch.Generator  # which fills up draws whose number of values is no multiple of eight


def generator(seed: int, *stream: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for `seed`; each `stream` (a phase, a variant, …) is independent of all others of that seed."""
    if seed < 0 or min(stream, default=0) < 0:
        raise InvalidInput(f"seed {seed} with stream {stream} is negative", "seeds and streams count from 0")
    mixture = isinstance(seed, Variant) and _is_mixed(seed.row)
    made = _Mixture(device) if mixture else torch.Generator(device)
    state = np.random.SeedSequence(int(seed), spawn_key=stream).generate_state(1, np.uint64)
    made.manual_seed(int(state[0] >> np.uint64(1)))
    if isinstance(made, _Mixture) and isinstance(seed, Variant):
        eights = [seed.row[first : first + _UNITS] for first in range(0, len(seed.row), _UNITS)]
        drawn = [part for part, row in enumerate(eights) if part == 0 or any(row)]
        made.mixers = [_mixer(eights[part]) for part in drawn]
        made.rest, *made.more = (generator(int(seed), *stream, _MORE + part, device=device) for part in drawn)
    return made


def gaussian(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """N(0, I), float32, on the generator's device."""
    drawn = torch.randn(shape, generator=generator, device=generator.device)
    if not isinstance(generator, _Mixture) or not drawn.numel():
        return drawn
    values = _eights(drawn, generator.rest)
    more = [_eights(torch.randn(shape, generator=source, device=source.device), source) for source in generator.more]
    _mix(values, more, [torch.from_numpy(mixer).to(values.device) for mixer in generator.mixers])
    return values.reshape(-1)[: drawn.numel()].reshape(shape)


def _mix(values: Tensor, more: Sequence[Tensor], mixers: Sequence[Tensor]) -> None:
    """Q_0 `values` + Σ_j Q_j `more`_j in the place of `values` [8, n], part by part, as caches hold."""
    width = _CACHED if values.device.type == "cpu" else max(values.shape[1], 1)
    for first in range(0, values.shape[1], width):
        part = slice(first, first + width)
        mixed = mixers[0] @ values[:, part]
        for mixer, others in zip(mixers[1:], more, strict=True):
            mixed += mixer @ others[:, part]
        values[:, part] = mixed


def _eights(drawn: Tensor, source: torch.Generator) -> Tensor:
    """[8, n] of the values drawn, and of a few more from `source` where these do not divide."""
    lacking = -drawn.numel() % _UNITS
    more = [torch.randn(lacking, generator=source, device=source.device)] if lacking else []
    return torch.cat([drawn.reshape(-1), *more]).reshape(_UNITS, -1) if more else drawn.reshape(_UNITS, -1)


def _is_mixed(row: tuple[float, ...]) -> bool:
    return row[0] != 1 or any(row[1:])


def _mixer(row: Sequence[float]) -> NDArray[np.float32]:
    """Q = Σ_j row_j U_j, [8, 8]."""
    return np.einsum("j,jab->ab", np.array(row), _units()[: len(row)]).astype(np.float32)


@functools.cache
def _units() -> NDArray[np.float64]:
    """U_j [8, 8, 8]: left multiplication by the units of the octonions. By Cayley and Dickson, with a conjugate a*,
    (a, b)(c, d) = (a c - d* b, d a + b c*)."""
    basis = np.eye(_UNITS)
    return np.array([[_product(unit, other) for other in basis] for unit in basis]).transpose(0, 2, 1)


def _product(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(x) == 1:
        return x * y
    (a, b), (c, d) = np.split(x, 2), np.split(y, 2)
    return np.concatenate([_product(a, c) - _product(_conjugate(d), b), _product(d, a) + _product(b, _conjugate(c))])


def _conjugate(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([x[:1], -x[1:]])


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
