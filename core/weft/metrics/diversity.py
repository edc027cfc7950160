"""How different the m pictures of one gallery are: distances of pixels, and similarity of features without weights.

Vendi score: Friedman & Dieng 2023, "The Vendi Score: A Diversity Evaluation Metric for Machine Learning": how many
different things there are, exp of the entropy of the eigenvalues of K/m with K the similarities, K_ii = 1.

Features of a picture, none of which needs a trained network:

- `layout`: what lies where. Colours relative to a common one, averaged over 8 x 8 cells, what is brighter apart from
  what is darker (as ON and OFF cells of the eye do). Apart, because the cosine of opposite vectors is -1, and K then
  has the eigenvalues of two equal things: to the Vendi score, opposite would be alike.
- `look`: of what it is made, wherever. Means and deviations of colours and of their differences at three scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from weft.errors import InvalidInput

__all__ = ["cosine_similarity", "layout", "look", "mean_similarity", "pair_distances", "vendi"]

CELLS = 8  # along each side, of `layout`
_SCALES = 3  # 1, 1/2, 1/4, of `look`

Images = Sequence[np.ndarray] | np.ndarray  # m of [H, W, C]


def pair_distances(images: Images) -> np.ndarray:
    """RMS difference of every two of m images of one shape, over all pixels and channels, f8 [m (m - 1) / 2].

    The means of these and of their squares are both in use. Theory is about the squares: the expected one is linear in
    the correlation of the noises where the generator is linear.
    """
    rows = _flat(images)
    return np.array([np.sqrt(np.mean((a - b) ** 2)) for a, b in combinations(rows, 2)])


def layout(images: Images, colour: np.ndarray | None = None, cells: int = CELLS) -> np.ndarray:
    """f8 [m, cells² · 2C] ≥ 0 of images [H, W, C]; fewer cells where there are fewer pixels.

    `colour` [C] is what none of them would be different from, such as the exemplar's mean; without one the mean of all
    pixels of the gallery, which makes galleries of one colour look more different than they are.
    """
    _flat(images)
    stack = np.stack([np.asarray(image, np.float64) for image in images])
    middle = stack.mean((0, 1, 2)) if colour is None else np.asarray(colour, np.float64)
    pooled = _pooled(stack - middle, cells)
    return np.concatenate([pooled.clip(0), (-pooled).clip(0)], -1).reshape(len(stack), -1)


def look(images: Images) -> np.ndarray:
    """f8 [m, 18] of images [H, W, 3] (6C of C channels), at least 8 x 8: at the scales 1, 1/2 and 1/4, of every channel
    the standard deviation and the RMS difference of neighbours."""
    _flat(images)
    found = []
    for image in images:
        level = np.asarray(image, np.float64)
        for _ in range(_SCALES):
            if min(level.shape[:2]) < 2:
                raise InvalidInput(f"an image of {image.shape[1]} x {image.shape[0]} px", "give at least 8 x 8")
            across, down = np.diff(level, axis=1), np.diff(level, axis=0)
            found.append(level.std((0, 1)))
            found.append(np.sqrt((across**2).mean((0, 1)) + (down**2).mean((0, 1))))
            rows, columns = (side // 2 * 2 for side in level.shape[:2])
            level = level[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2, -1).mean((1, 3))
    return np.concatenate(found).reshape(len(images), -1)


def cosine_similarity(features: np.ndarray) -> np.ndarray:
    """K, f8 [m, m] with ones on the diagonal, of features [m, n]; InvalidInput for one that is zero."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise InvalidInput("the features of a picture are zero, or no numbers", "compare pictures that show something")
    unit = np.asarray(features, np.float64) / lengths
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, 1.0)
    return similarity


def mean_similarity(similarity: np.ndarray) -> float:
    """MSS: the mean of K [m, m] over pairs; 1 for equal pictures."""
    _check_similarity(similarity)
    return float(similarity[np.triu_indices(len(similarity), 1)].mean())


def vendi(similarity: np.ndarray) -> float:
    """The Vendi score of K [m, m]: from 1, all alike, to m, nothing in common."""
    _check_similarity(similarity)
    shares = np.linalg.eigvalsh(similarity / len(similarity)).clip(0)
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _pooled(stack: np.ndarray, cells: int) -> np.ndarray:
    """Means [m, rows, columns, C] of [m, H, W, C] over cells as equal as pixels allow."""
    if cells < 1:
        raise InvalidInput(f"{cells} cells along a side", "8 are usual")
    for axis in (1, 2):
        side = stack.shape[axis]
        borders = np.linspace(0, side, min(cells, side) + 1).round().astype(int)
        sums = np.add.reduceat(stack, borders[:-1], axis)
        widths = np.diff(borders).reshape([-1 if a == axis else 1 for a in range(stack.ndim)])
        stack = sums / widths
    return stack


def _flat(images: Images) -> list[np.ndarray]:
    """[m][n], f8."""
    shapes = {np.shape(image) for image in images}
    if len(images) < 2 or len(shapes) != 1:
        raise InvalidInput(
            f"{len(images)} pictures of {len(shapes)} shapes are no gallery", "compare two or more of one shape"
        )
    return [np.asarray(image, np.float64).ravel() for image in images]


def _check_similarity(similarity: np.ndarray) -> None:
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1] or len(similarity) < 2:
        raise InvalidInput(f"similarities of shape {list(similarity.shape)}", "give [m, m] with m of two or more")
