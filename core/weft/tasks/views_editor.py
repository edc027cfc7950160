"""What a job on views asks of an editor, whatever edits: quotients of light, patches of a style, or a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.schedule import Schedule
from weft.spaces.linear import LinearSpace

__all__ = ["EmbeddedEditor", "ViewEditor"]


class ViewEditor(Protocol):
    """A 2D editor A of N views, bound to what it is to make of them, and A', told of one edited view.

    It denoises x [N, C, h, w] of a kind of its own (logarithms of shading quotients, sRGB images, latents), roughly
    within [-1, 1]; `images` makes pictures of it. Everything is deterministic for one seed.
    """

    @property
    def schedule(self) -> Schedule: ...

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """N, C, h, w of x."""
        ...

    @property
    def device(self) -> torch.device: ...

    @property
    def eta(self) -> float:
        """How much of a step's noise is new, in [0, 1], where the way that is gone leaves it open: 1 forgets what views
        disagreed about, 0 is what networks are sampled with."""
        ...

    @property
    def clean(self) -> Tensor | None:
        """x0 [N, C, h, w], on the CPU, that is noised at the schedule's first level; None: begin from noise alone."""
        ...

    def editor(self, seed: int) -> Denoiser:
        """A: every view for itself, as far as the model goes. Serves one trajectory."""
        ...

    def prior(self, reference: int, edited: Tensor, seed: int) -> Denoiser:
        """A': what the edit x0 `edited` [C, h, w] of view `reference` says of all views. Serves one trajectory."""
        ...

    def agreed(self, space: LinearSpace) -> Callable[[Tensor], Tensor]:
        """F on estimates x0 [N, C, h, w] through `space`, which has the views' pixels."""
        ...

    def images(self, x0: Tensor) -> Tensor:
        """The edited views [N, 3, H, W] in [-1, 1], sRGB."""
        ...


class EmbeddedEditor:
    """What editors on the embedded denoiser have alike: they begin from noise, forget it at every step, use no GPU."""

    device = torch.device("cpu")
    eta = 1.0
    clean: Tensor | None = None
