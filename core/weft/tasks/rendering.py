"""Pictures of a textured surface: unlit for measuring, softly shaded for looking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weft.geometry.camera import Camera
from weft.geometry.rasterize import interpolate, rasterize
from weft.spaces.surface import Surface

__all__ = ["render_surface"]

BACKGROUND = np.float32(0.93)
_AMBIENT = 0.55  # of the light, when shaded; the rest comes from the upper left of the camera


def render_surface(
    surface: Surface, textures: Sequence[np.ndarray], camera: Camera, *, supersample: int = 3, shaded: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(image f4 [H, W, 3] in [0, 1] over light grey, mask bool [H, W] of pixels that lie wholly on an object).

    textures: f4 [T, T, 3] per object, read bilinearly `supersample`² times a pixel. Unlit unless `shaded`.
    """
    fragments = rasterize(surface.vertices, surface.faces, camera.scaled(supersample))
    hit = fragments.triangle >= 0
    colour = np.full((*hit.shape, 3), BACKGROUND, np.float32)
    uv = interpolate(fragments, surface.corner_uv)
    owner = surface.face_object[np.maximum(fragments.triangle, 0)]
    for i, texture in enumerate(textures):
        own = hit & (owner == i)
        colour[own] = _bilinear(texture, uv[own])
    if shaded:
        light = _light(interpolate(fragments, surface.normals, surface.faces)[hit], camera)
        colour[hit] = np.minimum(colour[hit] * light[:, None], 1)
    return _averaged(colour, supersample), _averaged(hit[..., None].astype(np.float32), supersample)[..., 0] > 0.999


def _bilinear(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Values f4 [N, 3] at uv f4 [N, 2]; the border repeats."""
    size = len(texture)
    x, y = uv[:, 0] * size - 0.5, (1 - uv[:, 1]) * size - 0.5
    left, top = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    x0, x1, y0, y1 = (np.clip(i, 0, size - 1) for i in (left, left + 1, top, top + 1))
    upper = texture[y0, x0] * (1 - fx) + texture[y0, x1] * fx
    lower = texture[y1, x0] * (1 - fx) + texture[y1, x1] * fx
    return upper * (1 - fy) + lower * fy


def _light(normals: np.ndarray, camera: Camera) -> np.ndarray:
    """Brightness [N] of unit normals under a lamp beside the camera."""
    towards = camera.pose[:3, :3] @ (np.array([-0.5, 0.6, 0.75]) / np.linalg.norm([-0.5, 0.6, 0.75]))
    length = np.maximum(np.linalg.norm(normals, axis=1), 1e-9)
    return (_AMBIENT + (1.1 - _AMBIENT) * np.maximum(normals @ towards / length, 0)).astype(np.float32)


def _averaged(image: np.ndarray, factor: int) -> np.ndarray:
    height, width, channels = image.shape
    return image.reshape(height // factor, factor, width // factor, factor, channels).mean((1, 3), dtype=np.float32)
