"""The light that pictures of a surface were taken in, from linear colours against normals.

The light is a sum of broad lamps of radiance ≥ 0, spread evenly over the sphere, each with the shadows that the surface
casts on itself in it. Its coefficients w fit two things, both by iteratively reweighted least squares, in luminance and
then in each colour:

    neighbours have one albedo but at its edges (Land and McCann 1971, "Lightness and retinex theory"):
        l_p E_q = l_q E_p, for points p, q near each other,    E = B w
    albedo is one on the whole:  E_p = l_p / mean

What pictures cannot tell apart is the tint and the brightness of the light and of the surface. The light's mean is
taken as white; its brightness lies halfway (in logarithms) between that of usual lights and that which makes the mean
albedo usual, unless the brightest albedo would then be above white paint's.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls
from scipy.spatial import KDTree

from weft.errors import InvalidInput
from weft.geometry.environment import LUMINANCE, Environment
from weft.geometry.equirectangular import cell_directions
from weft.geometry.shading import visibility

__all__ = ["fit_light"]

_LAMPS = 42
_SHARPNESS = 6.0  # exponent of a lamp's cosine lobe: neighbours overlap, and together they are even
_ROWS = 16  # of the fitted map
_POINTS = 4000  # that are fitted, at most
_NEIGHBOURS = 6  # of each
_TURNS = 12  # of reweighting
_PER_LAMP = 6  # directions of a lamp's shadows
_DARK, _BRIGHT = 2e-3, 0.95  # linear: darker is noise, brighter is cut off
_PAIR_SCATTER, _SCATTER = 0.025, 0.5  # of log albedo, between neighbours and on the whole, beyond which points are odd
_WHOLE = 0.5  # weight of one albedo on the whole against the neighbours
_SMOOTH = 1e-4  # towards lamps that are all alike
_FLOOR = 0.05  # of the mean radiance, everywhere: quotients need some light
_LEVEL, _ALBEDO, _PAINT = 0.5, 0.25, 0.85  # usual mean radiance, usual mean albedo, and that of white paint


def fit_light(
    colours: np.ndarray,  # f4 [M, 3], linear
    normals: np.ndarray,  # f4 [M, 3], unit
    positions: np.ndarray,  # f4 [M, 3]
    occluders: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    seed: int = 0,
) -> Environment:
    """The light on surface points of any albedo. Raises InvalidInput where all of them are black or burnt out."""
    luminance = colours @ LUMINANCE
    usable = np.flatnonzero((luminance > _DARK) & (colours.max(1) < _BRIGHT))
    if len(usable) < 10 * _NEIGHBOURS:
        raise InvalidInput(
            f"{len(usable)} pixels are neither black nor burnt out: too few to tell the light that they are in",
            "name the old light, or expose the views better",
        )
    chosen = np.random.default_rng(seed).permutation(usable)[:_POINTS]
    at, facing = positions[chosen], normals[chosen]
    lamps = _lamps()
    basis = np.stack([_shading_of(lamp, at, facing, occluders) for lamp in lamps], 1)
    pairs = _pairs(at)
    start = _fitted(basis, luminance[chosen], pairs, None)
    weights = np.stack([_fitted(basis, colours[chosen, c], pairs, start) for c in range(3)], 1)
    radiance = np.einsum("khw,kc->hwc", np.stack([lamp.radiance[..., 0] for lamp in lamps]), weights)
    return _settled(radiance, luminance[usable], normals[usable])


def _lamps() -> list[Environment]:
    directions = cell_directions(_ROWS)
    lobes = np.maximum(directions @ _spread_evenly(_LAMPS).T, 0) ** _SHARPNESS
    lobes /= lobes.sum(-1, keepdims=True)  # together they are 1 everywhere
    return [Environment(np.repeat(lobes[..., k, None], 3, 2).astype(np.float32)) for k in range(_LAMPS)]


def _spread_evenly(count: int) -> np.ndarray:
    """f8 [count, 3], a Fibonacci sphere."""
    z = (2 * np.arange(count) + 1) / count - 1
    angle = np.arange(count) * np.pi * (3 - np.sqrt(5))
    across = np.sqrt(1 - z * z)
    return np.stack([across * np.cos(angle), across * np.sin(angle), z], 1)


def _shading_of(
    lamp: Environment, positions: np.ndarray, normals: np.ndarray, occluders: tuple[np.ndarray, np.ndarray] | None
) -> np.ndarray:
    """f8 [M], under one lamp."""
    free = lamp.irradiance(normals)[:, 0].astype(np.float64)
    if occluders is None:
        return free
    return free * visibility(lamp, positions, normals, occluders, count=_PER_LAMP).share[:, 0]


def _pairs(positions: np.ndarray) -> np.ndarray:
    """i8 [P, 2]: points and their neighbours."""
    _, index = KDTree(positions).query(positions, _NEIGHBOURS + 1)
    index = np.asarray(index)
    return np.stack([np.repeat(index[:, 0], _NEIGHBOURS), index[:, 1:].ravel()], 1)


def _fitted(basis: np.ndarray, light: np.ndarray, pairs: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    """w f8 [K] ≥ 0 with E = basis · w of mean 1 or so, for linear values `light` f8 [M]."""
    light = np.maximum(light / np.median(light), 1e-3)
    p, q = pairs.T
    count = basis.shape[1]
    w = np.ones(count) if start is None else start
    apart = light[p, None] * basis[q] - light[q, None] * basis[p]
    smooth = np.eye(count) - 1 / count
    for _ in range(_TURNS):
        shade = np.maximum(basis @ w, 1e-3)
        logs = np.log(light / shade)
        logs -= np.median(logs)
        # Divided by these, differences are those of log albedo.
        scale = np.sqrt(light[p] * light[q] * shade[p] * shade[q])
        pair = 1 / (1 + ((logs[p] - logs[q]) / _PAIR_SCATTER) ** 2) / scale**2 / len(p) / _PAIR_SCATTER**2
        whole = _WHOLE / (1 + (logs / _SCATTER) ** 2) / shade**2 / len(light) / _SCATTER**2
        level = np.exp(np.median(np.log(light / shade)))
        gram = apart.T @ (pair[:, None] * apart) + basis.T @ (whole[:, None] * basis) + _SMOOTH * smooth
        right = basis.T @ (whole * light / level)
        factor = np.linalg.cholesky(gram + 1e-9 * np.trace(gram) * np.eye(count))
        w = nnls(factor.T, np.linalg.solve(factor, right))[0]
        w /= max((basis @ w).mean(), 1e-9)
    return w


def _settled(radiance: np.ndarray, luminance: np.ndarray, normals: np.ndarray) -> Environment:
    """The light of a mean that is white and of a usual brightness, nowhere quite black."""
    mean = Environment(radiance.astype(np.float32)).mean
    radiance = radiance / mean
    radiance = (1 - _FLOOR) * radiance + _FLOOR
    fitted = Environment(radiance.astype(np.float32))
    albedo = luminance / (fitted.irradiance(normals) @ LUMINANCE)
    level = max(float(np.sqrt(_LEVEL * albedo.mean() / _ALBEDO)), float(np.quantile(albedo, 0.98)) / _PAINT)
    return Environment((radiance * level).astype(np.float32), "the fitted light")
