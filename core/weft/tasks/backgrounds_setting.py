"""What keeps an object and changes its surroundings needs of a model: the photograph as the model sees it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.denoiser import Denoiser
from weft.errors import InvalidInput
from weft.schedule import Schedule

__all__ = ["Setting", "mask_share"]


class Setting(Protocol):
    """A photograph, its object, and a model that paints what is around it."""

    @property
    def target(self) -> Tensor:
        """[C, h, w]: the photograph at the model's size, pixels in [-1, 1] or latents."""
        ...

    @property
    def mask(self) -> Tensor:
        """bool [h, w]: the object."""
        ...

    @property
    def schedule(self) -> Schedule: ...
    @property
    def material(self) -> dict[str, Any]:
        """What the job's report says that was painted."""
        ...

    def denoiser(self, count: int, *, inverting: bool = False) -> Denoiser:
        """For one trajectory of `count` samples. The same noise gives the same bytes."""
        ...

    def images(self, x: Tensor) -> np.ndarray:
        """f4 [m, h', w', 3] in [0, 1] of samples [m, C, h, w], as large as the model made them."""
        ...

    def preview(self, x: Tensor) -> np.ndarray:
        """The same, quickly."""
        ...

    def enlarged(self, x: Tensor) -> np.ndarray:
        """f4 [H, W, 3] in [0, 1] of a sample [1, C, h, w], as large as the photograph."""
        ...


def mask_share(mask: np.ndarray, height: int, width: int) -> Tensor:
    """f4 [height, width]: how much of every cell `mask` bool [H, W] covers.

    Raises InvalidInput where no cell belongs more to the object than to what is around it, or every one does.
    """
    planes = torch.from_numpy(mask.astype(np.float32))[None, None]
    share = functional.interpolate(planes, size=(height, width), mode="area")[0, 0]
    if not (share >= 0.5).any():
        raise InvalidInput(f"the object is too small to be seen at {width}×{height}", "raise the size, or crop")
    if (share >= 0.5).all():
        raise InvalidInput(f"the object leaves nothing around it at {width}×{height}", "raise the size, or unmask more")
    return share
