"""What an edit of a panorama is asked for, checked: its shape, and which part of it gets which look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weft.errors import InvalidImage, InvalidInput
from weft.metrics import wrap_seam
from weft.tasks.compositional import Region

__all__ = ["SHAPES", "Look", "checked_image", "checked_looks", "checked_shape", "meets_itself"]

SHAPES = ("automatic", "sphere", "wide")
_SMALLEST = 64  # px of a side
_JOINED = 1.2  # of the difference across other lines: more across the borders is no continuation


@dataclass(frozen=True, eq=False)
class Look:
    """What a part of the image should look like."""

    name: str
    prompt: str
    exemplar: np.ndarray | None  # f4 [h, w, 3]
    mask: np.ndarray  # bool [H, W], which part


def checked_image(image: np.ndarray) -> None:
    """Raise for what is no picture of a sufficient size."""
    if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < _SMALLEST:
        raise InvalidImage(
            f"the image has shape {tuple(image.shape)}, expected at least {_SMALLEST} × {_SMALLEST} × 3",
            "give a larger RGB picture",
        )
    if not np.isfinite(image).all():
        raise InvalidImage("the image holds NaN or infinite values", "re-export it as an ordinary PNG or JPEG")


def checked_shape(shape: str, image: np.ndarray) -> str:
    """ "sphere" or "wide"."""
    if shape not in SHAPES:
        raise InvalidInput(f"no panorama has the shape {shape!r}", f"choose one of {', '.join(SHAPES)}")
    height, width = image.shape[:2]
    if shape == "sphere" and width != 2 * height:
        raise InvalidInput(
            f"a sphere of {width}×{height} px is not twice as wide as high",
            f"crop or scale it to {2 * height}×{height} px, or choose the shape wide",
        )
    return shape if shape != "automatic" else "sphere" if width == 2 * height else "wide"


def meets_itself(image: np.ndarray) -> bool:
    """Whether the left border goes on where the right one ends."""
    return wrap_seam(image) < _JOINED


def checked_looks(
    image: np.ndarray,
    mask: np.ndarray | None,
    prompt: str,
    exemplar: np.ndarray | None,
    regions: Sequence[Region | None],
    prompts: Sequence[str],
) -> list[Look]:
    """The look of every region, then that of all the rest if there is one; masks end at `mask`. `prompts` are the
    regions'. Raises InvalidInput for looks without a place, places without a look, and masks of other sizes."""
    allowed = np.ones(image.shape[:2], bool) if mask is None else mask
    _check_mask("the mask", allowed, image)
    given = [*regions, *[None] * (len(prompts) - len(regions))]
    looks = []
    for number, (region, words) in enumerate(zip(given, prompts, strict=True), 1):
        if region is None:
            if words.strip():
                raise InvalidInput(f"region {number} has no mask", "paint one, as large as the panorama")
            continue
        _check_mask(f"the mask of region {number}", region.mask, image)
        if not words.strip() and region.exemplar is None:
            raise InvalidInput(
                f"region {number} has neither a prompt nor a reference image",
                "write a prompt or choose an image for it",
            )
        if not (region.mask & allowed).any():
            raise InvalidInput(
                f"region {number} lies where nothing may change", "paint it inside of the mask, or leave out the mask"
            )
        looks.append(Look(f"region {number}", words, region.exemplar, region.mask & allowed))
    rest = allowed & ~np.any([look.mask for look in looks], 0) if looks else allowed
    if prompt.strip() or exemplar is not None:
        looks += [Look("everything else" if looks else "everything", prompt, exemplar, rest)] if rest.any() else []
    if not looks:
        raise InvalidInput("there is neither a prompt nor a reference image", "write a prompt or choose an image")
    return looks


def _check_mask(name: str, mask: np.ndarray, image: np.ndarray) -> None:
    if mask.shape != image.shape[:2]:
        found, expected = (f"{shape[1]}×{shape[0]}" if len(shape) > 1 else str(shape)
                           for shape in (mask.shape, image.shape))  # fmt: skip
        raise InvalidInput(f"{name} is of {found} px, expected {expected} px", "paint it over the panorama itself")
    if not mask.any():
        raise InvalidInput(f"{name} is empty", "paint what may change white")
