"""Model cards: what each network is for, what it consists of, whose terms it is under. Needs no torch.

A card names its parts by the ids of their publishers; a job may put another checkpoint of the same family in the place
of the base. Nothing here is downloaded: `library` looks for the parts on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CARDS", "Card", "ModelRequest", "Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is published, downloaded and licensed by itself."""

    role: str  # "base", "control:depth", "control:normal", "control:canny", "offset", "style", "preview"
    source: str  # "owner/name" at the Hugging Face hub
    licence: str
    commercial: bool = True
    size: int = 0  # bytes, about
    files: tuple[str, ...] = ()  # those that are needed; () means a folder in diffusers' layout
    optional: bool = False  # the model works without it


@dataclass(frozen=True, slots=True)
class Card:
    """One model that a job can ask for by `name`."""

    name: str
    help: str
    family: str  # parts of one family fit together: "sd15", "sdxl", "sd3", "flux2"
    parts: tuple[Part, ...]
    resolution: int  # px, of the images it was trained on
    view_size: int  # px, of the views that a job uses unless it says otherwise
    guidance: float  # of text, unless a job says otherwise
    needs: frozenset[str] = frozenset()  # inputs it cannot do without: "image" (something to edit)
    memory: int = 0  # bytes of the device that one view needs, weights included, about
    image_guidance: float = 1.5  # of the image, where it is edited by instruction


CARDS: dict[str, Card] = {}


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a job wants loaded. Equal requests share one loaded model."""

    name: str  # of a card
    checkpoint: str = ""  # in the place of the card's base: a name in the library
    loras: tuple[tuple[str, float], ...] = ()  # (name in the library, scale)
    controls: tuple[str, ...] = ()  # kinds: "depth", "normal", "canny"
    style: bool = False  # with the adapter that takes a picture for a prompt
    options: frozenset[str] = field(default_factory=frozenset)  # how it is run: "compile"
