"""Materials onto objects. They sit in the *object's* slots, so the mesh keeps its own materials, and other objects
that share the mesh keep their looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy

from .before import BEFORE, remember, undone_by

__all__ = ["dress", "former_material", "materials_of"]


def dress(obj: bpy.types.Object, material: bpy.types.Material, job_id: str, slots: Sequence[int] = ()) -> None:
    """Put `material` into the `slots` of `obj` (none named: all, of which there is then at least one)."""
    wanted = [obj.material_slots[i] for i in slots or range(len(obj.material_slots)) if i < len(obj.material_slots)]
    if wanted and all(slot.material == material for slot in wanted):
        return
    own = {f"slot{i}": slot.material for i, slot in enumerate(obj.material_slots) if slot.link == "OBJECT"}
    remember(obj, job_id, "slots", links=" ".join(slot.link for slot in obj.material_slots), **own)
    if not obj.material_slots:
        obj.data.materials.append(None)
        wanted = list(obj.material_slots)
    for slot in wanted:
        slot.link = "OBJECT"
        slot.material = material


def materials_of(obj: bpy.types.Object | None) -> list[bpy.types.Material]:
    """What the slots of the object (or None) hold."""
    return [slot.material for slot in obj.material_slots if slot.material is not None] if obj is not None else []


def former_material(obj: bpy.types.Object, index: int) -> bpy.types.Material | None:
    """What slot number `index` of `obj` holds, or held before a preview covered it."""
    if BEFORE not in obj:
        return obj.material_slots[index].material if index < len(obj.material_slots) else None
    memory = obj[BEFORE]
    links = memory.get("links", "").split()
    if index < len(links) and links[index] == "OBJECT":
        return memory.get(f"slot{index}")
    return obj.data.materials[index] if index < len(obj.data.materials) else None


@undone_by("slots")
def undress(obj: Any, memory: Any) -> None:
    """Give `obj` the slots back that `dress` remembered."""
    links = memory["links"].split()
    for i, (slot, link) in enumerate(zip(obj.material_slots, links, strict=False)):
        slot.material = memory.get(f"slot{i}")
        slot.link = link
    if not links and obj.material_slots:
        obj.material_slots[0].material = None
        obj.material_slots[0].link = "DATA"
        if obj.data.users == 1 and list(obj.data.materials) == [None]:
            obj.data.materials.clear()  # unlike pop(), takes the object's slot away too
