"""Splats as parameters to splats on the screen, and gradients back.

A row of `parameters` is a splat before its activations: mean (3), log-scales (3), quaternion w x y z of any length (4),
logit of the opacity, then its harmonics (`splat_shading`). The semantics are those of `geometry.splat_kernels`
(gsplat's EWA splatting): with V the semi-axes on the screen, px,

    V = J R S [2, 3],    Σ = V Vᵀ + b I,    K = Σ⁻¹,    ∂L/∂Σ = -K (∂L/∂K) K,    ∂L/∂V = 2 (∂L/∂Σ) V

where b = 0.3 px² (BLUR) and J = ∂(column, row)/∂(world) at the splat's centre, or at the edge of a slightly larger
frame for one outside. All of it is computed in double precision: next to the pixels it costs nothing.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from weft.geometry.splat_kernels import LEAST_ALPHA
from weft.kernels import kernel, parallel_kernel

__all__ = ["BLUR", "LOGIT", "MEAN", "QUATERNION", "SCALE", "SH", "project", "unproject"]

MEAN, SCALE, QUATERNION, LOGIT, SH = 0, 3, 6, 10, 11  # first columns of `parameters`
BLUR = 0.3  # px², of gsplat: added to every footprint's variance, so that none falls between the pixels
_REACH = 3.33  # standard deviations that a footprint reaches at most
_MARGIN = 1e-3  # pixels
_BEYOND = 0.15  # of the frame: a splat farther outside is projected as if it stood there
_CHUNKS = 64  # of splats, each of which allocates its scratch memory once


@kernel
def _sigmoid(logit):
    tail = math.exp(-abs(logit))
    return 1 / (1 + tail) if logit >= 0 else tail / (1 + tail)


@kernel
def _bounded(slope, focal, middle, extent):
    """x / z or y / z, held near the frame, where J is sound."""
    low, high = -(middle + _BEYOND * extent) / focal, (extent - middle + _BEYOND * extent) / focal
    return min(max(slope, low), high)


@kernel
def _seen(splat, matrix, lens, width, height, place, turn, jacobian, axes):
    """Fill `place` (right, down, depth), the rotation `turn` [3, 3], `jacobian` [2, 3] and the semi-axes `axes`
    [2, 3]."""
    for i in range(3):
        place[i] = matrix[i, 3]
        for j in range(3):
            place[i] += matrix[i, j] * splat[MEAN + j]
    w, x, y, z = (
        np.float64(splat[QUATERNION]), np.float64(splat[QUATERNION + 1]), np.float64(splat[QUATERNION + 2]),
        np.float64(splat[QUATERNION + 3]),
    )  # fmt: skip
    length = math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w / length, x / length, y / length, z / length
    turn[0, 0], turn[0, 1], turn[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    turn[1, 0], turn[1, 1], turn[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    turn[2, 0], turn[2, 1], turn[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
    inverse = 1 / place[2]
    across = _bounded(place[0] * inverse, lens[0], lens[2], width)
    down = _bounded(place[1] * inverse, lens[1], lens[3], height)
    for j in range(3):
        jacobian[0, j] = lens[0] * inverse * (matrix[0, j] - across * matrix[2, j])
        jacobian[1, j] = lens[1] * inverse * (matrix[1, j] - down * matrix[2, j])
    for k in range(3):
        scale = math.exp(splat[SCALE + k])
        for i in range(2):
            axes[i, k] = (
                jacobian[i, 0] * turn[0, k] + jacobian[i, 1] * turn[1, k] + jacobian[i, 2] * turn[2, k]
            ) * scale


@parallel_kernel
def project(parameters, matrix, lens, width, height, near, blur, drawn, boxes, depths):
    """`matrix` f8 [3, 4] leads to (right, down, depth), `lens` f8 holds fx, fy, cx, cy in pixels. Fills `drawn` [N, 6]:
    x, y, the inverse covariance's xx, xy, yy, opacity; `boxes` i4 [N, 4]: first and last column and row, 1 0 1 0 for a
    splat that shows nowhere; `depths` [N]."""
    for chunk in numba.prange(_CHUNKS):
        place, turn, jacobian, axes = np.empty(3), np.empty((3, 3)), np.empty((2, 3)), np.empty((2, 3))
        for n in range(chunk * len(parameters) // _CHUNKS, (chunk + 1) * len(parameters) // _CHUNKS):
            boxes[n, 0], boxes[n, 1], boxes[n, 2], boxes[n, 3] = 1, 0, 1, 0
            splat = parameters[n]
            depths[n] = matrix[2, 3] + (
                matrix[2, 0] * splat[MEAN] + matrix[2, 1] * splat[MEAN + 1] + matrix[2, 2] * splat[MEAN + 2]
            )
            opacity = _sigmoid(splat[LOGIT])
            if not depths[n] >= near or opacity < LEAST_ALPHA:
                continue
            _seen(splat, matrix, lens, width, height, place, turn, jacobian, axes)
            xx, xy, yy = blur, 0.0, blur
            for k in range(3):
                xx += axes[0, k] * axes[0, k]
                xy += axes[0, k] * axes[1, k]
                yy += axes[1, k] * axes[1, k]
            determinant = xx * yy - xy * xy
            column, row = lens[2] + lens[0] * place[0] / place[2], lens[3] + lens[1] * place[1] / place[2]
            if not (determinant > 0 and math.isfinite(determinant) and math.isfinite(column) and math.isfinite(row)):
                continue
            reach = min(_REACH, math.sqrt(2 * math.log(255.0 * opacity)))
            wide, high = reach * math.sqrt(xx) + _MARGIN, reach * math.sqrt(yy) + _MARGIN
            if column + wide < 0 or column - wide > width or row + high < 0 or row - high > height:
                continue
            boxes[n, 0] = max(0, math.ceil(max(column - wide, 0.0) - 0.5))
            boxes[n, 1] = min(width - 1, math.floor(min(column + wide, width) - 0.5))
            boxes[n, 2] = max(0, math.ceil(max(row - high, 0.0) - 0.5))
            boxes[n, 3] = min(height - 1, math.floor(min(row + high, height) - 0.5))
            if boxes[n, 0] > boxes[n, 1] or boxes[n, 2] > boxes[n, 3]:  # between two pixels
                boxes[n, 0], boxes[n, 1], boxes[n, 2], boxes[n, 3] = 1, 0, 1, 0
                continue
            drawn[n, 0], drawn[n, 1] = column, row
            drawn[n, 2], drawn[n, 3], drawn[n, 4] = yy / determinant, -xy / determinant, xx / determinant
            drawn[n, 5] = opacity


@parallel_kernel
def unproject(parameters, matrix, lens, width, height, drawn, boxes, wanted, gradients):
    """Add to `gradients` [N, ≥ 11] of `parameters` what `wanted` [N, ≥ 6], the gradients of `drawn`, asks for."""
    for chunk in numba.prange(_CHUNKS):
        place, turn, jacobian, axes = np.empty(3), np.empty((3, 3)), np.empty((2, 3)), np.empty((2, 3))
        to_turn, to_jacobian = np.empty((3, 3)), np.empty((2, 3))
        for n in range(chunk * len(parameters) // _CHUNKS, (chunk + 1) * len(parameters) // _CHUNKS):
            if boxes[n, 0] > boxes[n, 1]:
                continue
            splat, gradient = parameters[n], gradients[n]
            _seen(splat, matrix, lens, width, height, place, turn, jacobian, axes)
            # -K (∂L/∂K) K; xy counts for both of its places.
            xx, xy, yy = np.float64(drawn[n, 2]), np.float64(drawn[n, 3]), np.float64(drawn[n, 4])
            to_xx, to_xy, to_yy = np.float64(wanted[n, 2]), 0.5 * wanted[n, 3], np.float64(wanted[n, 4])
            p00, p01 = xx * to_xx + xy * to_xy, xx * to_xy + xy * to_yy
            p10, p11 = xy * to_xx + yy * to_xy, xy * to_xy + yy * to_yy
            s00, s01, s11 = -(p00 * xx + p01 * xy), -(p00 * xy + p01 * yy), -(p10 * xy + p11 * yy)
            to_jacobian[:] = 0.0
            for k in range(3):
                scale = math.exp(splat[SCALE + k])
                to_0 = 2 * (s00 * axes[0, k] + s01 * axes[1, k])
                to_1 = 2 * (s01 * axes[0, k] + s11 * axes[1, k])
                gradient[SCALE + k] += to_0 * axes[0, k] + to_1 * axes[1, k]
                for j in range(3):
                    to_turn[j, k] = (jacobian[0, j] * to_0 + jacobian[1, j] * to_1) * scale
                    to_jacobian[0, j] += to_0 * turn[j, k] * scale
                    to_jacobian[1, j] += to_1 * turn[j, k] * scale
            _move(matrix, lens, width, height, place, to_jacobian, wanted[n], gradient)
            _turn(splat, to_turn, gradient)
            gradient[LOGIT] += wanted[n, 5] * drawn[n, 5] * (1 - drawn[n, 5])


@kernel
def _move(matrix, lens, width, height, place, to_jacobian, wanted, gradient):
    """The gradient of the mean, through its place on the screen and through J."""
    inverse = 1 / place[2]
    to_inverse = 0.0
    for i in range(2):
        extent = width if i == 0 else height
        slope = place[i] * inverse
        held = _bounded(slope, lens[i], lens[2 + i], extent)
        along, tilt = 0.0, 0.0
        for j in range(3):
            along += to_jacobian[i, j] * (matrix[i, j] - held * matrix[2, j])
            tilt += to_jacobian[i, j] * matrix[2, j]
        to_slope = lens[i] * wanted[i]
        if held == slope:
            to_slope -= lens[i] * inverse * tilt
        to_inverse += lens[i] * along + to_slope * place[i]
        for j in range(3):
            gradient[MEAN + j] += to_slope * inverse * matrix[i, j]
    for j in range(3):
        gradient[MEAN + j] -= to_inverse * inverse * inverse * matrix[2, j]


@kernel
def _turn(splat, to_turn, gradient):
    """The gradient of the quaternion, through its normalisation."""
    w, x, y, z = (
        np.float64(splat[QUATERNION]), np.float64(splat[QUATERNION + 1]), np.float64(splat[QUATERNION + 2]),
        np.float64(splat[QUATERNION + 3]),
    )  # fmt: skip
    length = math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w / length, x / length, y / length, z / length
    t = to_turn
    to_w = 2 * (x * (t[2, 1] - t[1, 2]) + y * (t[0, 2] - t[2, 0]) + z * (t[1, 0] - t[0, 1]))
    to_x = 2 * (
        y * (t[1, 0] + t[0, 1]) + z * (t[2, 0] + t[0, 2]) + w * (t[2, 1] - t[1, 2]) - 2 * x * (t[1, 1] + t[2, 2])
    )
    to_y = 2 * (
        x * (t[1, 0] + t[0, 1]) + z * (t[2, 1] + t[1, 2]) + w * (t[0, 2] - t[2, 0]) - 2 * y * (t[0, 0] + t[2, 2])
    )
    to_z = 2 * (
        x * (t[2, 0] + t[0, 2]) + y * (t[2, 1] + t[1, 2]) + w * (t[1, 0] - t[0, 1]) - 2 * z * (t[0, 0] + t[1, 1])
    )
    along = to_w * w + to_x * x + to_y * y + to_z * z
    gradient[QUATERNION] += (to_w - along * w) / length
    gradient[QUATERNION + 1] += (to_x - along * x) / length
    gradient[QUATERNION + 2] += (to_y - along * y) / length
    gradient[QUATERNION + 3] += (to_z - along * z) / length
