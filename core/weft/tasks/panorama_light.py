"""How depth conditions the exemplar denoiser, and how what it painted is lit.

What is denoised is the bare material; two guide channels tell the denoiser which patches belong where (Hertzmann et al.
2001, "Image analogies"):

- *scale*: the exemplar is offered at four sizes, the smaller the farther, so patterns recede;
- *relief*: creases of the scene are matched with dark parts of the exemplar, rank by rank.

Patches do not reach across a jump of a guide, so every object gets a pattern of its own. Light and haze are then laid
over the material, in linear light; shading offered as further exemplars instead was tried: it comes in steps, and
swallows the material's own darks.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from weft.geometry.colour import encoded, linear
from weft.models.exemplar import Exemplar, ExemplarSettings
from weft.tasks.panorama_scene import Scene
from weft.tasks.phases import resized

__all__ = ["SETTINGS", "guide_of", "guided", "lit"]

SETTINGS = ExemplarSettings(guide_noise=0.5, exact_patches=3000)

_SCALES = (1.0, 0.7, 0.5, 0.35)
_OCTAVES = 3.0  # doublings of the distance from the largest to the smallest scale
_NEAR = 0.25  # quantile of the distances at which the exemplar has its full size
_RELIEF = 1.5  # ranks per unit of log distance, around the middle rank
_BLUR = 1 / 64  # of the exemplar's side, before its luminance is ranked

_ZENITH, _HORIZON = np.array([0.42, 0.58, 0.80]), np.array([0.80, 0.86, 0.92])
_AIR = 0.75  # share of the horizon in the haze, the rest is the exemplar's mean
_WARM, _COOL = np.array([1.04, 1.0, 0.94]), np.array([0.82, 0.95, 1.15])  # tints of full light and of full shade


def guided(picture: np.ndarray) -> Exemplar:
    """The exemplar f4 [h, w, 3] at all scales on one sheet, with its guides (relief, scale) in [0, 1]."""
    luminance = ndimage.gaussian_filter(picture.mean(-1), _BLUR * max(picture.shape[:2]))
    relief = np.searchsorted(np.sort(luminance, axis=None), luminance) / luminance.size
    layers = np.concatenate([picture, relief[..., None]], -1).astype(np.float32)
    sides, rows = picture.shape[:2], []
    for k, scale in enumerate(_SCALES):
        colour, rank = (resized(layers[..., c], round(scale * max(sides))) for c in ([0, 1, 2], [3, 3, 3]))
        at = np.full((*colour.shape[:2], 1), k / (len(_SCALES) - 1), np.float32)
        row = np.concatenate([colour, rank[..., :1], at], -1)
        width = rows[0].shape[1] if rows else row.shape[1]
        # Repeated until the row is full: our own materials join, and a photograph's joint is seldom chosen. One colour
        # as a filling would be: where views disagree nothing is nearer to their mean.
        rows.append(np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), "wrap"))
    sheet = np.concatenate(rows)
    return Exemplar(sheet[..., :3], sheet[..., 3:])


def guide_of(scene: Scene) -> np.ndarray:
    """What the denoiser is asked for, f4 [H, W, 2]: relief and scale, in [0, 1]."""
    relief = (0.5 + _RELIEF * scene.crease).clip(0.1, 0.9)
    near = np.quantile(scene.distance[~scene.sky], _NEAR)
    scale = (np.log2(scene.distance / near) / _OCTAVES).clip(0, 1)
    return np.stack([relief, scale], -1).astype(np.float32)


def lit(material: np.ndarray, scene: Scene, mean: np.ndarray) -> np.ndarray:
    """The `material` f4 [H, W, 3] in [0, 1] in the scene's light, behind its air, under its sky; `mean` [3] in [0, 1]
    is the exemplar's mean colour."""
    light = scene.light[..., None]
    share = light.clip(0, 1)
    tint = (_COOL + (_WARM - _COOL) * share).astype(np.float32)
    seen = encoded(linear(material) * (light * tint))
    air = (_AIR * _HORIZON + (1 - _AIR) * mean).astype(np.float32)
    seen += scene.haze[..., None] * (air - seen)
    return np.where(scene.sky[..., None], _sky(scene.elevation), seen).astype(np.float32)


def _sky(elevation: np.ndarray) -> np.ndarray:
    height = (elevation / np.float32(np.pi / 2)).clip(0, 1)[..., None] ** 0.6
    return (_HORIZON + (_ZENITH - _HORIZON) * height).astype(np.float32)
