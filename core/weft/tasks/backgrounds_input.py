"""What a job on backgrounds is given, checked before any work."""

from __future__ import annotations

import numpy as np

from weft.errors import InvalidImage, InvalidInput, OutOfMemory
from weft.methods.coupled_noise import Coupling, equicorrelated
from weft.models.device_memory import free_memory

__all__ = ["LARGEST", "LEAST", "MOST", "check_memory", "checked_coupling", "checked_object"]

LEAST, MOST = 2, 16  # backgrounds of a job
LARGEST = 4096  # px of the photograph's sides
_SMALLEST = 64
_BASE = 400 << 20  # bytes for compiled kernels and what the exemplar's features take at usual sizes
_PER_PIXEL, _PER_RESULT = 60, 8  # bytes of the photograph: enlarging one result, in floats; keeping and sending it
_PER_WORKED = 250  # bytes of a worked-on pixel and variant: noise, Adam's moments, samples, slopes, matches
_PER_PATCH = 1500  # bytes of an exemplar's pixel, once: features at every level, of a backdrop beside it, too


def checked_object(photograph: np.ndarray, mask: np.ndarray) -> None:
    """Raise for what is no picture, and for masks that are empty, full or of another size."""
    if photograph.ndim != 3 or photograph.shape[2] != 3 or min(photograph.shape[:2]) < _SMALLEST:
        raise InvalidImage(
            f"the image has shape {tuple(photograph.shape)}, expected at least {_SMALLEST} × {_SMALLEST} × 3",
            "give a larger RGB picture",
        )
    if not np.isfinite(photograph).all():
        raise InvalidImage("the image holds NaN or infinite values", "re-export it as an ordinary PNG or JPEG")
    if mask.shape != photograph.shape[:2]:
        found, wanted = ("×".join(map(str, shape[::-1])) for shape in (mask.shape, photograph.shape[:2]))
        raise InvalidInput(f"the mask is of {found} px, expected {wanted} px", "paint it over the picture itself")
    if not mask.any():
        raise InvalidInput("the mask is empty", "paint the object that is to be kept white")
    if mask.all():
        raise InvalidInput("the mask is full: there is nothing around the object", "paint what may change black")


def checked_coupling(count: int, correlation: float) -> Coupling:
    """Of `count` backgrounds, every two of whose noises have that correlation."""
    if not LEAST <= count <= MOST:
        raise InvalidInput(f"{count} backgrounds, expected {LEAST} to {MOST}", "four are usual")
    return equicorrelated(count, correlation)


def check_memory(count: int, height: int, width: int, *, worked: int, patches: int) -> None:
    """Raise OutOfMemory, saying how many fit, unless `count` results of height × width, sampled at `worked` px each
    with exemplars of `patches` px, fit in what is free now."""
    free = free_memory()
    each = _PER_RESULT * height * width + _PER_WORKED * worked
    fixed = _BASE + _PER_PIXEL * height * width + _PER_PATCH * patches
    fitting = int((free - fixed) // each)
    if count <= fitting:
        return
    message = (
        f"{count} backgrounds of {width}×{height} px need {(fixed + count * each) / 1e9:.1f} GB, {free / 1e9:.1f} free"
    )
    remedy = f"{fitting} would fit" if fitting >= LEAST else "scale the picture down"
    raise OutOfMemory(message, remedy)
