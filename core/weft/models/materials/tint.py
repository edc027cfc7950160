"""Another colour for a material: moved in Oklab (Ottosson 2020), so that light and dark keep their order."""

from __future__ import annotations

import numpy as np

__all__ = ["tinted"]

_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_KEPT_COLOUR = 0.35  # of the material's own variation in hue, and less of it where the asked colour is a grey
_LIGHTNESS = 0.55  # of the way to the asked colour's lightness


def _to_oklab(image: np.ndarray) -> np.ndarray:
    linear = np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T


def _from_oklab(lab: np.ndarray) -> np.ndarray:
    linear = np.clip((lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def tinted(image: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """`image` [H, W, 3] with the mean hue, colourfulness and (mostly) lightness of `colour` [3]; all sRGB in [0, 1]."""
    lab, target = _to_oklab(image.astype(np.float64)), _to_oklab(colour.astype(np.float64))
    mean = lab.reshape(-1, 3).mean(0)
    shift = _LIGHTNESS * (target[0] - mean[0])
    # A gamma, not an offset: black mortar stays black, white veins stay white.
    middle = np.clip(mean[0], 0.05, 0.95)
    gamma = np.log(np.clip(middle + shift, 0.05, 0.95)) / np.log(middle)
    lightness = np.clip(lab[..., :1], 0, 1) ** gamma
    room = np.clip(4 * lightness * (1 - lightness) / 0.75, 0, 1)  # there is little colour near black and white
    kept = _KEPT_COLOUR * np.clip(np.hypot(*target[1:]) / 0.08, 0.2, 1)
    ab = target[1:] * room + kept * (lab[..., 1:] - mean[1:])
    return np.clip(_from_oklab(np.concatenate([lightness, ab], -1)), 0, 1).astype(np.float32)
