"""Fit scene: Gaussian splats of photographs, from the cameras that took them. They are a new object in their world."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs import FIT, FitParams

from .errors import SceneError
from .link import LINK
from .photo_cameras import chosen_cameras, is_transparent, photographs, with_photographs
from .picture import RESULT, Picture, finish_picture, show_picture
from .pixels import encode_png
from .splat_arrays import fill_with
from .splat_display import add_display
from .tags import PARAMETERS, tag
from .task import Collected, SceneTask
from .task_splats import draw_files
from .task_views import side_by_side

__all__ = ["FitTask"]

# px of the longer side that are sent where the server chooses: as many as it needs, without a GPU or with one.
SENT, SENT_TO_GPU = 384, 1600


@dataclass(frozen=True)
class Fitted:
    """The splats to come, called `name`, and the pictures of them on the way, for the scene `scene`."""

    name: str
    scene: str

    @property
    def label(self) -> str:
        return self.name

    @property
    def strip(self) -> Picture:
        return Picture("Views", self.scene)


class FitTask(SceneTask):
    declaration = FIT
    label, icon = "Fit Scene", "CAMERA_DATA"
    about = "Make Gaussian splats of the photographs that the selected cameras show, or all cameras"
    target = Fitted
    extras = {"result": RESULT}  # noqa: RUF012
    rows = (("size", "Size"), ("splats", "Splats"), ("steps", "Steps"), ("background", "Behind"), ("seed", "Seed"))
    more = (("degree", "Degree"), ("hold_out", "Hold Out"))

    def has_reference(self, settings: Any) -> bool:
        return False

    def draw(self, layout: Any, settings: Any) -> None:
        layout.operator("weft.import_cameras", icon="IMPORT")

    def draw_result(self, layout: Any, context: Any) -> None:
        draw_files(layout)

    def button(self, context: Any) -> str:
        count = len(with_photographs(context.selected_objects))
        return f"Fit {count} Photos" if count else "Fit All Photos"

    def show(self, context: Any) -> None:
        """It comes in the Image Editors."""

    def parameters(self, settings: Any) -> FitParams:
        """White behind photographs with transparency, which are sent over white."""
        params = super().parameters(settings)
        if params.background != "automatic":
            return params
        cameras = with_photographs(bpy.context.selected_objects) or with_photographs(bpy.context.scene.objects)
        return replace(params, background="white") if cameras and is_transparent(cameras[0]) else params

    def chosen(self, context: Any) -> dict[str, Any]:
        return {"objects": context.selected_objects, "scene": context.scene}

    def collect(
        self,
        params: FitParams,
        *,
        objects: Sequence[bpy.types.Object] = (),
        scene: bpy.types.Scene | None = None,
    ) -> Collected:
        """The photographs of the cameras among `objects`, or of all cameras of `scene` where none of them has one."""
        place: Any = scene or bpy.context.scene
        if params.kind != "splats":
            raise SceneError("no_splats", f"Blender shows no {params.kind}", "set kind to splats, or use `weft fit`")
        cameras = chosen_cameras(objects, place)
        on_gpu = str(LINK.capabilities.get("device", "")).startswith("cuda")
        arrays = photographs(cameras, params.size or (SENT_TO_GPU if on_gpu else SENT))
        self.declaration.check(params, frozenset(arrays))
        return Collected(arrays, [Fitted(name_of(cameras[0]), place.name)])

    def prepare_result(self, arrays: Mapping[str, np.ndarray], kept: Sequence[Any]) -> list[Any]:
        views = arrays.get("view.images")
        splats = {name: array for name, array in arrays.items() if name.startswith("splats.")}
        return [(splats, None if views is None else encode_png(side_by_side(views)))]

    def show_preview(self, job_id: str, index: int, target: Fitted, prepared: Any) -> bool:
        show_picture(job_id, index, target.strip, prepared)
        return True

    def show_result(self, job_id: str, index: int, target: Fitted, prepared: Any, parameters: dict[str, Any]) -> str:
        arrays, strip = prepared
        if strip is not None:
            finish_picture(job_id, index, target.strip, strip, parameters, self.settings)
        mesh = bpy.data.meshes.new(target.name)
        fill_with(mesh, arrays)
        tag(mesh, job_id, index)
        mesh[PARAMETERS] = json.dumps({**parameters, "object": target.name}, sort_keys=True)
        obj = bpy.data.objects.new(target.name, mesh)
        scene = bpy.data.scenes.get(target.scene)
        (scene or bpy.context.scene).collection.objects.link(obj)
        add_display(obj)
        return "" if scene is not None else f"the scene '{target.scene}' is gone: its splats are in this one"


def name_of(camera: bpy.types.Object) -> str:
    """What the splats are called: as the dataset's collection."""
    return next((one.name for one in camera.users_collection if one.name in bpy.data.collections), "Splats")
