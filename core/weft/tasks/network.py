"""A model with trained weights, as a job wants it: which, and how it is conditioned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from weft.errors import InvalidInput
from weft.methods.cases import SYNCTWEEDIES, Case
from weft.models.cards import Card, notice
from weft.models.networks.image_model import Conditioning, Control, ImageModel, ViewNeighbours, as_planes
from weft.models.requests import ControlWish
from weft.tasks.events import Event, Progress, Warning
from weft.tasks.painting import Clock

__all__ = ["Network"]

SHOWN = 80  # characters of a prompt in a message
SYNCHRONIZE = ("automatic", "latents", "pixels")


@dataclass(frozen=True, eq=False)
class Network:
    """`open` loads the model, or finds it loaded. Zero guidance means the card's."""

    card: Card
    open: Callable[[], ImageModel]
    negative: str = ""
    guidance: float = 0.0
    image_guidance: float = 0.0
    controls: tuple[ControlWish, ...] = ()
    style_scale: float = 0.6
    synchronize: str = "automatic"
    sync_until: float = 0.8
    view_attention: bool = True
    _told: set[str] = field(default_factory=set, init=False)

    @property
    def edits(self) -> bool:
        """Whether the model needs to see what it changes."""
        return "image" in self.card.needs

    @cached_property
    def model(self) -> ImageModel:
        """The loaded model; the first look takes its time."""
        return self.open()

    @property
    def relights(self) -> bool:
        """Whether a mask tells it where the object is, and not what may change."""
        return self.card.part("offset") is not None or "surroundings" in self.card.needs

    @property
    def sees_reference(self) -> bool:
        """Whether a reference image means anything to the model."""
        return self.card.part("style") is not None or "background" in self.card.needs

    def load(self, clock: Clock, reference: np.ndarray | None) -> Iterator[Event]:
        """Have the model loaded, and tell what is to be known of it, beside a `reference` image."""
        yield Progress("model", 1, 1, f"loading {self.card.name}")
        if text := notice(self.card):
            yield Warning(text, "`weft models` lists the licences")
        if reference is not None and not self.sees_reference:
            yield Warning(
                f"{self.card.name} sees no reference image: the words alone count", "describe it in the prompt"
            )
        with clock.phase("model"):
            self.model  # noqa: B018 (the look loads it)

    def view_size(self, size: int, at_most: int = 0) -> int:
        """px of a view's side: `size`, rounded up to what the model can divide; for 0 the card's, and within `at_most`
        where there is such a limit."""
        unit = self.model.unit
        if not size and 0 < at_most < self.card.view_size:
            return max(at_most // unit, 1) * unit
        return -(-(size or self.card.view_size) // unit) * unit

    def check_case(self, case: Case) -> None:
        """Raise for ways of tying views together that a network in latents cannot be run in."""
        if self.in_pixels() and case != SYNCTWEEDIES:
            raise InvalidInput(
                "views that share pixels agree in one way", "use the case synctweedies, or share latents"
            )
        if (case.variable, case.phi, case.psi) != ("views", "views", "views"):
            raise InvalidInput(
                "this case denoises the canonical variable, which is not what networks were trained on",
                "use synctweedies (case 2), or another of the cases 0 to 3 and 7 to 34",
            )

    def material(self, prompt: str) -> dict[str, Any]:
        """What the job's report says that was painted."""
        return {"name": self.card.name, "asked": prompt, "exact": True, "note": ""}

    def in_pixels(self, otherwise: bool = False) -> bool:
        """Whether views share images instead of latents; `otherwise` is what suits the task."""
        return otherwise if self.synchronize == "automatic" else self.synchronize == "pixels"

    def warnings(self, prompts: Sequence[str]) -> Iterator[Warning]:
        """What a user should know by now, each thing once: words that are not read, memory that ran out."""
        found = [
            (f"{what} is longer than {self.card.name} reads: {_shortened(cut)} does not count", "say it in fewer words")
            for what, texts in (("the prompt", prompts), ("the negative prompt", (self.negative,)))
            if (cut := max(map(self.model.cut, dict.fromkeys(texts)), key=len))  # views add a few words each
        ]
        found += [(text, "smaller views, or fewer, fit at once") for text in self.model.batches.notices]
        for message, hint in found:
            if message not in self._told:
                self._told.add(message)
                yield Warning(message, hint)

    def conditioning(
        self,
        prompts: Sequence[str],
        *,
        drawn: Callable[[Sequence[str]], Mapping[str, Tensor]] | None,
        image: Tensor | None = None,
        mask: Tensor | None = None,
        style: np.ndarray | None = None,
        background: Tensor | None = None,
        surroundings: Tensor | None = None,
        before: Tensor | None = None,
        neighbours: ViewNeighbours | None = None,
    ) -> Conditioning:
        """What the views should show. `drawn(kinds)` makes control images [N, 3, H, W] in [0, 1]; None: there is no
        geometry to draw. `style`: f4 [h, w, 3] in [0, 1], heeded by models with a style adapter; those that light
        by a background are shown it as that unless there is a `background`. Other arguments as in `Conditioning`."""
        if self.edits and image is None:
            raise InvalidInput(f"{self.card.name} edits what is there, and there is nothing", "use `retexture`")
        kinds = [wish.kind for wish in self.controls]
        if kinds and drawn is None:
            raise InvalidInput(
                f"{', '.join(kinds)} cannot be drawn without geometry", "give depth or meshes, or control = none"
            )
        images = drawn(kinds) if kinds and drawn is not None else {}
        if "background" in self.card.needs:
            background = _behind(style, len(prompts), image) if background is None else background
        return Conditioning(
            tuple(prompts),
            negative=self.negative,
            guidance=self.guidance or self.card.guidance,
            image_guidance=self.image_guidance or self.card.image_guidance,
            controls=tuple(Control(w.kind, images[w.kind], w.scale, w.start, w.end) for w in self.controls),
            image=image if self.edits else None,
            mask=mask if self.edits else None,
            background=background if "background" in self.card.needs else None,
            before=before if "before" in self.card.needs else None,
            surroundings=surroundings if "surroundings" in self.card.needs else None,
            style=as_planes(style[None])[0] if style is not None and self.card.part("style") is not None else None,
            style_scale=self.style_scale,
            neighbours=neighbours if self.view_attention else None,
        )


def _shortened(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def _behind(picture: np.ndarray | None, views: int, image: Tensor | None) -> Tensor:
    """The picture as the background of every view, stretched to the size of `image` [N, 3, H, W]."""
    if picture is None or image is None:
        raise InvalidInput("there is no background to light by", "give a reference image")
    planes = as_planes(picture[None])
    shown = functional.interpolate(planes, size=image.shape[2:], mode="bilinear", antialias=True, align_corners=False)
    return shown.expand(views, -1, -1, -1).contiguous()
