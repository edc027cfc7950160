"""Move: what the scene would look like from several cameras if an object stood elsewhere. The scene stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector

from weft_wire.jobs import MOVE, MoveParams

from .errors import SceneError
from .export import Target, check_objects, read_surface
from .task import Collected
from .task_views import MORE, ROWS, VIEWS, ViewsTask, ViewTarget
from .uv_check import uv_problem
from .view_cameras import FROM_ABOVE

__all__ = ["MoveTask"]


class MoveTask(ViewsTask):
    declaration = MOVE
    label, icon = "Move", "EMPTY_ARROWS"
    about = "Show the scene with the active object elsewhere; the other selected ones are what it stands on and before"
    extras = {  # noqa: RUF012
        **VIEWS,
        "translate": bpy.props.FloatVectorProperty(
            name="Move", subtype="TRANSLATION", unit="LENGTH", description="How far the active object moves"
        ),
        "rotate": bpy.props.FloatVectorProperty(
            name="Rotate", subtype="EULER", description="How it turns about its origin and the world's axes, X first"
        ),
    }
    rows = (("prompt", "Words"), ("strength", "Strength"), *ROWS)
    more = MORE
    alone = False
    elevations = FROM_ABOVE

    def draw(self, layout: Any, settings: Any) -> None:
        row = layout.row()
        for name in ("translate", "rotate"):
            row.column().prop(settings, name)

    def button(self, context: Any) -> str:
        active = context.active_object
        return f"{self.label} {active.name}" if active is not None and active.select_get() else self.label

    def show(self, context: Any) -> None:
        """It comes in the Image Editors."""

    def parameters(self, settings: Any) -> MoveParams:
        active = bpy.context.view_layer.objects.active
        return replace(super().parameters(settings), object=active.name if active is not None else "")

    def chosen(self, context: Any) -> dict[str, Any]:
        settings = self.settings_of(context.scene)
        return {**super().chosen(context), "translate": tuple(settings.translate), "rotate": tuple(settings.rotate)}

    def collect(
        self,
        params: MoveParams,
        *,
        objects: Sequence[bpy.types.Object],
        translate: Sequence[float] = (0, 0, 0),
        rotate: Sequence[float] = (0, 0, 0),
        cameras: str = "AROUND",
        scene: bpy.types.Scene | None = None,
    ) -> Collected:
        """Renders of the scene with the surfaces of `objects`, of which that called `params.object` is moved by
        `translate`, in metres, after it was turned about its origin by the angles `rotate`, in radians, XYZ."""
        check_objects(objects)
        moving = next((obj for obj in objects if obj.name == params.object), None)
        if moving is None:
            raise SceneError(
                "not_selected",
                f"'{params.object}' is to be moved and is not selected" if params.object else "no object is active",
                "click the one that moves, with Shift after the others",
            )
        transform = motion(moving, translate, rotate)
        if np.allclose(transform, np.eye(4), atol=1e-6):
            raise SceneError("no_motion", f"'{params.object}' would stay where it is", "set Move or Rotate")
        before = read_surface(moving).vertices
        both = np.concatenate([before, before @ transform[:3, :3].T + transform[:3, 3]])  # the ground may be large
        collected = self.with_views(params, {"object.transform": transform}, objects, cameras, scene, both)
        if len(objects) == 1:
            collected.warnings.append(
                f"only '{params.object}' is selected: what it uncovers is painted, not known; select the ground too"
            )
        return collected

    def surfaces(self, objects: Sequence[bpy.types.Object]) -> Collected:
        """Nothing is textured, so objects without fit UVs stay without: the server makes its own."""
        collected = Collected()
        for index, obj in enumerate(objects):
            surface = read_surface(obj)
            collected.arrays[f"mesh.{index}.vertices"] = surface.vertices
            collected.arrays[f"mesh.{index}.faces"] = surface.faces
            if surface.uv is not None and not uv_problem(surface.vertices, surface.faces, surface.uv):
                collected.arrays[f"mesh.{index}.uv"] = surface.uv
            collected.targets.append(Target(obj.name, surface.layer))
        return collected

    def show_preview(self, job_id: str, index: int, target: ViewTarget, prepared: Any) -> bool:
        """The strip only: objects stay where they are."""
        return not target.object and super().show_preview(job_id, index, target, prepared)


def motion(obj: bpy.types.Object, translate: Sequence[float], rotate: Sequence[float]) -> np.ndarray:
    """f4 [4, 4], in the world: `obj` turned about its origin, then shifted."""
    origin = obj.matrix_world.translation
    turn = Euler(rotate, "XYZ").to_matrix().to_4x4()
    matrix = Matrix.Translation(origin + Vector(translate)) @ turn @ Matrix.Translation(-origin)
    return np.array(matrix, np.float32)
