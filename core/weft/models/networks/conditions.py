"""What a model is asked for, checked in one place before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from weft.errors import InvalidInput
from weft.models.networks.image_model import Codec, Conditioning, Control, ViewNeighbours

__all__ = ["check_conditioning", "check_latents"]


def check_conditioning(
    wanted: Conditioning,
    *,
    name: str,  # of the model, for messages
    unit: int,  # px
    controls: frozenset[str] = frozenset(),  # kinds that it can follow
    needs: frozenset[str] = frozenset(),  # pictures that it cannot do without: "image", "mask", "background", …
    styled: bool = False,  # it takes a picture for a prompt
) -> None:
    """Raises InvalidInput for what the model cannot do. Pictures that it has no use for are left alone."""
    views = len(wanted.prompts)
    if not views:
        raise InvalidInput("no prompts: nothing to show", "give one prompt for each view")
    if not (math.isfinite(wanted.guidance) and math.isfinite(wanted.image_guidance)):
        raise InvalidInput("guidance is not a finite number", "1 is none, 7.5 is usual")
    for control in wanted.controls:
        _check_control(control, [other.kind for other in wanted.controls], controls, name)
    for need in sorted(needs):
        if getattr(wanted, need) is None:
            raise InvalidInput(f"{name} was given no {need}", f"pass the views' {need}, one for each prompt")
    if wanted.style is not None and not styled:
        raise InvalidInput(f"{name} is loaded without its style adapter", "request the model with style, or leave it")
    if wanted.style is not None and (wanted.style.ndim != 3 or len(wanted.style) != 3):
        raise InvalidInput(f"a style of shape {list(wanted.style.shape)} is no picture", "pass [3, h, w]")
    _check_sizes(wanted, views, unit)
    if wanted.neighbours is not None:
        _check_neighbours(wanted.neighbours, views)


def check_latents(
    x: Tensor,
    views: int,
    codec: Codec,
    *,
    unit: int,  # px
    pixels: tuple[int, int] | None,  # height, width of the pictures of the views, where there are any
) -> None:
    """Raises InvalidInput for latents that are not one for each view, or not of their size."""
    if x.ndim != 4 or len(x) != views or x.shape[1] != codec.channels:
        raise InvalidInput(
            f"latents of shape {list(x.shape)}, expected [{views}, {codec.channels}, h, w]",
            "pass one latent for each prompt",
        )
    height, width = (side * codec.factor for side in x.shape[-2:])
    if pixels is not None and (height, width) != pixels:
        raise InvalidInput(
            f"latents of {width} x {height} px with pictures of {pixels[1]} x {pixels[0]} px",
            "render the pictures at the size of the views",
        )
    if height % unit or width % unit:
        raise InvalidInput(
            f"views of {width} x {height} px, not multiples of {unit}", f"choose view sizes in steps of {unit}"
        )


def _check_control(control: Control, kinds: list[str], known: frozenset[str], name: str) -> None:
    if control.kind not in known:
        has = "none" if not known else ", ".join(sorted(known))
        raise InvalidInput(
            f"{name} is loaded without a ControlNet for {control.kind!r}; it has {has}",
            f"request the model with controls={control.kind!r}, or leave this control out",
        )
    if kinds.count(control.kind) > 1:
        raise InvalidInput(
            f"control {control.kind!r} is given {kinds.count(control.kind)} times", "give each kind once"
        )
    if not 0 <= control.start <= control.end <= 1:
        raise InvalidInput(
            f"control {control.kind!r} from {control.start:g} to {control.end:g} is no part of the way",
            "start and end are fractions, 0 ≤ start ≤ end ≤ 1",
        )
    if not (math.isfinite(control.scale) and control.scale >= 0):
        raise InvalidInput(f"control {control.kind!r} has the scale {control.scale:g}", "0 is off, 1 is usual")


def _pictures(wanted: Conditioning) -> Iterator[tuple[str, Tensor, int]]:
    """(name, [N, channels, H, W], channels) of all pictures of the views."""
    for control in wanted.controls:
        yield f"control {control.kind!r}", control.images, 3
    for name, channels in (("image", 3), ("mask", 1), ("background", 3), ("before", 3), ("surroundings", 6)):
        picture = getattr(wanted, name)
        if picture is not None:
            yield name, picture, channels


def _check_sizes(wanted: Conditioning, views: int, unit: int) -> None:
    """All pictures are of all views, equally large, in multiples of the unit."""
    first: tuple[str, list[int]] | None = None
    for name, picture, channels in _pictures(wanted):
        shape = list(picture.shape)
        if len(shape) != 4 or shape[:2] != [views, channels]:
            raise InvalidInput(
                f"{name} has the shape {shape}, expected [{views}, {channels}, H, W]",
                "give one picture for each prompt",
            )
        if any(side % unit or not side for side in shape[2:]):
            raise InvalidInput(
                f"{name} is {shape[3]} x {shape[2]} px, not multiples of {unit}",
                f"choose view sizes in steps of {unit}",
            )
        if first is not None and shape[2:] != first[1]:
            raise InvalidInput(
                f"{name} is {shape[3]} x {shape[2]} px, {first[0]} is {first[1][1]} x {first[1][0]}",
                "render all pictures at the size of the views",
            )
        first = first or (name, shape[2:])


def _check_neighbours(neighbours: ViewNeighbours, views: int) -> None:
    if len(neighbours.keys) != views or len(neighbours.front) != views:
        raise InvalidInput(
            f"neighbours of {len(neighbours.keys)} views and {len(neighbours.front)} fronts for {views} prompts",
            "give one row for each view",
        )
    named = [*neighbours.front, *(view for keys in neighbours.keys for view in keys)]
    if not all(neighbours.keys) or not all(0 <= view < views for view in named):
        raise InvalidInput("a view attends to none, or to one that is not there", f"views count from 0 to {views - 1}")
