"""Splat texture: Gaussian splats get new colours, in a copy of their mesh; where and how large they are stays.

What is sent is the frame of the file: the object's transform only places the splats in the scene, and cameras of the
scene are brought into the file's frame. Higher harmonics (f_rest) described how the old colours changed with the view:
in the copy they are 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs import SPLAT_TEXTURE, SplatTextureParams

from .errors import SceneError
from .export import Target
from .pixels import to_linear
from .splat_copies import copy_for, keep_former, wear_variant, wears_variant
from .splat_mesh import arrays_of, check_splats, paint_splats, recolour, rgb_of
from .tags import PARAMETERS, tagged
from .task import Collected, SceneTask

__all__ = ["SplatTask", "draw_files", "mark", "to_frame"]


class SplatTask(SceneTask):
    declaration = SPLAT_TEXTURE
    label, icon = "Splats", "OUTLINER_OB_POINTCLOUD"
    about = "Give the selected Gaussian splats new colours, in a copy; the old ones stay"
    target = Target
    rows = (("up", "Up"), ("size", "Views"), ("steps", "Steps"), ("seed", "Seed"), ("cameras", "Cameras"))
    more = (("views", "Cameras"), ("pattern_scale", "Scale"))
    unheeded = frozenset({"synchronize"})  # a pixel mixes many splats, so that pixels it must be

    def button(self, context: Any) -> str:
        return super().button(context).replace(self.label, "Texture", 1)

    def draw_result(self, layout: Any, context: Any) -> None:
        draw_files(layout)

    def show(self, context: Any) -> None:
        space = context.space_data
        if isinstance(space, bpy.types.SpaceView3D) and space.shading.type in ("SOLID", "WIREFRAME"):
            space.shading.type = "MATERIAL"

    def collect(
        self,
        params: SplatTextureParams,
        *,
        objects: Sequence[bpy.types.Object],
        exemplar: np.ndarray | None = None,
    ) -> Collected:
        """The one object of splats among `objects`, which has to be the only one."""
        arrays = self.look(params, exemplar)
        if len(objects) != 1:
            count = f"{len(objects)} objects are selected" if objects else "nothing is selected"
            raise SceneError("one_object", f"{count}, expected one object of Gaussian splats", "select it alone")
        obj = objects[0]
        check_splats(obj)
        if "camera.poses" in arrays:
            arrays["camera.poses"] = to_frame(arrays["camera.poses"], obj)
        return Collected({**arrays, **arrays_of(obj)}, [Target(obj.name, "")])

    def prepare_preview(self, image: np.ndarray, kept: Any) -> np.ndarray:
        """Linear colours f4 [N or more, 3]: the preview holds 1024 splats a row."""
        return to_linear(image).reshape(-1, 3)

    def prepare_result(self, arrays: Mapping[str, np.ndarray], kept: Sequence[Any]) -> list[Any]:
        dc = arrays["splats.dc"]
        return [(dc, to_linear(np.clip(rgb_of(dc), 0, 1)))]

    def show_preview(self, job_id: str, index: int, target: Target, prepared: np.ndarray) -> bool:
        mesh = copy_for(target.object, job_id, index)
        if mesh is None or len(prepared) < len(mesh.vertices):
            return False
        recolour(mesh, prepared)
        return True

    def show_result(self, job_id: str, index: int, target: Target, prepared: Any, parameters: dict[str, Any]) -> str:
        dc, linear = prepared
        mesh = copy_for(target.object, job_id, index) or tagged(bpy.data.meshes, job_id, index)
        if mesh is None:
            return f"'{target.object}' is gone: nothing can take its new colours"
        if len(mesh.vertices) != len(dc):
            return f"'{target.object}' now has {len(mesh.vertices)} splats instead of {len(dc)}: it stays as it was"
        paint_splats(mesh, dc)
        recolour(mesh, linear)
        keep_former(mesh)
        return mark(mesh, target.object, parameters)

    def wear(self, job_id: str, index: int, target: Target) -> bool:
        return wear_variant(target.object, job_id, index)

    def wears(self, job_id: str, index: int, target: Target) -> bool:
        return wears_variant(target.object, job_id, index)


def mark(mesh: bpy.types.Mesh, name: str, parameters: dict[str, Any]) -> str:
    """Let the copy count as finished; a warning where the object called `name` is gone."""
    mesh[PARAMETERS] = json.dumps({**parameters, "object": name}, sort_keys=True)
    if name in bpy.data.objects:
        return ""
    mesh.use_fake_user = True
    return f"'{name}' is gone: its splats are kept as the mesh '{mesh.name}'"


def draw_files(layout: Any) -> None:
    """Buttons for splats from and to files."""
    row = layout.row(align=True)
    row.operator("weft.import_splats", text="Import", icon="IMPORT")
    row.operator("weft.export_splats", text="Export", icon="EXPORT")


def to_frame(poses: np.ndarray, obj: bpy.types.Object) -> np.ndarray:
    """Camera-to-world poses f4 [N, 4, 4] in the frame of the splats. Raises SceneError for a scale that distorts."""
    matrix = np.array(obj.matrix_world, np.float64)
    scale = np.cbrt(np.linalg.det(matrix[:3, :3]))
    turn = matrix[:3, :3] / scale if scale > 0 else np.zeros((3, 3))
    if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-4:
        raise SceneError(
            "distorted",
            f"'{obj.name}' is mirrored, sheared or scaled unevenly: the scene's cameras cannot see its splats",
            "give it one positive scale for all axes, or set Cameras to Automatic",
        )
    moved = np.linalg.inv(matrix) @ poses
    moved[:, :3, :3] *= scale
    return moved.astype(np.float32)
