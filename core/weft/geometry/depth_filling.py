"""Depth where none was measured, from measured depth nearby that has the same colour.

Weighted least squares over inverse depth, in which planes are affine: Σ c (w - w_0)² + λ Σ e^{-|ΔI| / σ} (w_i - w_j)²
over neighbouring pixels i, j (Levin, Lischinski and Weiss 2004 colourise pictures this way; Farbman et al. 2008).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from scipy.ndimage import distance_transform_edt
from scipy.sparse.linalg import spsolve

from weft.geometry.stereo_kernels import sharpen_jumps

__all__ = ["enlarged", "filled"]

_BREAK = 0.06  # part of the depth between neighbours that is not smoothed over when depth is enlarged
_EDGE = 0.12  # sum of three colour differences
_SIGMA = 0.06  # sum of three colour differences
_LEAST_TIE = 1e-4
_JUMP = 0.02  # part of the depth between two measured neighbours, beyond which they are of different things
_SMOOTHNESS = 2.0  # of neighbours against what was measured


def filled(depth: np.ndarray, confidence: np.ndarray, image: np.ndarray, *, farthest: float) -> np.ndarray:
    """depth f4 [H, W], where it was infinite filled up to `farthest` pixels away from where it was not; what has
    `confidence` f4 [H, W] in [0, 1] stays, but for a little smoothing. image f4 [H, W, 3]."""
    known = np.isfinite(depth)
    if not known.any():
        return depth
    height, width = depth.shape
    scale = float(np.median(depth[known]))
    inverse = scale / np.where(known, depth, scale).astype(np.float64)
    number = np.arange(height * width).reshape(height, width)
    pairs, ties = [], []
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        pairs.append(np.stack([number[one].ravel(), number[other].ravel()]))
        off = np.abs(image[one] - image[other]).sum(-1).astype(np.float64) / _SIGMA
        jump = np.abs(inverse[one] - inverse[other]) / np.maximum(inverse[one], inverse[other]) / _JUMP
        off += np.where(known[one] & known[other], jump, 0)
        ties.append(_SMOOTHNESS * np.maximum(np.exp(-off), _LEAST_TIE).ravel())
    (a, b), tie = np.concatenate(pairs, 1), np.concatenate(ties)
    held = np.where(known, confidence, 0).ravel().astype(np.float64)
    diagonal = held + np.bincount(a, tie, number.size) + np.bincount(b, tie, number.size)
    rows, columns = np.concatenate([a, b, number.ravel()]), np.concatenate([b, a, number.ravel()])
    system = scipy.sparse.csc_array((np.concatenate([-tie, -tie, diagonal]), (rows, columns)))
    solved = np.asarray(spsolve(system, held * inverse.ravel())).reshape(height, width)
    near = np.asarray(distance_transform_edt(~known)) <= farthest
    return np.where(near & (solved > 0), scale / np.maximum(solved, 1e-12), np.inf).astype(np.float32)


def enlarged(depth: np.ndarray, image: np.ndarray, factor: int) -> np.ndarray:
    """depth f4 [h, w] of a picture shrunk by `factor` for the whole image f4 [H, W, 3]: affine in inverse depth between
    pixels, but for jumps, which are moved to where its colours change. Unknown stays unknown."""
    inverse = np.where(np.isfinite(depth), 1 / depth, 0).astype(np.float32)
    row, column = (
        ((np.arange(whole) + 0.5) / factor - 0.5).clip(0, part - 1)
        for whole, part in zip(image.shape[:2], depth.shape, strict=True)
    )
    top, left = row.astype(int), column.astype(int)
    down, right = (row - top)[:, None], (column - left)[None]
    rows, columns = (top, np.minimum(top + 1, len(depth) - 1)), (left, np.minimum(left + 1, depth.shape[1] - 1))
    corners = np.stack([inverse[r[:, None], c] for r in rows for c in columns])
    shares = np.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right])
    nearest = np.take_along_axis(corners, shares.argmax(0)[None], 0)[0]
    smooth = corners.max(0) < corners.min(0) * (1 + _BREAK)
    whole = np.where(smooth, (corners * shares).sum(0), nearest).astype(np.float32)
    sharp = np.empty_like(whole)
    sharpen_jumps(whole, image, 2 * factor, np.float32(_BREAK), np.float32(_EDGE), sharp)
    return np.where(sharp > 0, 1 / np.maximum(sharp, np.float32(1e-30)), np.inf).astype(np.float32)
