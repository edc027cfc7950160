"""Splats as .splat (antimatter15): 32 bytes each, without view-dependent bands.

f4 ×3 position, f4 ×3 linear scale, u1 ×4 red green blue opacity, u1 ×4 quaternion w x y z as 128 + 128·q.
"""

from __future__ import annotations

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.splats import Splats, f_dc_of, rgb_of

__all__ = ["logits_of_bytes", "read_dot_splat", "recolored_dot_splat", "write_dot_splat"]

_ROW = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgb", "u1", 3), ("opacity", "u1"), ("rotation", "u1", 4)])


def logits_of_bytes(opacity: np.ndarray) -> np.ndarray:
    """f4, the logit of u1 opacities; 0 and 255 half a step inside, where it is finite."""
    share = np.clip(np.arange(256) / 255, 0.5 / 255, 254.5 / 255)
    return np.log(share / (1 - share)).astype(np.float32)[opacity]


def read_dot_splat(data: bytes) -> Splats:
    """Raises `InvalidInput`. A scale of 0, of a flat splat, becomes a log-scale of -infinity."""
    if len(data) % _ROW.itemsize:
        message = f"its {len(data)} bytes are no multiple of {_ROW.itemsize}: it is cut short or no .splat file"
        raise InvalidInput(message, "copy or download it again")
    table = np.frombuffer(data, _ROW)
    if not (table["scale"] >= 0).all():
        raise InvalidInput("it has scales below 0 or at NaN: it is damaged or no .splat file")
    quaternions = (table["rotation"].astype(np.float32) - 128) / 128
    dc = f_dc_of(table["rgb"] / 255)
    return Splats(
        table["mean"].copy(), quaternions, np.log(table["scale"]), logits_of_bytes(table["opacity"]), dc[:, None]
    )


def recolored_dot_splat(source: bytes, dc: np.ndarray | None) -> bytes:
    """`source` with other colour bytes, and nothing else changed."""
    if dc is None:
        return source
    table = np.frombuffer(source, _ROW).copy()
    table["rgb"] = _bytes(rgb_of(dc))
    return table.tobytes()


def write_dot_splat(splats: Splats) -> bytes:
    """The splats in their order, with f_dc as their colour in every direction."""
    table = np.empty(splats.count, _ROW)
    table["mean"], table["scale"] = splats.means, splats.scales
    table["rgb"], table["opacity"] = _bytes(rgb_of(splats.sh[:, 0])), _bytes(splats.opacity)
    unit = splats.quaternions / np.linalg.norm(splats.quaternions.astype(np.float64), axis=1, keepdims=True)
    table["rotation"] = np.clip(np.rint(unit * 128 + 128), 0, 255)
    return table.tobytes()


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
