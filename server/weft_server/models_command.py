"""`weft models`: what this machine can paint with, what it could, whose terms that is under, and how to get it.

`weft models check NAME` loads a model and runs one step; `weft models unload` frees the memory of a running server.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from weft_server import models_check, models_unload
from weft_server.model_folders import add_models, folders_of
from weft_server.packages import absent_packages, install_command
from weft_server.terminal import say
from weft_wire.sizes import size_of

if TYPE_CHECKING:
    from weft.models.cards import Card, Part
    from weft.models.library import Library

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("models", help="list, check and unload models", description=__doc__)
    add_models(parser)
    parser.set_defaults(run=_run)
    more = parser.add_subparsers(metavar="COMMAND", parser_class=type(parser))
    models_check.add_parser(more)
    models_unload.add_parser(more)


def _run(arguments: argparse.Namespace) -> int:
    from weft.models.library import Library

    library = Library.from_environment(folders_of(arguments))
    _embedded()
    say()
    _networks(library)
    say()
    _priors(library)
    say()
    _parts(library)
    if names := library.names():
        say()
        say(f"in these folders too, for --checkpoint and --loras: {', '.join(names)}")
    return 0


def _embedded() -> None:
    from weft.models.materials import MATERIALS

    say("embedded (needs no download)")
    say("  exemplar     paints with the patches of a picture, or of one of these materials:")
    width = max(map(len, MATERIALS))
    for material in MATERIALS.values():
        say(f"    {material.name:{width}}  {material.description}")


def _networks(library: Library) -> None:
    """One line a model: what it does, the memory it needs, whether it is there."""
    from weft.models.cards import CARDS

    say("with trained weights (memory: of a GPU, for one view, about)")
    if absent := absent_packages():
        say(f"  they need {', '.join(absent)}: {install_command()}")
    width, longest = max(map(len, CARDS)), max(len(card.help) for card in CARDS.values())
    for card in CARDS.values():
        say(f"  {card.name:{width}}  {size_of(card.memory):>7}  {card.help:{longest}}  {_state(library, card)}")


def _priors(library: Library) -> None:
    """The same for networks that make many views agree where no geometry does."""
    from weft.models.prior_cards import PRIORS

    say("multi-view priors (memory: of a GPU, for all views together, about)")
    width, longest = max(map(len, PRIORS)), max(len(card.help) for card in PRIORS.values())
    for card in PRIORS.values():
        say(f"  {card.name:{width}}  {size_of(card.memory):>7}  {card.help:{longest}}  {_state(library, card)}")


def _state(library: Library, card: Card) -> str:
    absent = [part for part in card.parts if library.find_part(part) is None]
    if not library.has(card):
        return f"missing ({', '.join(part.role for part in absent if not part.optional)})"
    if problem := _broken(library, card):
        return f"broken: {problem}"
    return f"ready, without {', '.join(part.role for part in absent)}" if absent else "ready"


def _broken(library: Library, card: Card) -> str:
    """Why a job that asks for all that is here would be refused, or ""; headers and configs alone are read."""
    from weft.errors import WeftError
    from weft.models.cards import CONTROL, ModelRequest

    here = tuple(kind for kind in card.controls if (part := card.part(f"{CONTROL}{kind}")) and library.find_part(part))
    styles = [card.part(role) for role in ("style", "image_encoder")]
    try:
        library.resolve(ModelRequest(card.name, controls=here, style=all(p and library.find_part(p) for p in styles)))
    except WeftError as error:
        return error.message
    return ""


def _parts(library: Library) -> None:
    """Every part once: its licence, where it is, or how it is fetched."""
    from weft.models.fetching import fetch_command

    say("their parts")
    for parts, users in _by_files():
        part, where = parts[0], library.find_part(parts[0])
        remark = f" ({part.remark.upper()})" if part.remark else ""
        say(f"  {part.source}: {', '.join(dict.fromkeys(part.role for part in parts))} of {', '.join(users)}")
        say(f"    licence: {part.licence}{remark}")
        say(f"    here: {where}" if where else f"    missing, {size_of(part.size)}: {fetch_command(part)}")
    say(f"searched: {library.places()}")


def _by_files() -> list[tuple[list[Part], list[str]]]:
    """Parts that are the same files together, with the names of the models that use them."""
    from weft.models.cards import CARDS
    from weft.models.prior_cards import PRIORS

    users: dict[tuple[str, tuple[str, ...]], dict[str, list[Part]]] = {}
    for card in (*CARDS.values(), *PRIORS.values()):
        for part in card.parts:
            users.setdefault((part.source, part.files), {}).setdefault(card.name, []).append(part)
    return [([part for parts in by_name.values() for part in parts], list(by_name)) for by_name in users.values()]
