"""sRGB (IEC 61966-2-1) and the linear light it stands for."""

from __future__ import annotations

import numpy as np

__all__ = ["encoded", "linear"]


def linear(colour: np.ndarray) -> np.ndarray:
    """f4, sRGB in [0, 1] to linear light in [0, 1]."""
    colour = np.asarray(colour, np.float32)
    return np.where(colour < 0.04045, colour / np.float32(12.92), ((colour + 0.055) / 1.055).clip(0) ** np.float32(2.4))


def encoded(light: np.ndarray) -> np.ndarray:
    """f4, linear light to sRGB; what is brighter than 1 is cut off there, as in a picture that is exposed for the
    rest."""
    light = np.asarray(light, np.float32).clip(0, 1)
    return np.where(light < 0.0031308, light * np.float32(12.92), 1.055 * light ** np.float32(1 / 2.4) - 0.055)
