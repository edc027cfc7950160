"""Views denoised by a network, tied through a canonical space at every step: SyncTweedies as the paper runs it.

Kim et al. 2024: DDIM without noise of its own, the x0 of all views aggregated in the first part of the steps, free
afterwards, and one synchronisation of the decoded images at the end, in which views count that look squarely.
What the views share are latents, or the images that these decode to (`methods.decoded`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from weft.denoiser import Denoiser
from weft.errors import BadCheckpoint
from weft.methods.cases import INDEPENDENT, SYNCTWEEDIES, Case
from weft.methods.decoded import SynchronizedImages
from weft.methods.synchronized import Step, synchronized
from weft.models.networks.image_model import Codec
from weft.noise import CanonicalNoise, gaussian
from weft.schedule import NoiseLevel, Schedule
from weft.spaces.linear import LinearSpace, identity

__all__ = ["BAKE_EXPONENT", "Held", "NetworkRun", "RunStep", "Spaces", "begin"]

SHOWN = 10  # steps of a run, at most, after which the colours are looked at: on a GPU that costs as much as a step
BAKE_EXPONENT = 6.0  # of a view's weight in the last synchronisation (Kim et al. 2024)


@dataclass(frozen=True, eq=False)
class Spaces:
    """The same views, as fine as latents and as pixels; `pixels` and `bake` have the same cells."""

    latents: LinearSpace | None  # None: colours only, because a view mixes many cells (splats)
    pixels: LinearSpace
    bake: LinearSpace  # of pixels, for the end


@dataclass(frozen=True, eq=False)
class Held:
    """Views of which a part is repainted: the rest is put back into every x0 (Avrahami et al. 2022, Blended Diffusion).

    With the noise that x0 leaves to each view, the rest is then seen at every level as it was, under one and the same
    noise. `Spaces.latents` must be blind where a view holds everything (`spaces.held.blind`), or synchronising would
    put a mean of all views there.
    """

    latents: Tensor  # [N, C, h, w], the views as they are
    share: Tensor  # [N, 1, h, w] in [0, 1], how much of a latent is repainted

    def around(self, denoiser: Denoiser) -> Denoiser:
        def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
            return torch.lerp(self.latents, denoiser(x, level), self.share)

        return denoise


@dataclass(frozen=True, slots=True)
class RunStep:
    """What a step left behind, as far as tasks need it."""

    index: int  # from 0
    total: int
    level: NoiseLevel  # where the step began
    z: Tensor | None  # [cells, 3] in [-1, 1], on the CPU: the colours so far; None where they are not looked at


def begin(
    codec: Codec, spaces: Spaces, schedule: Schedule, source: torch.Generator, clean: Tensor | None = None
) -> Tensor:
    """The noisy latents [N, C, h, w] at the schedule's first level, on the CPU. `clean` [N, C, h, w]: what is noised
    (SDEdit); without it noise of unit variance, as networks were trained to begin with.

    Cells give their noise to all views that look them up; where views mix cells, each draws its own.
    """
    views, height, width = spaces.pixels.view_shape
    if spaces.latents is None:
        noise = gaussian((views, codec.channels, height // codec.factor, width // codec.factor), source)
    else:
        index, cells, shape = spaces.latents.nearest, spaces.latents.cells, spaces.latents.view_shape
        noise = CanonicalNoise(index, cells, shape)(codec.channels, source)
    level = schedule.levels[0]
    return noise if clean is None else level.alpha * clean.cpu() + level.sigma * noise


@dataclass
class NetworkRun:
    """A run that has not begun. Iterating `steps` runs it; `images` [N, 3, H, W] in [-1, 1] are the views at the end,
    on the CPU."""

    codec: Codec
    denoiser: Denoiser
    spaces: Spaces
    schedule: Schedule
    x: Tensor  # [N, C, h, w] at the schedule's first level, on the model's device
    sync_until: float
    in_pixels: bool  # what the views share: the images of their latents, or these
    case: Case = SYNCTWEEDIES
    held: Held | None = None  # on the model's device
    images: Tensor = field(default_factory=lambda: torch.zeros(0))

    def steps(self) -> Iterator[RunStep]:
        """The denoising, then one step more: decoding and baking."""
        total, x0 = len(self.schedule) + 1, self.x
        for step in self._in_pixels() if self.in_pixels or self.spaces.latents is None else self._in_latents():
            x0, shown = step.x0, _is_shown(step.index, total)
            if shown or step.index == 0:
                _check_numbers(x0, f"after step {step.index + 1} of {total}")
            yield RunStep(step.index, total, step.level, self._seen(step) if shown else None)
        self.images = self.codec.decode(x0).float().clamp(-1, 1)
        _check_numbers(self.images, "after decoding")
        z = self.spaces.bake.aggregate(self.spaces.bake.rows_of(self.images))
        self.images = self.images.cpu()
        yield RunStep(total - 1, total, self.schedule.levels[-1], z.cpu())

    @property
    def _denoise(self) -> Denoiser:
        return self.denoiser if self.held is None else self.held.around(self.denoiser)

    def _in_latents(self) -> Iterator[Step]:
        space = self.spaces.latents
        assert space is not None
        return synchronized(self._denoise, space, self.schedule, self.x, case=self.case, sync_until=self.sync_until)

    def _in_pixels(self) -> Iterator[Step]:
        alone = self._denoise
        tied = SynchronizedImages(alone, self.codec, self.spaces.pixels)
        shared = round(self.sync_until * len(self.schedule))
        calls = iter(range(len(self.schedule)))

        def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
            return tied(x, level) if next(calls) < shared else alone(x, level)

        views, _, height, width = self.x.shape
        return synchronized(denoise, identity((views, height, width)), self.schedule, self.x, case=INDEPENDENT)

    def _seen(self, step: Step) -> Tensor:
        """A preview of the canonical colours: what the codec's quick decoder makes of the views."""
        quick = self.codec.preview(step.x0).float().clamp(-1, 1)
        space, latents = self.spaces.pixels, self.spaces.latents
        if latents is not None and latents.cells == space.cells and tuple(quick.shape[2:]) == latents.view_shape[1:]:
            space = latents
        if tuple(quick.shape[2:]) != space.view_shape[1:]:
            quick = functional.interpolate(quick, size=space.view_shape[1:], mode="bilinear", align_corners=False)
        return space.unproject(space.rows_of(quick)).cpu()


def _check_numbers(x: Tensor, when: str) -> None:
    """Raise early: what is no number spreads, and would be painted."""
    if not torch.isfinite(x).all():
        raise BadCheckpoint(
            f"the network computes values that are no numbers {when}",
            "its weights may be damaged: `weft models check NAME` tells; or take less guidance",
        )


def _is_shown(index: int, total: int) -> bool:
    """Whether step `index` of `total` is one of the SHOWN that lie evenly among them."""
    return (index + 1) * SHOWN // total > index * SHOWN // total
