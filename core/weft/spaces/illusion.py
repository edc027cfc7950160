"""Illusions: one square image, seen through several transformations.

A transformation is data: which cell of the image each pixel of its view shows, which of its pixels each cell reads
when the view is laid back, and a sign (Geng et al. 2024, "Visual anagrams"). All but the inner circle are 1-to-1:
one index map is the other's inverse, P is a signed permutation and P Pᵀ = 1, so white noise stays white. The circle is
turned by any angle and sampled to the nearest pixel: 1-to-n, laid back by the nearest pixel of the opposite turn.

What one sees (all turns counter-clockwise, S the side of the image):

    rotate_*            the image turned
    flip_*              left and right, or top and bottom, exchanged
    negate              -z: white for black
    skew                column i rolled down by 1.5 (i - S/2), around the edge
    patch_permutation   8 × 8 squares shuffled
    pixel_permutation   64 × 64 squares shuffled (fewer where the side is no multiple of 64)
    jigsaw              4 × 4 interlocking pieces, shuffled among the places that they fit
    inner_circle_*      a disk of radius 3/8 S turned, the rest as it is
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from weft.errors import InvalidInput, UnknownName
from weft.spaces.linear import LinearSpace
from weft.spaces.shuffles import Shuffle, jigsaw, squares
from weft.spaces.sparse import SparseMatrix

__all__ = [
    "CIRCLE_RADIUS",
    "SHUFFLES",
    "VIEW_NAMES",
    "VIEW_UNIT",
    "Transformation",
    "check_view",
    "cut_of",
    "illusion_space",
    "shuffled",
    "transformation",
    "transformations",
    "weighted",
]

ANGLES = tuple(range(45, 176, 10))  # degrees of the inner circle
CIRCLE_RADIUS = 0.375  # of the side
PATCHES, PIXELS = 8, 64  # squares a side that the permutations shuffle
SKEW = 1.5  # rows per column
VIEW_UNIT = 16  # pixels: sides are multiples, so that pieces divide evenly
_GEOMETRIC = {
    "identity": lambda grid: grid,
    "flip_horizontal": np.fliplr,
    "flip_vertical": np.flipud,
    "rotate_90": np.rot90,
    "rotate_180": lambda grid: np.rot90(grid, 2),
    "rotate_270": lambda grid: np.rot90(grid, 3),
    "negate": lambda grid: grid,
    "skew": lambda grid: _skewed(grid),
}
SHUFFLES = ("patch_permutation", "pixel_permutation", "jigsaw")
_CIRCLES = {f"inner_circle_{angle}": angle for angle in ANGLES}
VIEW_NAMES = (*_GEOMETRIC, *SHUFFLES, *_CIRCLES)


@dataclass(frozen=True, eq=False)
class Transformation:
    """view = sign · image[source], laid back: image = sign · view[back]. Pixels and cells count in row order."""

    name: str
    size: int  # S
    source: NDArray[np.int32]  # [S·S], the cell that each pixel shows
    back: NDArray[np.int32]  # [S·S], the pixel that each cell reads when the view is laid back
    sign: float = 1.0
    pieces: NDArray[np.int32] | None = None  # [S·S], the rigid piece that each cell belongs to; None: no pieces

    @cached_property
    def invertible(self) -> bool:
        """Whether the view shows every cell exactly once, and lays it back where it was."""
        return bool(np.array_equal(self.back[self.source], np.arange(self.size**2)))

    def inverse(self) -> Transformation:
        """The transformation that undoes this one; InvalidInput where none does exactly."""
        if not self.invertible:
            raise InvalidInput(
                f"{self.name!r} cannot be inverted: it shows some pixels of the image twice and others never",
                "use a rotation by quarter turns, a flip, a permutation, the skew or the negative",
            )
        return Transformation(f"inverse of {self.name}", self.size, self.back, self.source, self.sign)

    def apply(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The view of an image f4 [S, S, C], both in [-1, 1]."""
        return self._looked_up(image, self.source)

    def restore(self, view: NDArray[np.float32]) -> NDArray[np.float32]:
        """The image that the view f4 [S, S, C] is laid back to."""
        return self._looked_up(view, self.back)

    def _looked_up(self, image: NDArray[np.float32], index: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.float32(self.sign) * image.reshape(self.size**2, -1)[index].reshape(image.shape)


def transformation(name: str, size: int, seed: int = 0) -> Transformation:
    """The view `name` of images of `size` pixels a side, a multiple of 16. `seed` chooses among shuffles.

    Raises UnknownName, with the nearest name that exists, or InvalidInput for a size that pieces do not divide.
    """
    check_view(name)
    if size < VIEW_UNIT or size % VIEW_UNIT:
        raise InvalidInput(f"illusions of {size} pixels a side", f"choose a multiple of {VIEW_UNIT}")
    grid = np.arange(size * size, dtype=np.int32).reshape(size, size)
    if name in _GEOMETRIC:
        source = np.ascontiguousarray(_GEOMETRIC[name](grid)).ravel()
        pieces = None if name == "skew" else np.zeros(size * size, np.int32)
        return Transformation(name, size, source, _inverted(source), -1.0 if name == "negate" else 1.0, pieces)
    if name in _CIRCLES:
        angle = _CIRCLES[name]
        inside = _inside_circle(size).ravel().astype(np.int32)
        return Transformation(name, size, _turned_disk(size, angle), _turned_disk(size, -angle), pieces=inside)
    cut = cut_of(name, size)
    return shuffled(name, cut, cut.random(np.random.default_rng(seed)))


def cut_of(name: str, size: int) -> Shuffle:
    """The pieces of the shuffle `name`."""
    if name == "jigsaw":
        return jigsaw(size)
    return squares(size, PATCHES if name == "patch_permutation" else _most_squares(size))


def shuffled(name: str, cut: Shuffle, goals: list[NDArray[np.intp]]) -> Transformation:
    """The view in which every piece of the cut lies at its goal."""
    source = cut.source(goals)
    return Transformation(name, cut.size, source, _inverted(source), pieces=cut.pieces)


def check_view(name: str) -> None:
    """UnknownName, with the nearest name that exists."""
    if name in VIEW_NAMES:
        return
    near = difflib.get_close_matches(name.lower().replace(" ", "_").replace("-", "_"), VIEW_NAMES, 1, 0.6)
    every = f"{', '.join((*_GEOMETRIC, *SHUFFLES))}, inner_circle_45 to inner_circle_175 in steps of 10"
    raise UnknownName(f"no view is called {name!r}", f"did you mean {near[0]!r}?" if near else f"choose one of {every}")


def illusion_space(views: Sequence[str | Transformation], size: int, seed: int = 0) -> LinearSpace:
    """The image's S·S pixels are the cells, each transformation is a view [N, S, S]; the image is the views' mean.

    View i is shuffled by `seed` + i, so that two views of one kind differ.
    """
    found = transformations(views, size, seed)
    space = LinearSpace(signed_lookup(found, size * size), (len(found), size, size))
    if all(view.invertible for view in found):
        return space  # D⁻¹Pᵀ is the mean of the inverses
    return weighted(space, found, np.ones((len(found), size, size), np.float32))


def weighted(space: LinearSpace, views: Sequence[Transformation], weights: NDArray[np.float32]) -> LinearSpace:
    """The illusion whose image is the mean of the views with these weights ≥ 0, [N, S, S] as laid back in the image.

    A view of more weight has more say about a cell. Still G P = 1 for 1-to-1 views, since their weights sum to 1.
    """
    cells = space.cells
    total = weights.sum(0)
    if weights.shape != space.view_shape or weights.min() < 0 or total.min() <= 0:
        raise InvalidInput(
            f"weights of shape {weights.shape}, {weights.min():g} at least",
            "give every view ≥ 0, every cell > 0 in sum",
        )
    signs = np.array([view.sign for view in views], np.float32)[:, None, None]
    rows = np.tile(np.arange(cells), len(views))
    columns = np.concatenate([i * cells + view.back.astype(np.int64) for i, view in enumerate(views)])
    values = (weights / total * signs).ravel()
    return replace(space, gather=SparseMatrix.from_entries(rows, columns, values, (cells, len(views) * cells)))


def transformations(views: Sequence[str | Transformation], size: int, seed: int = 0) -> list[Transformation]:
    """Named ones built for `size`, view i with `seed` + i; others as they are."""
    if not views:
        raise InvalidInput("an illusion of no views", "name at least one")
    return [
        view if isinstance(view, Transformation) else transformation(view, size, seed + i)
        for i, view in enumerate(views)
    ]


def signed_lookup(views: Sequence[Transformation], cells: int) -> SparseMatrix:
    """P [N·S·S, cells]: each pixel's one cell, times the sign of its view."""
    lookup = SparseMatrix.from_index(np.concatenate([view.source for view in views]), cells)
    return lookup.rows_scaled(np.concatenate([np.full(view.size**2, view.sign, np.float32) for view in views]))


def _inverted(source: NDArray[np.int32]) -> NDArray[np.int32]:
    back = np.empty_like(source)
    back[source] = np.arange(len(source), dtype=np.int32)
    return back


def _skewed(grid: NDArray[np.int32]) -> NDArray[np.int32]:
    size = len(grid)
    shift = np.rint(SKEW * (np.arange(size) - size // 2)).astype(int)
    rows = (np.arange(size)[:, None] - shift) % size
    return grid[rows, np.arange(size)]


def _inside_circle(size: int) -> NDArray[np.bool_]:
    """[S, S] whether a pixel's centre lies on the disk."""
    offset = np.arange(size) - (size - 1) / 2
    return offset[:, None] ** 2 + offset**2 < (CIRCLE_RADIUS * size) ** 2


def _turned_disk(size: int, angle: float) -> NDArray[np.int32]:
    """[S·S] the nearest cell that each pixel shows once the disk was turned by `angle` degrees, counter-clockwise."""
    rows, columns = np.mgrid[:size, :size]
    middle = (size - 1) / 2
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    x, y = columns - middle, middle - rows  # y up
    from_columns = np.rint(middle + cos * x + sin * y).astype(np.int32)
    from_rows = np.rint(middle - (cos * y - sin * x)).astype(np.int32)
    inside = _inside_circle(size)
    index = np.where(inside, from_rows * size + from_columns, rows * size + columns)
    return index.ravel().astype(np.int32)


def _most_squares(size: int) -> int:
    """The most squares a side, up to PIXELS, that divide the image evenly."""
    return max(count for count in range(1, PIXELS + 1) if size % count == 0)
