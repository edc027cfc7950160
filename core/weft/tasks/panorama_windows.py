"""What edits of panoramas ask of their windows, wide or all around."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from weft.methods.score_distillation import Batch

__all__ = ["PanoramaWindows"]


class PanoramaWindows(Protocol):
    """A `Variable` of one image [H, W, 3]."""

    @property
    def window(self) -> int:
        """px of a window's shorter side."""
        ...

    @property
    def wraps(self) -> bool:
        """Whether left meets right."""
        ...

    @property
    def count(self) -> int:
        """Windows of a step."""
        ...

    def canvases(self, picture: np.ndarray) -> np.ndarray:
        """[N, h, w, C] of `picture` [H, W, C], in px: what windows are cut out of. Places count in them."""
        ...

    def views(self, picture: np.ndarray) -> np.ndarray:
        """f4 [N, h, w, C]: how `picture` [H, W, C] is looked at, and to be judged."""
        ...

    def picture(self) -> np.ndarray:
        """f4 [H, W, 3] sRGB in [0, 1]: the image of now. What may not change is as it was."""
        ...

    def draw(self, generator: torch.Generator) -> Batch: ...
    def descend(self, batch: Batch, gradient: Tensor, rate: float) -> None: ...
