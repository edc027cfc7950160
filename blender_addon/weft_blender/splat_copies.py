"""Splats before and after: a job changes a copy of the object's mesh, which remembers the one it was made of."""

from __future__ import annotations

from typing import Any

import bpy

from .before import remember, undone_by
from .splat_display import add_display
from .tags import PARAMETERS, tag, tagged, weft_name

__all__ = ["copy_for", "exchange", "former_mesh", "keep_former", "latter_mesh", "wear"]

FORMER, LATTER = "weft_former", "weft_latter"  # on copies: the mesh before; on objects that show it: the one after


def copy_for(name: str, job_id: str, index: int) -> bpy.types.Mesh | None:
    """The copy of the object's mesh that the job changes, made at the first call; None when the object is gone."""
    obj = bpy.data.objects.get(name)
    if obj is None or obj.type != "MESH":
        return None
    mesh = tagged(bpy.data.meshes, job_id, index)
    if mesh is None:
        former = obj.data
        mesh = former.copy()
        mesh.name, mesh.use_fake_user = weft_name(former.name), False
        if PARAMETERS in mesh:
            del mesh[PARAMETERS]
        mesh[FORMER] = former
        tag(mesh, job_id, index)
    if obj.data != mesh:
        former = wear(obj, mesh)
        remember(obj, job_id, "mesh", mesh=former, modifier=add_display(obj))
    return mesh


def wear(obj: bpy.types.Object, mesh: bpy.types.Mesh) -> bpy.types.Mesh:
    """Let `obj` show `mesh`; what it showed before."""
    if obj.mode == "EDIT":  # Blender exchanges no mesh that is being edited
        bpy.ops.object.mode_set(mode="OBJECT")
    former, obj.data = obj.data, mesh
    return former


@undone_by("mesh")
def give_back(obj: Any, memory: Any) -> None:
    """Give `obj` its former mesh back."""
    if memory.get("mesh") is not None:
        obj.data = memory["mesh"]
    modifier = obj.modifiers.get(memory.get("modifier") or "")
    if modifier is not None:
        obj.modifiers.remove(modifier)


def keep_former(mesh: bpy.types.Mesh) -> None:
    """Let what the copy was made of be saved even when the copy is deleted."""
    former = mesh.get(FORMER)
    if former is not None and former.library is None:
        former.use_fake_user = True


def former_mesh(obj: Any) -> bpy.types.Mesh | None:
    """What the splats of the object (or None) were before the job that made them, if one did."""
    return obj.data.get(FORMER) if obj is not None and obj.type == "MESH" else None


def latter_mesh(obj: Any) -> bpy.types.Mesh | None:
    """What the splats of the object (or None) became, while it shows those before."""
    if obj is None or obj.type != "MESH":
        return None
    mesh = obj.get(LATTER)
    return mesh if mesh is not None and mesh.get(FORMER) == obj.data else None


def exchange(obj: bpy.types.Object) -> None:
    """Show the splats before instead of those after, or the other way round."""
    before, after = former_mesh(obj), latter_mesh(obj)
    if after is not None:
        wear(obj, after)
    elif before is not None:
        obj[LATTER] = wear(obj, before)
