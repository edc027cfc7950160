"""What a job says of its model, in text, as a request to load and the controls to follow. Needs no torch.

The server reads it at submit, to refuse; the tasks read it again, to do it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from weft.errors import InvalidInput
from weft.models.cards import Card, ModelRequest, card_named

__all__ = ["EMBEDDED", "ControlWish", "ModelWish", "parse", "parse_controls", "parse_loras"]

EMBEDDED = "exemplar"  # the denoiser that needs no files
NONE = "none"
LARGEST_SCALE = 4.0  # of a LoRA or a control, either way
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_CONTROL = re.compile(rf"(?P<kind>[a-z]+)(?::(?P<scale>{_NUMBER}))?(?:@(?P<start>{_NUMBER})-(?P<end>{_NUMBER}))?")


@dataclass(frozen=True, slots=True)
class ControlWish:
    """Follow pictures of one kind with `scale`, from the part `start` of the way up to `end`."""

    kind: str
    scale: float = 1.0
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, slots=True)
class ModelWish:
    """The model of a job, with what it must follow. The kinds of `controls` are those of the request."""

    request: ModelRequest
    controls: tuple[ControlWish, ...] = ()


def parse(
    model: str, checkpoint: str = "", loras: str = "", control: str = "", *, geometry: bool = True,
    style: bool = False, options: frozenset[str] = frozenset(),
) -> ModelWish:  # fmt: skip
    """The wish behind a job's parameters. Raises UnknownName for a model that no card has, InvalidInput for text that
    cannot be read and for controls that the model does not have.

    `geometry`: the views show a known shape, so that the depth can be followed unless `control` says otherwise.
    `style`: the job comes with a reference image, which a model with a style adapter takes; others do without.
    """
    card = card_named(model)
    controls = parse_controls(control, card, geometry=geometry)
    request = ModelRequest(
        card.name, checkpoint.strip(), parse_loras(loras), tuple(wish.kind for wish in controls),
        style and card.part("style") is not None, options,
    )  # fmt: skip
    return ModelWish(request, controls)


def parse_loras(text: str) -> tuple[tuple[str, float], ...]:
    """ "rusty:0.8, painted" to (("rusty", 0.8), ("painted", 1.0))."""
    found: dict[str, float] = {}
    for item in _items(text):
        name, colon, number = item.rpartition(":")
        name = name.strip() if colon else item
        if not name or (colon and not re.fullmatch(_NUMBER, number.strip())):
            raise InvalidInput(f"{item!r} is no LoRA", "write NAME or NAME:SCALE, as in rusty:0.8, painted")
        if name in found:
            raise InvalidInput(f"the LoRA {name!r} is asked for twice", "name each once")
        found[name] = _scale(float(number) if colon else 1.0, item)
    return tuple(found.items())


def parse_controls(text: str, card: Card, *, geometry: bool = True) -> tuple[ControlWish, ...]:
    """ "depth:1.0@0-1, canny:0.5@0-0.8" as wishes; "" is the depth where there is geometry and the model can, "none"
    nothing."""
    if not text.strip():
        return (ControlWish("depth"),) if geometry and "depth" in card.controls else ()
    if text.strip().lower() == NONE:
        return ()
    wishes = tuple(_control(item.lower()) for item in _items(text))
    if not wishes:
        raise InvalidInput(f"{text!r} names no control", f"write {NONE!r} for none, or nothing at all")
    for i, wish in enumerate(wishes):
        if wish.kind not in card.controls:
            can = f"it follows {', '.join(card.controls)}" if card.controls else f"it follows none; write {NONE!r}"
            raise InvalidInput(f"{card.name} has no control {wish.kind!r}", can)
        if wish.kind in (other.kind for other in wishes[:i]):
            raise InvalidInput(f"the control {wish.kind!r} is asked for twice", "name each once")
    if wishes and not geometry:
        raise InvalidInput(f"there is no geometry to draw the control {wishes[0].kind!r} from", f"write {NONE!r}")
    return wishes


def _control(item: str) -> ControlWish:
    match = _CONTROL.fullmatch(item)
    if match is None:
        raise InvalidInput(f"{item!r} is no control", "write KIND, KIND:SCALE or KIND:SCALE@START-END: depth:1@0-0.8")
    start, end = float(match["start"] or 0), float(match["end"] or 1)
    if not 0 <= start < end <= 1:
        raise InvalidInput(f"{item!r} counts from {start:g} to {end:g} of the way", "0 ≤ START < END ≤ 1")
    return ControlWish(match["kind"], _scale(float(match["scale"] or 1), item), start, end)


def _items(text: str) -> list[str]:
    return [item for item in map(str.strip, text.split(",")) if item]


def _scale(value: float, item: str) -> float:
    if abs(value) > LARGEST_SCALE:
        raise InvalidInput(f"the scale of {item!r} is out of range", f"-{LARGEST_SCALE:g} to {LARGEST_SCALE:g}")
    return value
