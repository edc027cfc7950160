"""Colours of splats as an eye sees them, by spherical harmonics, and gradients back.

c = max(0, 0.5 + Σ_k Y_k(d) sh_k) with d the unit vector from the eye to the splat; the functions are those of
`geometry.harmonics` (Kerbl et al. 2023). What a splat's position has to do with its colour is part of the gradient:
with P(d) the same sum, taken as a polynomial of any vector, ∂c/∂mean = (I - d dᵀ) ∇P / distance.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from weft.geometry.harmonics import SH_C0
from weft.kernels import kernel, parallel_kernel

__all__ = ["shade", "unshade"]

_MEAN, _SH = 0, 11  # columns of `splat_projection`
_CHUNKS = 64
_A = math.sqrt(3 / (4 * math.pi))
_B, _C, _D = math.sqrt(15 / (4 * math.pi)), math.sqrt(5 / (16 * math.pi)), math.sqrt(15 / (16 * math.pi))
_E, _F, _G = math.sqrt(35 / (32 * math.pi)), math.sqrt(105 / (4 * math.pi)), math.sqrt(21 / (32 * math.pi))
_H, _I = math.sqrt(7 / (16 * math.pi)), math.sqrt(105 / (16 * math.pi))


@kernel
def _basis(x, y, z, count, basis):
    """Fill the first `count` (1, 4, 9 or 16) functions at a unit vector."""
    basis[0] = SH_C0
    if count > 1:
        basis[1], basis[2], basis[3] = -_A * y, _A * z, -_A * x
    if count > 4:
        basis[4], basis[5], basis[6] = _B * x * y, -_B * y * z, _C * (2 * z * z - x * x - y * y)
        basis[7], basis[8] = -_B * x * z, _D * (x * x - y * y)
    if count > 9:
        outer = 4 * z * z - x * x - y * y
        basis[9], basis[10], basis[11] = -_E * y * (3 * x * x - y * y), _F * x * y * z, -_G * y * outer
        basis[12], basis[13] = _H * z * (2 * z * z - 3 * x * x - 3 * y * y), -_G * x * outer
        basis[14], basis[15] = _I * z * (x * x - y * y), -_E * x * (x * x - 3 * y * y)


@kernel
def _slopes(x, y, z, count, slopes):
    """Fill ∇Y [count, 3] of the polynomials above; [0] stays 0."""
    slopes[:count] = 0.0
    if count > 1:
        slopes[1, 1], slopes[2, 2], slopes[3, 0] = -_A, _A, -_A
    if count > 4:
        slopes[4, 0], slopes[4, 1] = _B * y, _B * x
        slopes[5, 1], slopes[5, 2] = -_B * z, -_B * y
        slopes[6, 0], slopes[6, 1], slopes[6, 2] = -2 * _C * x, -2 * _C * y, 4 * _C * z
        slopes[7, 0], slopes[7, 2] = -_B * z, -_B * x
        slopes[8, 0], slopes[8, 1] = 2 * _D * x, -2 * _D * y
    if count > 9:
        outer = 4 * z * z - x * x - y * y
        slopes[9, 0], slopes[9, 1] = -6 * _E * x * y, -3 * _E * (x * x - y * y)
        slopes[10, 0], slopes[10, 1], slopes[10, 2] = _F * y * z, _F * x * z, _F * x * y
        slopes[11, 0], slopes[11, 1], slopes[11, 2] = 2 * _G * x * y, -_G * (outer - 2 * y * y), -8 * _G * y * z
        slopes[12, 0], slopes[12, 1] = -6 * _H * x * z, -6 * _H * y * z
        slopes[12, 2] = 3 * _H * (2 * z * z - x * x - y * y)
        slopes[13, 0], slopes[13, 1], slopes[13, 2] = -_G * (outer - 2 * x * x), 2 * _G * x * y, -8 * _G * x * z
        slopes[14, 0], slopes[14, 1], slopes[14, 2] = 2 * _I * x * z, -2 * _I * y * z, _I * (x * x - y * y)
        slopes[15, 0], slopes[15, 1] = -3 * _E * (x * x - y * y), 6 * _E * x * y


@parallel_kernel
def shade(parameters, eye, boxes, colors):
    """Fill `colors` [N, 3] of the splats that show (`boxes` i4 [N, 4]) as `eye` f8 [3] sees them, at least 0."""
    count = (parameters.shape[1] - _SH) // 3
    for chunk in numba.prange(_CHUNKS):
        basis = np.empty(16)
        for n in range(chunk * len(parameters) // _CHUNKS, (chunk + 1) * len(parameters) // _CHUNKS):
            if boxes[n, 0] > boxes[n, 1]:
                continue
            x, y, z = parameters[n, 0] - eye[0], parameters[n, 1] - eye[1], parameters[n, 2] - eye[2]
            distance = math.sqrt(x * x + y * y + z * z)
            _basis(x / distance, y / distance, z / distance, count, basis)
            for c in range(3):
                color = 0.5
                for k in range(count):
                    color += basis[k] * parameters[n, _SH + 3 * k + c]
                colors[n, c] = max(color, 0.0)


@parallel_kernel
def unshade(parameters, eye, boxes, colors, wanted, gradients):
    """Add to `gradients` [N, 11 + 3 K] of `parameters` what `wanted` [N, 9] asks for, whose last three columns are the
    gradients of `colors`. A colour held at 0 has none."""
    count = (parameters.shape[1] - _SH) // 3
    for chunk in numba.prange(_CHUNKS):
        basis, slopes, slope = np.empty(16), np.empty((16, 3)), np.empty(3)
        for n in range(chunk * len(parameters) // _CHUNKS, (chunk + 1) * len(parameters) // _CHUNKS):
            if boxes[n, 0] > boxes[n, 1]:
                continue
            x, y, z = parameters[n, 0] - eye[0], parameters[n, 1] - eye[1], parameters[n, 2] - eye[2]
            distance = math.sqrt(x * x + y * y + z * z)
            x, y, z = x / distance, y / distance, z / distance
            _basis(x, y, z, count, basis)
            _slopes(x, y, z, count, slopes)
            slope[:] = 0.0
            for c in range(3):
                if colors[n, c] <= 0:
                    continue
                want = wanted[n, 6 + c]
                for k in range(count):
                    gradients[n, _SH + 3 * k + c] += want * basis[k]
                    share = want * parameters[n, _SH + 3 * k + c]
                    for j in range(3):
                        slope[j] += share * slopes[k, j]
            along = slope[0] * x + slope[1] * y + slope[2] * z
            gradients[n, _MEAN] += (slope[0] - along * x) / distance
            gradients[n, _MEAN + 1] += (slope[1] - along * y) / distance
            gradients[n, _MEAN + 2] += (slope[2] - along * z) / distance
