"""Edit splats: views of Gaussian splats are edited together, and the splats learn them, in a copy of their mesh.

The frame is that of the splats' file. Cameras with photographs are brought into it, and so is the mesh that says where
splats may change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs import EDIT_SCENE, EditSceneParams
from weft_wire.jobs.networks import EMBEDDED_VIEW

from .cameras import export_cameras
from .distillation_rows import FOR_EMBEDDED, MORE, ROWS, UNHEEDED
from .errors import SceneError
from .images import prepare
from .models import card_of
from .photo_cameras import chosen_cameras, photographs
from .picture import RESULT, finish_picture, show_picture, wear_picture, wears_picture
from .pixels import encode_png, to_linear
from .region import WHERE, is_volume, region_of
from .splat_arrays import fill_with, scene_arrays, take
from .splat_copies import copy_for, former_mesh, keep_former, latter_mesh, wear_variant, wears_variant
from .splat_mesh import check_splats, recolour
from .tags import tagged
from .task import REFERENCE, Collected, SceneTask
from .task_splats import draw_files, mark, to_frame
from .task_views import ViewTarget, side_by_side

__all__ = ["EditSceneTask"]

CAMERAS = (
    ("AROUND", "Around", "Cameras around the splats"),
    ("SCENE", "Scene", "The scene's own perspective cameras"),
    ("PHOTOS", "Photos", "Cameras with photographs, which are edited: the selected ones, or all"),
)
UPS = {"-y": (0.0, -1.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}  # in the frame of the splats


class EditSceneTask(SceneTask):
    declaration = EDIT_SCENE
    label, icon = "Edit Splats", "MOD_HUE_SATURATION"
    about = "Change the selected Gaussian splats by words or a picture, in a copy; the old ones stay"
    target = ViewTarget
    extras = {  # noqa: RUF012
        "exemplar": REFERENCE,
        "where": bpy.props.EnumProperty(name="Where", items=WHERE, description="Which splats may change"),
        "volume": bpy.props.PointerProperty(
            name="Volume",
            type=bpy.types.Object,
            poll=is_volume,
            description="A closed mesh: only what lies inside may change",
        ),
        "cameras": bpy.props.EnumProperty(
            name="Cameras", items=CAMERAS, description="Where the views are taken from that are edited"
        ),
        "result": RESULT,
    }
    rows = (("change", "Change"), *ROWS, ("cameras", "Cameras"), ("views", "Views"), ("size", "Size"))
    more = (
        *MORE,
        ("batch", "Together"),
        ("schedule", "Schedule"),
        ("every", "Every"),
        ("scene_steps", "Learning"),
        ("anchor", "Anchor"),
    )
    unheeded = UNHEEDED
    for_embedded = FOR_EMBEDDED
    sees_looks = True

    def has_geometry(self, settings: Any) -> bool:
        return False

    def matters(self, name: str, settings: Any) -> bool:
        return settings.cameras == "AROUND" if name == "views" else True

    def draw(self, layout: Any, settings: Any) -> None:
        super().draw(layout, settings)
        split = layout.split(factor=0.4)
        split.label(text="Where")
        split.prop(settings, "where", text="")
        if settings.where == "VOLUME":
            layout.prop(settings, "volume", text="")

    def draw_result(self, layout: Any, context: Any) -> None:
        obj = context.object
        if latter_mesh(obj) is not None or former_mesh(obj) is not None:
            text = "Show After" if latter_mesh(obj) is not None else "Show Before"
            layout.operator("weft.exchange_splats", text=text, icon="LOOP_BACK")
        draw_files(layout)

    def button(self, context: Any) -> str:
        found = [obj.name for obj in context.selected_objects if obj.type != "CAMERA"]
        return f"Edit {found[0]}" if len(found) == 1 else "Edit Splats"

    def show(self, context: Any) -> None:
        space = context.space_data
        if isinstance(space, bpy.types.SpaceView3D) and space.shading.type in ("SOLID", "WIREFRAME"):
            space.shading.type = "MATERIAL"

    def parameters(self, settings: Any) -> EditSceneParams:
        """Up is where the object stands."""
        params = super().parameters(settings)
        found = splats_among(bpy.context.selected_objects, settings.volume)
        return replace(params, up=up_of(found[0])) if len(found) == 1 else params

    def chosen(self, context: Any) -> dict[str, Any]:
        settings = self.settings_of(context.scene)
        names = ("where", "volume", "cameras")
        return {**super().chosen(context), **{name: getattr(settings, name) for name in names}}

    def collect(
        self,
        params: EditSceneParams,
        *,
        objects: Sequence[bpy.types.Object],
        exemplar: np.ndarray | None = None,
        where: str = "ALL",
        volume: bpy.types.Object | None = None,
        cameras: str = "AROUND",
        scene: bpy.types.Scene | None = None,
    ) -> Collected:
        """The one object of splats among `objects`, which may hold cameras and the `volume` besides; `where` as in
        region.WHERE. cameras: AROUND; SCENE, all of `scene`; or PHOTOS, the photographs of those among `objects` or
        else of all."""
        place: Any = scene or bpy.context.scene
        arrays = {} if exemplar is None else {"exemplar": exemplar}
        self.declaration.check(params, frozenset({*arrays, "splats.means"}))
        found = splats_among(objects, volume)
        if len(found) != 1:
            count = f"{len(found)} objects are selected" if found else "no splats are selected"
            hint = "select it alone" if found else "select some; of photographs, the task Fit Scene makes them"
            raise SceneError("one_object", f"{count}, expected one object of Gaussian splats", hint)
        obj = found[0]
        check_splats(obj)
        arrays |= region_of(obj, where, volume) | scene_arrays(obj)
        match cameras:
            case "SCENE":
                arrays |= export_cameras(place)
            case "PHOTOS":
                size = params.size or card_of(params).view_size or EMBEDDED_VIEW
                arrays |= photographs(chosen_cameras(objects, place), size)
        if "camera.poses" in arrays:
            arrays["camera.poses"] = to_frame(arrays["camera.poses"], obj)
        return Collected(arrays, [ViewTarget("", "", place.name), ViewTarget(obj.name, "", place.name)])

    def keep(self, targets: Sequence[ViewTarget]) -> list[bool]:
        """Whether pictures of the target are colours of splats."""
        return [bool(target.object) for target in targets]

    def prepare_preview(self, image: np.ndarray, kept: bool) -> Any:
        """Of splats linear colours f4 [S or more, 3]: the preview holds 1024 a row."""
        return to_linear(image).reshape(-1, 3) if kept else prepare(image)

    def prepare_result(self, arrays: Mapping[str, np.ndarray], kept: Sequence[bool]) -> list[Any]:
        views = arrays.get("view.images")
        strip = None if views is None else encode_png(side_by_side(views))
        return [{name: arrays[name] for name in arrays if name.startswith("splats.")} if k else strip for k in kept]

    def show_preview(self, job_id: str, index: int, target: ViewTarget, prepared: Any) -> bool:
        if not target.object:
            show_picture(job_id, index, target.strip, prepared)
            return True
        mesh = copy_for(target.object, job_id, index)
        if mesh is None or len(prepared) < len(mesh.vertices):
            return False
        recolour(mesh, prepared)
        return True

    def show_result(
        self, job_id: str, index: int, target: ViewTarget, prepared: Any, parameters: dict[str, Any]
    ) -> str:
        if target.object:
            return show_splats(target.object, job_id, index, prepared, parameters)
        if prepared is not None:
            finish_picture(job_id, index, target.strip, prepared, parameters, self.settings)
        return ""

    def wear(self, job_id: str, index: int, target: ViewTarget) -> bool:
        if target.object:
            return wear_variant(target.object, job_id, index)
        return wear_picture(job_id, index, target.strip, self.settings) is not None

    def wears(self, job_id: str, index: int, target: ViewTarget) -> bool:
        if target.object:
            return wears_variant(target.object, job_id, index)
        return wears_picture(job_id, index, target.strip, self.settings)


def show_splats(name: str, job_id: str, index: int, arrays: dict[str, np.ndarray], parameters: dict[str, Any]) -> str:
    """Give the object's copy the splats of a result; a warning, or nothing."""
    mesh = copy_for(name, job_id, index) or tagged(bpy.data.meshes, job_id, index)
    if mesh is None:
        return f"'{name}' is gone: nothing can take its new splats"
    count = len(arrays["splats.means"])
    if len(mesh.vertices) == count:
        take(mesh, arrays)
    else:
        mesh.clear_geometry()
        fill_with(mesh, arrays)
    keep_former(mesh)
    return mark(mesh, name, parameters)


def splats_among(objects: Sequence[bpy.types.Object], volume: bpy.types.Object | None) -> list[bpy.types.Object]:
    """What is neither a camera nor the volume."""
    return [obj for obj in objects if obj.type != "CAMERA" and obj != volume]


def up_of(obj: bpy.types.Object) -> str:
    """The axis of the splats' frame that stands highest in Blender's world, as the wire names it."""
    matrix = np.array(obj.matrix_world, np.float64)[:3, :3]
    return max(UPS, key=lambda name: float((matrix @ UPS[name])[2]))
