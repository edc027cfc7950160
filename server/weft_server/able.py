"""Whether this machine can do a job with a network: refused at submit, with the remedy, instead of failing later.

It looks at the disk at every submit, so what was downloaded a minute ago counts. Asked in the server's own process:
everything of the science that it needs is light, and imported only for jobs that want a network.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft_server.packages import absent_packages, install_command
from weft_wire.errors import WireError

if TYPE_CHECKING:
    from weft.models.cards import Card
    from weft.models.library import Resolved
    from weft.models.requests import ModelWish

__all__ = ["EMBEDDED", "PROVIDED", "check_able", "models_now", "shows_geometry", "suits", "wish_of"]

EMBEDDED = "exemplar"  # the denoiser that needs no files
# What tasks can give to models that cannot do without; the background is the reference image, or the light itself.
PROVIDED = {
    "retexture": frozenset({"image", "mask", "background"}),
    "relight": frozenset({"image", "mask", "background", "surroundings"}),
    "stylize": frozenset({"image", "mask"}),
    "move": frozenset({"image", "mask", "before"}),
    "edit_panorama": frozenset({"image"}),
    "edit_video": frozenset({"image"}),
    "backgrounds": frozenset({"image", "mask"}),
    "edit_scene": frozenset({"image"}),
}
WANTED = {"relight": frozenset({"image"})}  # of a model by a task: what paints from nothing cannot relight
AUTOMATIC = "automatic"  # the prior that geometry makes
GB = 10**9
_LIGHTS = {"exemplar", "environment"}  # inputs that show a model a background


def check_able(
    task: str, params: Mapping[str, Any], arrays: Collection[str], folders: Sequence[Path], device: Mapping[str, Any]
) -> None:
    """Raise unless the job's model is known, suits the task, and lies whole in `folders` or where the environment says.

    `arrays`: names of the inputs. `device`: what the worker told of it; `model_memory`, bytes that weights may take,
    and `weight_bytes` for each of them, where it has told already.
    """
    model = params.get("model", EMBEDDED)
    _check_prior(params, folders)
    if model == EMBEDDED:
        return
    from weft.models.cards import card_named
    from weft.models.library import Library

    card = card_named(model)
    _check_task(task, params, card)
    if "background" in card.needs and not (_LIGHTS & set(arrays) or params.get("light", "").strip()):
        raise WireError("invalid_input", f"{model} lights by a background, and there is none", "give a reference image")
    if "surroundings" in card.needs and not ("environment" in arrays or params.get("light", "").strip()):
        raise WireError("invalid_input", f"{model} relights by an environment map, and there is none", "send one")
    if "exemplar" in arrays and not params.get("prompt", "").strip() and not _sees_reference(card):
        message = f"{model} sees no reference image, and there are no words"
        raise WireError("invalid_input", message, "write a prompt, or choose a model that sees pictures, as sd15")
    wish = wish_of(params, arrays)
    if absent := absent_packages():
        raise WireError("missing_dependency", f"{model} needs the packages {', '.join(absent)}", install_command())
    resolved = Library.from_environment(folders).resolve(wish.request)
    if "model_memory" in device and "weight_bytes" in device:
        _check_memory(resolved, device["model_memory"], device["weight_bytes"])


def models_now(folders: Sequence[Path]) -> dict[str, Any]:
    """What is to be told of models, as it is on the disk now."""
    from weft.models.library import Library
    from weft_server.models_told import models_told

    return models_told(Library.from_environment(folders))


def wish_of(params: Mapping[str, Any], arrays: Collection[str]) -> ModelWish:
    """The network that a job's parameters describe, beside input arrays of these names.

    Score distillation goes by the pictures that it edits: it follows a control only where one is asked for."""
    from weft.models.requests import NONE, parse

    distils = "rule" in params
    control = params.get("control", "") or (NONE if distils else "")
    return parse(
        params["model"], params.get("checkpoint", ""), params.get("loras", ""), control,
        geometry=distils or shows_geometry(arrays), style="exemplar" in arrays,
        options=frozenset({"compile"} if params.get("compiled") else ()),
    )  # fmt: skip


def shows_geometry(arrays: Collection[str]) -> bool:
    """Whether control pictures can be drawn for a job with these arrays."""
    return "depth" in arrays or any(name.startswith(("mesh.", "splats.", "view.")) for name in arrays)


def _check_prior(params: Mapping[str, Any], folders: Sequence[Path]) -> None:
    """Raise unless the multi-view model that is named beside the editor goes with it and is here."""
    if params.get("prior", AUTOMATIC).strip() in ("", AUTOMATIC):
        return
    from weft.models.cards import ModelRequest, card_named
    from weft.models.library import Library
    from weft.models.prior_cards import check_partners, parse_prior

    card, model = parse_prior(params["prior"]), params.get("model", EMBEDDED)
    assert card is not None
    if card.geometry:
        wanted = f"{card.name} makes {card.views} views of an object from cameras of its own, which jobs have not"
        raise WireError("model_mismatch", wanted, "name one that takes any cameras, as mv-adapter or seva")
    check_partners(None if model == EMBEDDED else card_named(model), card)
    Library.from_environment(folders).resolve(ModelRequest(card.name))


def _check_task(task: str, params: Mapping[str, Any], card: Card) -> None:
    if "checkpoint" not in params:
        message = f"{task} cannot be done with {card.name}"
        raise WireError("model_mismatch", message, f"leave the model at {EMBEDDED}")
    if WANTED.get(task, frozenset()) - card.needs:
        from weft.models.cards import CARDS

        able = ", ".join(name for name, other in CARDS.items() if suits(other, task))
        raise WireError("model_mismatch", f"{card.name} looks at no picture, so it cannot {task} one", f"use {able}")
    if lacking := card.needs - PROVIDED.get(task, frozenset()):
        message = f"{card.name} works on what is there ({', '.join(sorted(lacking))}), which {task} does not give it"
        able = ", ".join(name for name, given in PROVIDED.items() if card.needs <= given)
        paints = "choose a model that paints from nothing, as sd15"
        raise WireError("model_mismatch", message, f"use it for {able}, or {paints}" if able else paints)
    if not suits(card, task):
        message = f"{card.name} {card.help}: that is of no use to {task}"
        raise WireError("model_mismatch", message, f"use it for {' or '.join(sorted(card.jobs))}")


def suits(card: Card, task: str) -> bool:
    """Whether the model gets what it needs there, and is of use."""
    fits = card.needs <= PROVIDED.get(task, frozenset()) and WANTED.get(task, frozenset()) <= card.needs
    return fits and (not card.jobs or task in card.jobs)


def _sees_reference(card: Card) -> bool:
    return card.part("style") is not None or "background" in card.needs


def _check_memory(resolved: Resolved, budget: int, weight_bytes: int) -> None:
    from weft.models.cards import CARDS

    needed = resolved.values * weight_bytes
    if needed <= budget:
        return
    fitting = [card for card in CARDS.values() if card.memory * weight_bytes / 2 <= budget]
    named = ", ".join(f"{card.name} ({card.memory * weight_bytes / 2 / GB:.0f} GB)" for card in fitting)
    message = f"{resolved.card.name} has {needed / GB:.1f} GB of weights, and there is room for {budget / GB:.1f} GB"
    raise WireError("out_of_memory", message, f"these would fit: {named or EMBEDDED}")
