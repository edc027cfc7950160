"""Galleries as they lie in the file: which variants there are, which one is worn, which are to be kept.

All of it is read from the datablocks that jobs have made, their tags and their parameters, so that it is right after
undo, after loading a file, and after something was deleted. A variant is shown through its task's own methods.

galleries() → {id: Gallery}   the oldest first
shown(scene) → Gallery        the one that the panel shows
enrol(job, picture)           a finished job's results become a variant
wear(variant)                 its datablocks take the places of another variant's
keep_only(gallery)            all but favourites and what is worn are removed
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs.variants import DIMENSIONS, rho_range

from .before import commit
from .errors import SceneError
from .swaps import remove_unused
from .tags import JOB, PARAMETERS
from .task import SceneTask
from .tasks import TASKS
from .thumbnails import keep_picture
from .variant_ids import are_kin, created, gallery_of, number_of

__all__ = [
    "Gallery",
    "Variant",
    "anchor_at",
    "correlation",
    "enrol",
    "fresh_row",
    "galleries",
    "gallery_called",
    "has_kin",
    "keep_only",
    "set_favourite",
    "shown",
    "stored",
    "variant_of",
    "wear",
]

FAVOURITE = "weft_favourite"  # on results
FIRST_OF = "weft_first_of"  # on results: the galleries that are anchored there, separated by blanks


@lru_cache(256)  # the panel asks at every redraw
def parsed(text: str) -> dict[str, Any]:
    return json.loads(text)


@dataclass(frozen=True)
class Variant:
    """What one job has made. Holds datablocks: make it anew after anything that may change them."""

    job: str
    items: list[Any] = field(default_factory=list)  # images and meshes

    @property
    def number(self) -> int:
        return number_of(self.job)

    @property
    def parameters(self) -> dict[str, Any]:
        return parsed(self.items[0][PARAMETERS])

    @property
    def task(self) -> SceneTask:
        return TASKS[self.parameters["task"]]

    @property
    def targets(self) -> list[Any]:
        parameters = self.parameters
        return [TASKS[parameters["task"]].target(**target) for target in parameters["targets"]]

    @property
    def row(self) -> np.ndarray | None:
        """f4 [noises]: how much of every independent noise it was made of; None where the server did not tell."""
        row = self.parameters.get("info", {}).get("variant", {}).get("row")
        return np.array(row, np.float32) if row else None

    @property
    def favourite(self) -> bool:
        return any(item.get(FAVOURITE) for item in self.items)

    @property
    def worn(self) -> bool:
        """Whether the scene shows it."""
        task = self.task
        return any(task.wears(self.job, index, target) for index, target in enumerate(self.targets))


@dataclass(frozen=True)
class Gallery:
    """Variants by their numbers; number 1 of an anchored gallery is a variant of another one."""

    id: str
    variants: dict[int, Variant] = field(default_factory=dict)

    @property
    def worn(self) -> Variant | None:
        return next((variant for variant in self.variants.values() if variant.worn), None)

    @property
    def own(self) -> list[Variant]:
        """Those that were made for it."""
        return [variant for variant in self.variants.values() if gallery_of(variant.job) == self.id]

    @property
    def size(self) -> int:
        """How many variants it was to have."""
        return max((int(variant.parameters["variants"]) for variant in self.own), default=2)

    @property
    def name(self) -> str:
        """What was made, of what: "mossy stone, Suzanne", and "like 2" if it goes on from number 2 of another."""
        parameters = self.own[0].parameters
        words = parameters.get("prompt") or parameters.get("prompt_1") or TASKS[parameters["task"]].label
        first = self.variants.get(1)
        like = f", like {first.number}" if first is not None and first not in self.own else ""
        return f"{words}, {parameters['object']}{like}"


def results() -> Iterator[Any]:
    """All finished results of variants."""
    for item in (*bpy.data.images, *bpy.data.meshes):
        if gallery_of(item.get(JOB, "")) and PARAMETERS in item:
            yield item


def variants() -> dict[str, Variant]:
    """All finished variants, by job."""
    found: dict[str, Variant] = {}
    for item in results():
        found.setdefault(item[JOB], Variant(item[JOB])).items.append(item)
    return found


def variant_of(job_id: str) -> Variant:
    """Raises SceneError for one that is no more, which undo may have taken."""
    found = variants().get(job_id)
    if found is None:
        raise SceneError("no_variant", "that variant is no more", "Edit > Redo may bring it back")
    return found


def has_kin(job_id: str) -> bool:
    """Whether there is another variant of what this one was made of."""
    return any(item[JOB] != job_id and are_kin(item[JOB], job_id) for item in results())


def galleries() -> dict[str, Gallery]:
    """All that have a variant of their own, the oldest first."""
    everything = variants()
    names = sorted({gallery_of(job_id) for job_id in everything}, key=created)
    return {name: gathered(name, everything) for name in names}


def gallery_called(name: str) -> Gallery:
    """The gallery with this id, though there may be no variant in it yet, or none but that which it is anchored at."""
    return gathered(name, variants())


def gathered(name: str, everything: dict[str, Variant]) -> Gallery:
    """The gallery `name` out of all variants."""
    anchors = [variant for variant in everything.values() if name in variant.items[0].get(FIRST_OF, "").split()]
    found = {variant.number: variant for variant in everything.values() if gallery_of(variant.job) == name}
    if anchors:
        found[1] = anchors[0]
    return Gallery(name, dict(sorted(found.items())))


def shown(scene: Any) -> Gallery | None:
    """The gallery that was chosen for the panel, otherwise the latest."""
    found = galleries()
    return found.get(scene.weft_gallery) or (list(found.values())[-1] if found else None)


def correlation(likeness: float, count: int) -> float:
    """The correlation ρ that a slider from 0 to 1 means, over all that so many noises can have."""
    low, high = rho_range(count)
    return low + likeness * (high - low)


def enrol(job: Any, picture: np.ndarray | None) -> None:
    """Make a variant of what the finished job left: saved with the file whether it is worn or not, with its picture."""
    found = variants().get(job.id)
    if found is None:
        return  # nothing there could take the result, as a warning says
    for item in found.items:
        item.use_fake_user = True
    if picture is not None:
        keep_picture(found.items[0], picture)


def fresh_row(variant: Variant) -> np.ndarray | None:
    """The variant's row, f4 [noises], with zeros for all other noises that its kin were made of: what goes on from it
    takes new ones, so that the same button makes other variants each time."""
    row = variant.row
    if row is None:
        return None
    rows = [other.row for other in variants().values() if are_kin(other.job, variant.job)]
    used = max(len(other) for other in rows if other is not None)
    return np.pad(row, (0, max(min(used, DIMENSIONS["kept"][1]) - len(row), 0)))


def wear(variant: Variant) -> None:
    """Show `variant`, in all places of its gallery. Raises SceneError where nothing is left to wear it."""
    task, targets = variant.task, variant.targets
    done = [task.wear(variant.job, index, target) for index, target in enumerate(targets)]
    commit(variant.job)
    remove_unused(variant.job)
    if not any(done):
        raise SceneError(
            "nobody",
            f"'{targets[0].label}' is gone: the variant is kept as '{variant.items[0].name}'",
            "Edit > Undo may bring it back",
        )


def anchor_at(variant: Variant, gallery: str) -> None:
    """Let `variant` be number 1 of another gallery as well."""
    for item in variant.items:
        item[FIRST_OF] = f"{item.get(FIRST_OF, '')} {gallery}".strip()


def set_favourite(variant: Variant, favourite: bool) -> None:
    for item in variant.items:
        if favourite:
            item[FAVOURITE] = True
        elif FAVOURITE in item:
            del item[FAVOURITE]


def keep_only(gallery: Gallery) -> int:
    """Remove the gallery's variants that are neither favourites nor worn, nor used by anything else; how many."""
    spare = [variant for variant in gallery.own if not variant.favourite and not variant.worn]
    for variant in spare:
        remove_unused(variant.job)
    free = [v for v in spare if all(item.users == int(item.use_fake_user) for item in v.items)]
    bpy.data.batch_remove([item for variant in free for item in variant.items])
    return len(free)


def stored(job: Any) -> dict[str, Any]:
    """What results of a variant remember beyond those of other jobs: where they belong, and all parameters apart."""
    return {"targets": [asdict(target) for target in job.targets], "params": job.params}
