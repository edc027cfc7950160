"""Which models are on this machine, and whether the files of one are there, whole, and of one family.

Only names of files, JSON and headers are read: quick enough to ask at every submit, and without torch.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from weft.errors import BadCheckpoint, InvalidInput, ModelMissing, UnknownName
from weft.models.cards import CONTROL, Card, ModelRequest, Part
from weft.models.checkpoint_files import PICKLES, SUFFIX, Weights, pickle_refusal
from weft.models.families import Base, check_configs, examine_base
from weft.models.fetching import configs_command, fetch_command, whole_command, with_remedy
from weft.models.fitting import (
    fit_control,
    fit_encoder,
    fit_lora,
    fit_network,
    fit_offset,
    fit_pair,
    fit_preview,
    fit_style,
)
from weft.models.folders import candidates, check_within, hub_cache, is_within, listed
from weft.models.prior_cards import card_of
from weft.models.prior_fitting import ASSEMBLIES, fit_adapter

__all__ = ["Library", "Resolved"]

VARIABLE = "WEFT_MODELS"
INDEX = "model_index.json"  # in the folder of a whole pipeline
LORA_FILE = "pytorch_lora_weights.safetensors"  # the one that counts in a folder
WITHOUT = {  # what a job can do without, by the beginning of its role
    CONTROL: "; or do without: control = none",
    "style": "; or do without: no reference image, which it would see",
    "image_encoder": "; or do without: no reference image, which it would see",
}
OFFSET_CHANNELS = {"ic-light": 8, "ic-light-background": 12}  # of latents with four


@dataclass(frozen=True)
class Resolved:
    """A request as files. Roles of `paths`: those of the card's parts that are used, "lora:0", "lora:1", …, and
    "config" beside a base that is a single file: a folder with its family's configs and tokenizers. A part of one file
    is that file, others are folders."""

    card: Card
    paths: dict[str, Path]
    bytes: int  # of all files of weights
    values: int = 0  # numbers in them


@dataclass(frozen=True)
class Library:
    """Folders of models, searched in this order: `<folder>/owner/name`, `<folder>/name`, the layout of the hub's cache
    in each of them; single files lie in them too, or in subfolders that the name tells."""

    folders: Sequence[Path] = field(default_factory=tuple)

    @classmethod
    def from_environment(cls, extra: Sequence[Path] = ()) -> Library:
        """`extra`, then $WEFT_MODELS, then the hub's cache; each folder once."""
        named = [Path(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
        folders = [folder.expanduser().absolute() for folder in (*extra, *named, hub_cache())]
        return cls(tuple(dict.fromkeys(folders)))

    def find(self, source: str) -> Path | None:
        """The folder or the safetensors file of that name; None where there is none. Raises InvalidInput for what is
        no name: a path, an address; BadCheckpoint for a link that leads out of the folders."""
        path = next(self._found(source), None)
        if path is not None:
            check_within(path, self.folders)
        return path

    def find_part(self, part: Part) -> Path | None:
        """The folder of a part, or its only file, where all of its files are."""
        for folder in self._found(part.source):
            if all((folder / name).is_file() for name in part.files or (INDEX,)):
                place = _place(folder, part)
                check_within(place, self.folders)
                return place
        return None

    def has(self, card: Card) -> bool:
        """Whether all that a card cannot do without is here; not whether it is whole."""
        return all(part.optional or self.find_part(part) for part in card.parts)

    def resolve(self, request: ModelRequest) -> Resolved:
        """The files of a request, checked. Raises UnknownName, ModelMissing, BadCheckpoint, ModelMismatch, and
        InvalidInput for what is no name."""
        try:
            return self._resolve(request)
        except OSError as error:
            message = f"cannot read {error.filename}: {error.strerror}"
            raise BadCheckpoint(message, "let the server's user read it, or fetch it again") from None

    def _resolve(self, request: ModelRequest) -> Resolved:
        card = card_of(request.name)
        search = _Search(self, card)
        if card.family in ASSEMBLIES:
            if request.checkpoint or request.loras:
                raise InvalidInput(f"{card.name} takes no other checkpoint and no LoRAs", "leave both out")
            ASSEMBLIES[card.family](search.add)
            return search.resolved()
        base = search.base(request.checkpoint)
        if card.part("adapter"):
            search.add("adapter", lambda path: fit_adapter(path, base))
        for kind in request.controls:
            search.add(CONTROL + kind, lambda path: fit_control(path, base))
        if card.name in OFFSET_CHANNELS:
            search.add("offset", lambda path: fit_offset(path, base, OFFSET_CHANNELS[card.name]))
        if card.part("network"):
            search.add("network", lambda path: fit_network(path, base, 4 * (base.latent or 4)))
        if card.part("pair"):
            search.add("pair", lambda path: fit_pair(path, base))
        if request.style:
            style = search.add("style", lambda path: fit_style(path, base))
            search.add("image_encoder", lambda path: fit_encoder(path, style))
        if (preview := card.part("preview")) and self.find_part(preview):
            search.add("preview", lambda path: fit_preview(path, base))
        for i, (name, _) in enumerate(request.loras):
            search.paths[f"lora:{i}"] = file = self.lora(name)
            search.weights[file] = fit_lora(file, base)
        return search.resolved()

    def checkpoint(self, name: str) -> Path:
        """A base that is not the card's; raises UnknownName, ModelMissing, BadCheckpoint."""
        found = list(self._found(name))
        path = next((path for path in found if path.is_file() or (path / INDEX).is_file()), None)
        if path is None:
            raise self._absent(name, "checkpoint") if not found else ModelMissing(f"there is no {INDEX} in {found[0]}")
        check_within(path, self.folders)
        return path

    def lora(self, name: str) -> Path:
        """The file of a LoRA; raises UnknownName, ModelMissing, BadCheckpoint."""
        path = self.find(name)
        if path is None:
            raise self._absent(name, "LoRA")
        if path.is_file():
            return path
        files = listed(path, f"*{SUFFIX}")
        if (path / LORA_FILE) in files:
            return path / LORA_FILE
        if len(files) == 1:
            return files[0]
        if not files and (pickles := [file for file in listed(path, "*") if file.suffix in PICKLES]):
            raise pickle_refusal(pickles[0])
        if not files:
            raise BadCheckpoint(f"{path} holds no safetensors file", "name a file or a folder with a LoRA")
        held = ", ".join(file.name for file in files[:5])
        raise BadCheckpoint(f"{path} holds {len(files)} files: {held}", f"name one, as in {name}/{files[0].name}")

    def names(self) -> list[str]:
        """Of the single files and of the folders in diffusers' layout that lie in the folders themselves."""
        found = {file.stem for folder in self.folders for file in listed(folder, f"*{SUFFIX}")}
        return sorted(found | {file.parent.name for folder in self.folders for file in listed(folder, f"*/{INDEX}")})

    def places(self) -> str:
        """The folders in one line."""
        return ", ".join(map(str, self.folders)) or "no folder: none is named"

    def missing(self, part: Part) -> ModelMissing:
        """What to say of a part that is not here."""
        message = f"{part.source} is not on this machine; searched: {self.places()}"
        return ModelMissing(message, f"fetch it: {fetch_command(part)}")

    def _found(self, source: str) -> Iterator[Path]:
        for path in candidates(source, self.folders):
            for place in (path, path.with_name(path.name + SUFFIX)):
                if place.is_dir() or (place.suffix == SUFFIX and place.is_file()):
                    yield place

    def _absent(self, name: str, what: str) -> ModelMissing | UnknownName | BadCheckpoint:
        for path in candidates(name, self.folders):
            for place in (path, *(path.with_name(path.name + ending) for ending in PICKLES)):
                if place.suffix in PICKLES and place.is_file() and is_within(place, self.folders):
                    return pickle_refusal(place)
        if name.count("/") == 1:
            command = whole_command(name) if what == "checkpoint" else f"hf download {name}"
            message = f"the {what} {name} is not on this machine; searched: {self.places()}"
            return ModelMissing(message, f"fetch it: {command}")
        near = difflib.get_close_matches(name, self.names(), 3, 0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"put it into one of these folders: {self.places()}"
        return UnknownName(f"no {what} is called {name!r} here", hint)


class _Search:
    """The parts of one request as they are found: `paths` by role, `weights` by path (a union net counts once)."""

    def __init__(self, library: Library, card: Card) -> None:
        self._library = library
        self._card = card
        self.paths: dict[str, Path] = {}
        self.weights: dict[Path, Weights] = {}

    def resolved(self) -> Resolved:
        """All that was found."""
        held = self.weights.values()
        return Resolved(self._card, self.paths, sum(w.size for w in held), sum(w.count for w in held))

    def base(self, checkpoint: str) -> Base:
        """The card's own, or the checkpoint that a job puts in its place."""
        part = self._card.part("base")
        assert part is not None, "every card has a base"
        command = fetch_command(part) if not checkpoint else whole_command(checkpoint) if "/" in checkpoint else ""
        with with_remedy(command):
            path = self._library.checkpoint(checkpoint) if checkpoint else self._library.find_part(part)
            if path is None:
                raise self._library.missing(part)
            base = examine_base(path, self._card, checkpoint or part.source)
        self.paths["base"], self.weights[path] = path, base.weights
        if path.is_file():
            self.paths["config"] = self._configs(part)
        return base

    def _configs(self, part: Part) -> Path:
        """What a single file lacks lies where the card's base would."""
        command = configs_command(part.source)
        folder = self._library.find_part(part)
        if folder is None:
            message = f"a single file needs the configs and tokenizers of {part.source}, which are not on this machine"
            raise ModelMissing(message, f"fetch them: {command}")
        with with_remedy(command):
            check_configs(folder, self._card.family)
        return folder

    def add(self, role: str, check: Callable[[Path], Weights]) -> Weights:
        """Find and check one part of the card."""
        part = self._card.part(role)
        if part is None:
            kinds = ", ".join(self._card.controls) or "none"
            raise UnknownName(f"{self._card.name} has no part {role!r}", f"controls: {kinds}")
        path = self._library.find_part(part)
        if path is None:
            error = self._library.missing(part)
            otherwise = next((text for start, text in WITHOUT.items() if role.startswith(start)), "")
            raise ModelMissing(error.message, error.hint + otherwise)
        with with_remedy(fetch_command(part)):
            weights = check(path)
        self.paths[role], self.weights[path] = path, weights
        return weights


def _place(folder: Path, part: Part) -> Path:
    """Where a part is inside its repository: the folder that holds its files, or the only one."""
    if len(part.files) == 1:
        return folder / part.files[0]
    parents = {str(Path(name).parent) for name in part.files}
    return folder / parents.pop() if len(parents) == 1 else folder
