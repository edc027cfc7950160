"""What keeps an object and changes its surroundings needs of a model: the photograph as the model sees it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from torch import Tensor

from weft.denoiser import Denoiser
from weft.schedule import Schedule

__all__ = ["Setting"]


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
