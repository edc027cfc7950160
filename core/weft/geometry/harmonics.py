"""Real spherical harmonics of degree 0 to 3, as splats store their view-dependent colours.

The sign convention is that of Kerbl et al., *3D Gaussian Splatting for Real-Time Radiance Field Rendering* (SIGGRAPH
2023): functions ordered by degree l, then m = -l..l, with the Condon-Shortley phase, so that degree 1 is
0.4886·(-y, z, -x).
"""

from __future__ import annotations

import math

import numpy as np

from weft.errors import InvalidInput

__all__ = ["SH_C0", "degree_of", "evaluate_sh", "sh_basis", "sh_rotation"]

SH_C0 = 0.28209479177387814  # √(1/4π), the constant function
_C1 = math.sqrt(3 / (4 * math.pi))
_C2 = [math.sqrt(n / math.pi) for n in (15 / 4, 5 / 16, 15 / 16)]
_C3 = [math.sqrt(n / math.pi) for n in (35 / 32, 105 / 4, 21 / 32, 7 / 16, 105 / 16)]
_COUNTS = (1, 4, 9, 16)


def degree_of(count: int) -> int:
    """The degree of `count` coefficients a channel: 1, 4, 9 and 16 are degree 0 to 3. Raises `InvalidInput`."""
    if count not in _COUNTS:
        raise InvalidInput(f"{count} harmonics a channel, expected 1, 4, 9 or 16 (degree 0 to 3)")
    return _COUNTS.index(count)


def sh_basis(directions: np.ndarray, degree: int) -> np.ndarray:
    """f8 [..., (degree+1)²], every function at unit `directions` [..., 3]."""
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    xx, yy, zz = x * x, y * y, z * z
    bands = [[np.full_like(x, SH_C0)]]
    if degree > 0:
        bands.append([-_C1 * y, _C1 * z, -_C1 * x])
    if degree > 1:
        a, b, c = _C2
        bands.append([a * x * y, -a * y * z, b * (2 * zz - xx - yy), -a * x * z, c * (xx - yy)])
    if degree > 2:
        a, b, c, d, e = _C3
        outer = c * (4 * zz - xx - yy)
        third = [-a * y * (3 * xx - yy), b * x * y * z, -y * outer, d * z * (2 * zz - 3 * xx - 3 * yy)]
        bands.append([*third, -x * outer, e * z * (xx - yy), -a * x * (xx - 3 * yy)])
    return np.stack([function for band in bands for function in band], -1)


def evaluate_sh(sh: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """f4 [..., 3], the sum Σ_k Y_k(d) sh_k of `sh` [..., K, 3] towards unit `directions` [..., 3].

    A splat's colour seen along `d` (from the camera to the splat) is max(0, 0.5 + this).
    """
    basis = sh_basis(directions, degree_of(sh.shape[-2]))
    return np.einsum("...k,...kc->...c", basis, sh).astype(np.float32)


def sh_rotation(rotation: np.ndarray, degree: int) -> np.ndarray:
    """f8 [K, K], block-diagonal M with Y(R d) · (M c) = Y(d) · c for every direction d and coefficients c.

    `rotation` R [3, 3] is orthogonal (a mirror too). Each band is closed under rotation, so that M's block is the
    exact solution of Y(D) M = Y(D R) over directions D that determine the band.
    """
    sample = _fibonacci_sphere(32)
    here, turned = sh_basis(sample, degree), sh_basis(sample @ np.asarray(rotation, np.float64), degree)
    matrix = np.zeros((here.shape[-1],) * 2)
    for band in range(degree + 1):
        block = slice(band * band, (band + 1) ** 2)
        matrix[block, block] = np.linalg.lstsq(here[:, block], turned[:, block], rcond=None)[0]
    return matrix


def _fibonacci_sphere(count: int) -> np.ndarray:
    """f8 [count, 3], unit vectors spread evenly."""
    z = (2 * np.arange(count) + 1) / count - 1
    angle = np.arange(count) * math.pi * (3 - math.sqrt(5))
    return np.stack([np.sqrt(1 - z * z) * np.cos(angle), np.sqrt(1 - z * z) * np.sin(angle), z], 1)
