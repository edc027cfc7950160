"""What is asked of a multi-view prior that is a network: all views of one thing at once, from a few that are known.

The B of *Coupled Diffusion Sampling for Training-Free Multi-View Image Editing* (CVPR 2026). Of N views some are given
as clean pictures (the references: those that were edited first), of all the cameras are known, and the denoiser that
`bind` returns takes and gives latents [N, C, h, w] of all N together: every view depends on every other one.
References are among the N and denoised like the rest, so that the latents of a 2D editor of the same views fit them.

Cameras are those of `geometry.camera`; pictures [-1, 1]. Latents are those of `codec`; whether they are the editor's is
asked of the cards (`prior_cards.check_partners`). Nothing is drawn at random: equal calls give equal results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.models.cards import Card
from weft.models.networks.batching import Batches
from weft.models.networks.image_model import Codec, NoiseLevels

__all__ = ["GeometryPictures", "MultiViewConditioning", "MultiViewModel", "check_multi_view"]


@dataclass(frozen=True, eq=False)
class GeometryPictures:
    """What each pixel of the views shows, where that is known."""

    positions: Tensor  # [N, 3, H, W] world
    normals: Tensor  # [N, 3, H, W] world, unit
    mask: Tensor  # [N, 1, H, W], 1 where the object is; positions and normals count there alone


@dataclass(frozen=True, eq=False)
class MultiViewConditioning:
    """N views of one thing. A model takes what it can use and refuses what it lacks (InvalidInput)."""

    cameras: tuple[Camera, ...]  # N, of images with one aspect
    references: tuple[int, ...]  # R of the views, from 0, that are known …
    images: Tensor  # … as [R, 3, H, W] in [-1, 1]
    prompts: tuple[str, ...] = ()  # N; () says nothing. Some models read none
    negative: str = ""
    guidance: float | None = None  # by the references (and words); None is the card's own, 1 is none
    geometry: GeometryPictures | None = None


class MultiViewModel(Protocol):
    """A loaded prior. `bind` gives a denoiser of latents [N, C, h, w]; its calls are deterministic."""

    @property
    def card(self) -> Card: ...
    @property
    def codec(self) -> Codec: ...
    @property
    def levels(self) -> NoiseLevels:
        """Its own walk: `coupled_sampling.matched` fits an editor's to it, or it to an editor's."""
        ...

    @property
    def device(self) -> torch.device: ...
    @property
    def unit(self) -> int:
        """px; sides of views are multiples of it."""
        ...

    @property
    def batches(self) -> Batches:
        """Its `notices` tell what people should know about how it ran."""
        ...

    def bind(self, wanted: MultiViewConditioning) -> Denoiser: ...


def check_multi_view(
    wanted: MultiViewConditioning,
    *,
    name: str,  # of the model, for messages
    unit: int,  # px
    most_references: int | None = None,  # that it can look at; None is any number
    views: int | None = None,  # the only number of them that it knows; None is any
    needs_geometry: bool = False,
) -> None:
    """Raises InvalidInput for what the model cannot do, in one line."""
    count, known = len(wanted.cameras), wanted.references
    if count < 2:
        raise InvalidInput(f"{count} camera for a multi-view prior", "give two views or more")
    if views is not None and count != views:
        raise InvalidInput(f"{name} makes {views} views at once, {count} cameras were given", f"give {views} cameras")
    _check_references(known, count, name, most_references)
    height, width = _check_picture("the reference pictures", wanted.images, len(known), 3)
    if height % unit or width % unit:
        message = f"reference pictures of {width} x {height} px, not multiples of {unit}"
        raise InvalidInput(message, f"choose view sizes in steps of {unit}")
    for camera in wanted.cameras:
        if not math.isclose(camera.width * height, camera.height * width, rel_tol=0.02):
            message = f"a camera of {camera.width} x {camera.height} px with pictures of {width} x {height} px"
            raise InvalidInput(message, "give cameras and pictures of one aspect")
    if wanted.prompts and len(wanted.prompts) != count:
        raise InvalidInput(f"{len(wanted.prompts)} prompts for {count} views", "give one prompt for each view, or none")
    if wanted.guidance is not None and not math.isfinite(wanted.guidance):
        raise InvalidInput("guidance is not a finite number", "1 is none, 3 is usual")
    if needs_geometry:
        _check_geometry(wanted.geometry, count, (height, width), name)


def _check_references(known: Sequence[int], count: int, name: str, most: int | None) -> None:
    if not known or len(set(known)) < len(known) or not all(0 <= view < count for view in known):
        message = f"reference views {list(known)} of {count} views"
        raise InvalidInput(message, f"name one view or more, each once, from 0 to {count - 1}")
    if most is not None and len(known) > most:
        raise InvalidInput(
            f"{name} looks at {most} reference view, {len(known)} were given", "give the one that counts"
        )


def _check_geometry(geometry: GeometryPictures | None, count: int, size: tuple[int, int], name: str) -> None:
    if geometry is None:
        message = f"{name} follows the geometry of the views, and was given none"
        raise InvalidInput(message, "pass positions, normals and masks, or take a prior that follows cameras")
    named = (("positions", geometry.positions, 3), ("normals", geometry.normals, 3), ("the masks", geometry.mask, 1))
    for what, pictures, channels in named:
        if _check_picture(what, pictures, count, channels) != size:
            message = f"{what} are of {list(pictures.shape[-2:])} px, the reference pictures of {list(size)}"
            raise InvalidInput(message, "render all pictures at the size of the views")
    if not geometry.mask.any():
        raise InvalidInput("no view shows the object: the masks are empty", "turn the cameras to it")


def _check_picture(what: str, pictures: Tensor, count: int, channels: int) -> tuple[int, int]:
    shape = tuple(pictures.shape)
    if len(shape) != 4 or shape[:2] != (count, channels) or not pictures.numel():
        message = f"{what} have the shape {list(shape)}, expected [{count}, {channels}, H, W]"
        raise InvalidInput(message, "give one picture for each view that it is of")
    return shape[2], shape[3]
