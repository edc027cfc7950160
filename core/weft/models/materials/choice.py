"""From the words of a prompt to a material: its name, a synonym, a relative, or whatever is spelled most alike."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from weft.errors import InvalidInput
from weft.models.materials.catalogue import MATERIALS
from weft.models.materials.words import COLOURS, IGNORED, KIN, NAMES

__all__ = ["Choice", "choose_material"]

_MORE = "a reference image or a downloaded model gives more"
_TYPO = 0.8  # similarity from which a word counts as misspelt
_ALIKE = 0.4  # below, the spelling says nothing


@dataclass(frozen=True, slots=True)
class Choice:
    """The material that a prompt asks for. `exact` is False where it is only the nearest; `note` then says so."""

    name: str
    asked: str
    exact: bool
    note: str = ""
    tint: str | None = None  # a colour word that `render` takes


def _stem(word: str) -> str:
    """The word without its endings: mossy, mossed → mos; wooden → wood."""
    while True:
        for ending in ("ing", "ies", "ied", "ed", "en", "es", "s", "y", "e"):
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                word = word.removesuffix(ending)
                break
        else:
            return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiou" else word


def _table(words: dict[str, str]) -> dict[str, list[str]]:
    """Stem → the materials it stands for."""
    table: dict[str, list[str]] = {}
    for name, text in words.items():
        for word in text.split():
            table.setdefault(_stem(word), []).append(name)
    return table


_EXACT = _table({name: f"{name} {words}" for name, words in NAMES.items()})
_NEAR = _table(KIN)
_IGNORED = frozenset(IGNORED.split())


def _best(words: list[str], table: dict[str, list[str]]) -> tuple[str, list[str]] | None:
    """The material with the most words (the earliest among equals) and the words that speak for it."""
    votes: dict[str, list[str]] = {}
    for word in words:
        for name in table.get(_stem(word), ()):
            votes.setdefault(name, []).append(word)
    if not votes:
        return None
    # Every word of the name beats a synonym, which beats sharing one word with a longer name.
    return max(votes.items(), key=lambda item: (len(item[1]), item[0] in " ".join(words)))


def choose_material(prompt: str) -> Choice:
    """The material for `prompt`; InvalidInput when there is no word in it."""
    words = re.findall(r"[^\W_]+", prompt.lower())
    if not words:
        examples = ", ".join(list(MATERIALS)[:4])
        raise InvalidInput("the prompt names no material", f"write one, such as {examples}, or give a reference image")
    colours = [word for word in words if word in COLOURS]
    plain = [word for word in words if word not in colours]
    content = [word for word in plain if word not in _IGNORED]
    found = _best(content, _EXACT)
    if found is None and (found := _best(words, _EXACT)) is not None:
        colours = [word for word in colours if word not in found[1]]  # "gold" alone is the metal
    if found is not None:
        name, known = found
        rest = [word for word in content if word not in known and _stem(word) not in _EXACT]
        ignored = f"{_quoted(rest)} not understood; {_MORE}" if rest else ""
        return _finished(name, prompt, True, ignored, colours)
    if (near := _best(content, _NEAR)) is not None:
        note = f"no material is called {_quoted(near[1])}; {near[0]} is the nearest; {_MORE}"
        return _finished(near[0], prompt, False, note, colours)
    name, note = _by_spelling(content) if content else _by_colour(colours)
    return _finished(name, prompt, False, note, colours)


def _quoted(words: list[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _by_spelling(words: list[str]) -> tuple[str, str]:
    """The material with the most similar word, and the note about it."""
    candidates = {word: name for kin in (KIN, NAMES) for name, text in kin.items() for word in text.split()}
    scored = [
        (difflib.SequenceMatcher(None, word, other).ratio(), word, other) for word in words for other in candidates
    ]
    score, word, other = max(scored)
    name = candidates[other] if score >= _ALIKE else next(iter(MATERIALS))
    if score >= _TYPO and len(word) > 3:
        return name, f"'{word}' was read as '{other}'; {name} was taken"
    return name, f"no material is called {_quoted(words)}; {name} was taken; {_MORE}"


def _by_colour(colours: list[str]) -> tuple[str, str]:
    """A material that has the first of the `colours` as it is, or the first material, and the note about it."""
    matching = [m.name for m in MATERIALS.values() if colours and colours[0] in m.colours.split()]
    name = [*matching, *MATERIALS][0]
    return name, f"the prompt names no material; {name} was taken"


def _finished(name: str, asked: str, exact: bool, note: str, colours: list[str]) -> Choice:
    """The choice, with the first colour that the material does not have anyway."""
    new = [colour for colour in colours if colour not in MATERIALS[name].colours.split()]
    if not new:
        return Choice(name, asked, exact, note)
    tint = f"coloured {new[0]}"
    return Choice(name, asked, exact, f"{note}; {tint}" if note else tint, new[0])
