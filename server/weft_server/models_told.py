"""What a server tells its clients of models: what each is for, what it heeds, and how to get what it lacks.

Names of files are all that is read, so it can be asked anew whenever a download may have ended. Panels show what is
told here, and know no model by its name.
"""

from __future__ import annotations

from typing import Any

from weft.models.cards import CARDS, Card, Part
from weft.models.fetching import fetch_command
from weft.models.library import Library
from weft_server.able import EMBEDDED, suits
from weft_wire.jobs import TASKS
from weft_wire.jobs.networks import EMBEDDED_VIEW, NETWORK
from weft_wire.parameters import params_of

__all__ = ["MOST_WEIGHTS", "models_told"]

MOST_WEIGHTS = 200  # names: a greeting is one message of 64 KiB


def models_told(library: Library) -> dict[str, Any]:
    """`models`: names of those that can be used now; `cards`: a row for each, here or not; `weights`: names of further
    files, for `checkpoint` and `loras`."""
    cards = [_embedded(), *(_card(card, library) for card in CARDS.values())]
    usable = [card["name"] for card in cards if card["here"]]
    return {"models": usable, "cards": cards, "weights": library.names()[:MOST_WEIGHTS]}


def _embedded() -> dict[str, Any]:
    return {
        "name": EMBEDDED,
        "help": "paints with the patches of a picture, or of a built-in material",
        "here": True,
        "tasks": _network_tasks(),
        "view_size": EMBEDDED_VIEW,
        "reference": "exemplar",
        "heeds": [],
    }


def _card(card: Card, library: Library) -> dict[str, Any]:
    return {
        "name": card.name,
        "help": card.help,
        "here": library.has(card),
        "tasks": [name for name in _network_tasks() if suits(card, name)],
        "needs": sorted(card.needs),
        "heeds": _heeded(card),
        "controls": list(card.controls),
        "reference": "background" if "background" in card.needs else "style" if card.part("style") else "",
        "view_size": card.view_size,
        "guidance": card.guidance,
        "image_guidance": card.image_guidance,
        "licence": ", ".join(dict.fromkeys(part.licence for part in card.parts if not part.optional)),
        "remark": "; ".join(dict.fromkeys(f"{part.licence}: {part.remark}" for part in card.parts if part.remark)),
        "missing": [_lacking(part) for part in card.parts if library.find_part(part) is None],
    }


def _lacking(part: Part) -> dict[str, Any]:
    return {"role": part.role, "optional": part.optional, "size": part.size, "command": fetch_command(part)}


def _network_tasks() -> list[str]:
    return [name for name, task in TASKS.items() if any(row[2].section == NETWORK for row in params_of(task.params))]


def _heeded(card: Card) -> list[str]:
    """Names of the parameters for networks that change what this one makes, in the order of their declaration."""
    guided = card.guidance != 1  # otherwise its guidance is inside
    asked = {
        "negative_prompt": guided and card.reads_words,
        "guidance": guided,
        "image_guidance": card.image_guidance != 0,
        "control": bool(card.controls),
        "style_scale": card.part("style") is not None,
        "view_attention": card.views_attend,
    }
    rows = params_of(TASKS["texture"].params)
    return [field.name for field, _, rule in rows if rule.section == NETWORK and asked.get(field.name, True)]
