"""A painted torus of flat splats: the scene that edits are measured on when they are given none."""

from __future__ import annotations

import numpy as np

from weft.benchmarks.coupled_scenes import reflectances
from weft.benchmarks.torus import TUBE
from weft.geometry.colour import encoded
from weft.geometry.splats import Splats, f_dc_of

__all__ = ["splat_torus"]

_FLAT = 0.05  # thickness over width
_LIGHT = np.array([-0.48, -0.36, 0.80])  # towards it, in the world
_AMBIENT = 0.45


def splat_torus(count: int = 8000, seed: int = 0) -> Splats:
    """`count` opaque splats evenly over the torus whose ring has the radius 1, lit from above."""
    random = np.random.default_rng(seed)
    phi, theta, kept = (random.uniform(0, bound, 3 * count) for bound in (2 * np.pi, 2 * np.pi, 1 + TUBE))
    even = np.flatnonzero(kept < 1 + TUBE * np.cos(theta))[:count]  # as many as there is area
    phi, theta = phi[even], theta[even]
    outward = np.stack([np.cos(phi), np.sin(phi), np.zeros_like(phi)], -1)
    normal = np.cos(theta)[:, None] * outward + np.sin(theta)[:, None] * np.array([0.0, 0.0, 1.0])
    means = outward + TUBE * normal
    # The quaternion that turns +Z to the normal.
    turns = np.stack([1 + normal[:, 2], -normal[:, 1], normal[:, 0], np.zeros(len(normal))], -1)
    width = np.sqrt(4 * np.pi**2 * TUBE / len(means))
    scales = np.tile(np.log(np.array([1, 1, _FLAT]) * width), (len(means), 1))
    shade = _AMBIENT + (1 - _AMBIENT) * np.maximum(normal @ _LIGHT, 0)
    colors = encoded((reflectances(means, 0) * shade[:, None]).astype(np.float32))
    means, turns, scales = (np.asarray(array, np.float32) for array in (means, turns, scales))
    return Splats(means, turns, scales, np.full(len(means), 5, np.float32), f_dc_of(colors)[:, None])
