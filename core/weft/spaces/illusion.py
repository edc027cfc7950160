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
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from weft.errors import InvalidInput, UnknownName
from weft.spaces.jigsaw import jigsaw_pieces, jigsaw_shuffle
from weft.spaces.linear import LinearSpace
from weft.spaces.sparse import SparseMatrix

__all__ = ["CIRCLE_RADIUS", "VIEW_NAMES", "VIEW_UNIT", "Transformation", "illusion_space", "transformation"]

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
_SHUFFLES = ("patch_permutation", "pixel_permutation", "jigsaw")
_CIRCLES = {f"inner_circle_{angle}": angle for angle in ANGLES}
VIEW_NAMES = (*_GEOMETRIC, *_SHUFFLES, *_CIRCLES)


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
    random = np.random.default_rng(seed)
    if name == "jigsaw":
        source, pieces = jigsaw_shuffle(size, random), jigsaw_pieces(size).ravel()
    else:
        squares = PATCHES if name == "patch_permutation" else _most_squares(size)
        source, pieces = _shuffled_squares(size, squares, random)
    return Transformation(name, size, source, _inverted(source), pieces=pieces)


def check_view(name: str) -> None:
    """UnknownName, with the nearest name that exists."""
    if name in VIEW_NAMES:
        return
    near = difflib.get_close_matches(name.lower().replace(" ", "_").replace("-", "_"), VIEW_NAMES, 1, 0.5)
    every = f"{', '.join((*_GEOMETRIC, *_SHUFFLES))}, inner_circle_45 to inner_circle_175 in steps of 10"
    raise UnknownName(f"no view is called {name!r}", f"did you mean {near[0]!r}?" if near else f"choose one of {every}")


def illusion_space(views: Sequence[str], size: int, seed: int = 0) -> LinearSpace:
    """The image's S·S pixels are the cells, each transformation is a view [N, S, S]; the image is the views' mean.

    View i is shuffled by `seed` + i, so that two views of one kind differ.
    """
    if not views:
        raise InvalidInput("an illusion of no views", "name at least one")
    found = [transformation(name, size, seed + i) for i, name in enumerate(views)]
    shape, cells = (len(found), size, size), size * size
    projection = signed_lookup(found, cells)
    if all(view.invertible for view in found):
        return LinearSpace(projection, shape)  # D⁻¹Pᵀ is the mean of the inverses
    rows = np.tile(np.arange(cells), len(found))
    columns = np.concatenate([i * cells + view.back.astype(np.int64) for i, view in enumerate(found)])
    values = np.concatenate([np.full(cells, view.sign / len(found), np.float32) for view in found])
    gather = SparseMatrix.from_entries(rows, columns, values, (cells, len(found) * cells))
    return LinearSpace(projection, shape, gather=gather)


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


def _shuffled_squares(
    size: int, squares: int, random: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(source, pieces) of `squares` × `squares` squares in random places."""
    side = size // squares
    tiles = np.arange(size * size, dtype=np.int32).reshape(squares, side, squares, side).swapaxes(1, 2)
    shuffled = tiles.reshape(-1, side, side)[random.permutation(squares**2)].reshape(tiles.shape)
    source = np.ascontiguousarray(shuffled.swapaxes(1, 2)).ravel()
    of_square = np.arange(squares**2, dtype=np.int32).reshape(squares, squares)
    return source, of_square.repeat(side, 0).repeat(side, 1).ravel()
