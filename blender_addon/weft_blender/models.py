"""Models as the connected server tells of them: what each is for, which settings matter to it, and what it lacks.

No model is known here by its name, but the one without trained weights; PROTOCOL.md says what a card holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from weft_wire.jobs.networks import EMBEDDED_VIEW
from weft_wire.jobs.variants import CORRELATIONS

from .light_map import BUILT_IN
from .link import LINK
from .task import EMBEDDED, SceneTask

__all__ = ["Card", "card_of", "cards", "is_known", "kinds_followed", "lacking", "matters", "own_value", "suggestions"]

CONTROL = "control:"  # roles of parts that follow the geometry begin with it
DEPTH, NONE = "depth", "none"
ONLY_GUIDED = ("guidance", "negative_prompt")  # other weights may heed them where a card's own do not
# Settings whose 0 is what the card says.
AUTOMATIC = {"size": "view_size", "window": "view_size", "guidance": "guidance", "image_guidance": "image_guidance"}


@dataclass(frozen=True)
class Card:
    """One model. None: the server did not tell, so that everything may be so."""

    name: str
    help: str = ""
    here: bool = True
    tasks: Sequence[str] | None = None
    needs: Sequence[str] = ()
    heeds: Sequence[str] | None = None
    controls: Sequence[str] = ()
    reference: str = "style"
    view_size: int = 0
    guidance: float = 0.0
    image_guidance: float = 0.0
    licence: str = ""
    remark: str = ""
    missing: Sequence[Mapping[str, Any]] = ()

    def suits(self, task: SceneTask) -> bool:
        return self.tasks is None or task.name in self.tasks


OWN = Card(EMBEDDED, heeds=(), view_size=EMBEDDED_VIEW, reference="exemplar")
_FIELDS = frozenset(field.name for field in fields(Card))


def cards() -> dict[str, Card]:
    """All that the server knows, by name, those that can be used now first; at least the embedded denoiser."""
    told = LINK.capabilities
    rows = told.get("cards") or [{"name": name} for name in told.get("models", []) if name != EMBEDDED]
    found = [Card(**{key: value for key, value in row.items() if key in _FIELDS}) for row in rows]
    by_name = {OWN.name: OWN, **{card.name: card for card in found}}
    return dict(sorted(by_name.items(), key=lambda item: not item[1].here))


def card_of(settings: Any) -> Card:
    """The card of the chosen model; one that leaves everything open for a name that nobody has told."""
    name = getattr(settings, "model", EMBEDDED)
    return cards().get(name) or Card(name)


def is_known(name: str) -> bool:
    """Whether the server has heard of the model, as far as it tells."""
    return name in cards() or "cards" not in LINK.capabilities


def matters(name: str, task: SceneTask, settings: Any) -> bool:
    """Whether the setting `name` changes anything, with the chosen model and what else is set."""
    card = card_of(settings)
    if not task.matters(name, settings):
        return False
    if name in task.network:
        return card.name != EMBEDDED and name not in task.unheeded and _heeded(name, card, task, settings)
    if card.name == EMBEDDED:
        return True
    edits = "image" in card.needs  # it sees what is there, and begins from noise alone
    return name not in task.for_embedded and not (edits and name == "strength")


def _heeded(name: str, card: Card, task: SceneTask, settings: Any) -> bool:
    match name:
        case "control" if not task.has_geometry(settings):
            return False
        case "style_scale" if not task.has_reference(settings):
            return False
        case "compiled" if str(LINK.capabilities.get("device", "")).startswith("cpu"):
            return False
    return card.heeds is None or name in card.heeds or (name in ONLY_GUIDED and bool(settings.checkpoint))


def own_value(name: str, settings: Any) -> str:
    """What the model makes of a setting that is 0 or empty, "768" or "depth"; "" where that is nothing but a value, or
    nothing was told."""
    if not hasattr(settings, "model"):
        return ""
    card = card_of(settings)
    if name == "control":
        return DEPTH if DEPTH in card.controls else ""
    value = getattr(card, AUTOMATIC[name]) if name in AUTOMATIC else 0
    return f"{value:g}" if value else ""


def kinds_followed(task: SceneTask, settings: Any) -> list[str]:
    """The kinds of pictures of the geometry that a job with these settings would follow."""
    card = card_of(settings)
    if not matters("control", task, settings):
        return []
    text = settings.control.strip().lower()
    if not text:
        return [kind for kind in card.controls if kind == DEPTH]
    asked = [item.partition("@")[0].partition(":")[0].strip() for item in text.split(",")]
    return [] if text == NONE else list(filter(None, asked))


def lacking(task: SceneTask, settings: Any) -> list[Mapping[str, Any]]:
    """The parts that a job with these settings needs and the server has not."""
    card = card_of(settings)
    wanted = {CONTROL + kind for kind in kinds_followed(task, settings)}
    if card.reference == "style" and "style_scale" not in task.unheeded and task.has_reference(settings):
        wanted |= {"style", "image_encoder"}
    wanted |= {part["role"] for part in card.missing if not part["optional"]}
    if getattr(settings, "checkpoint", ""):
        wanted -= {"base"}
    return [part for part in card.missing if part["role"] in wanted]


def suggestions(name: str) -> Any:
    """The callback of a text field that offers what can be written into it, or None where that is up to the user."""
    offers = {
        "control": _controls,
        "checkpoint": _weights,
        "loras": _weights,
        "light": _lights,
        "correlation": _correlations,
    }.get(name)
    if offers is None:
        return None

    def search(settings: Any, _context: Any, text: str) -> list[str]:
        head, comma, last = text.rpartition(",") if name == "loras" else ("", "", text)
        start = f"{head}{comma} " if comma else ""
        return [start + offer for offer in offers(settings) if last.strip().lower() in offer.lower()]

    return search


def _controls(settings: Any) -> list[str]:
    kinds = list(card_of(settings).controls)
    return [*kinds, *(f"{kinds[0]}, {kind}:0.5" for kind in kinds[1:]), NONE] if kinds else [NONE]


def _weights(_settings: Any) -> list[str]:
    return list(LINK.capabilities.get("weights", []))


def _correlations(_settings: Any) -> list[str]:
    return list(CORRELATIONS)


def _lights(_settings: Any) -> list[str]:
    return list(BUILT_IN)
