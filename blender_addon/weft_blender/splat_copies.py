"""Splats before and after: a job changes a copy of the object's mesh, which remembers the one it was made of."""

from __future__ import annotations

from typing import Any

import bpy

from .before import remember, undone_by
from .splat_display import add_display, ensure_shapes
from .tags import INDEX, JOB, PARAMETERS, tag, tagged, weft_name
from .variant_ids import are_kin

__all__ = [
    "copy_for",
    "exchange",
    "former_mesh",
    "keep_former",
    "latter_mesh",
    "wear",
    "wear_variant",
    "wears_variant",
]

FORMER, LATTER = "weft_former", "weft_latter"  # on copies: the mesh before; on objects that show it: the one after


def copy_for(name: str, job_id: str, index: int) -> bpy.types.Mesh | None:
    """The copy of the object's mesh that the job changes, made at the first call; None when the object is gone, unless
    it makes a variant. Of these, each is a copy of what the first one was made of."""
    obj = bpy.data.objects.get(name)
    if obj is not None and obj.type != "MESH":
        obj = None
    mesh = tagged(bpy.data.meshes, job_id, index)
    if mesh is None:
        former = original_of(job_id, index) or (obj.data if obj is not None else None)
        if former is None:
            return None
        mesh = former.copy()
        ensure_shapes(mesh)
        mesh.name, mesh.use_fake_user = weft_name(former.name), False
        if PARAMETERS in mesh:
            del mesh[PARAMETERS]
        mesh[FORMER] = former
        tag(mesh, job_id, index)
    if obj is not None and obj.data != mesh:
        former = wear(obj, mesh)
        remember(obj, job_id, "mesh", mesh=former, modifier=add_display(obj))
    return mesh


def original_of(job_id: str, index: int) -> bpy.types.Mesh | None:
    """What an earlier variant is a copy of, if there is one."""
    kin = (mesh for mesh in bpy.data.meshes if mesh.get(INDEX) == index and are_kin(mesh.get(JOB, ""), job_id))
    return next((mesh[FORMER] for mesh in kin if mesh.get(FORMER) is not None), None)


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


def wear_variant(name: str, job_id: str, index: int) -> bool:
    """Let the object show the splats of a finished job; not if one of them is gone."""
    obj, mesh = bpy.data.objects.get(name), tagged(bpy.data.meshes, job_id, index)
    if obj is None or obj.type != "MESH" or mesh is None:
        return False
    wear(obj, mesh)
    add_display(obj)
    return True


def wears_variant(name: str, job_id: str, index: int) -> bool:
    """Whether the object shows the splats of that job."""
    mesh = getattr(bpy.data.objects.get(name), "data", None)
    return mesh is not None and (mesh.get(JOB), mesh.get(INDEX)) == (job_id, index)


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
