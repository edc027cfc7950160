"""Panorama: a wide picture or a whole sphere, from words or a picture, also as the surroundings of the scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs import PANORAMA, PanoramaParams

from .errors import SceneError
from .export import export_visible
from .picture import RESULT, Picture, finish_picture, show_picture, wear_picture, wears_picture
from .pixels import encode_png
from .task import REFERENCE, Collected, SceneTask, reference
from .world import exchange_image, former_world, keep_former, use_as_world, wears

__all__ = ["PanoramaTask"]


class PanoramaTask(SceneTask):
    declaration = PANORAMA
    label, icon = "Panorama", "WORLD"
    about = "Make a panorama; it forms in the World or in an Image Editor while you go on working"
    target = Picture
    extras = {  # noqa: RUF012
        "exemplar": REFERENCE,
        "around": bpy.props.BoolProperty(
            name="Scene around Camera",
            description="The panorama shows the visible meshes, as the active camera sees them all around it",
        ),
        "as_world": bpy.props.BoolProperty(
            name="Use as World",
            default=True,
            description="The panorama becomes the scene's World; the old one is kept and can be put back",
        ),
        "result": RESULT,
    }
    rows = (("width", "Width"), ("steps", "Steps"), ("seed", "Seed"))
    more = (("window", "Views"), ("pattern_scale", "Scale"), ("case", "Case"))
    unheeded = frozenset({"view_attention"})
    alike = False  # whether the new World is as the old one but for its image

    def has_geometry(self, settings: Any) -> bool:
        return settings.around

    def draw(self, layout: Any, settings: Any) -> None:
        super().draw(layout, settings)
        layout.row().prop(settings, "shape", expand=True)
        column = layout.column(align=True)
        column.prop(settings, "around")
        if settings.shape == "sphere":
            column.prop(settings, "as_world")
        else:
            column.use_property_split = True
            column.prop(settings, "height", text="Height")

    def draw_result(self, layout: Any, context: Any) -> None:
        scene, image = context.scene, self.settings_of(context.scene).result
        if image is not None and not wears(scene, image) and image.size[0] == 2 * image.size[1]:
            layout.operator("weft.use_as_world", icon="WORLD")
        if former_world(scene) is not None:
            layout.operator("weft.restore_world", icon="LOOP_BACK")

    def button(self, context: Any) -> str:
        return "Make Panorama"

    def show(self, context: Any) -> None:
        settings, space = self.settings_of(context.scene), context.space_data
        if settings.as_world and settings.shape == "sphere" and isinstance(space, bpy.types.SpaceView3D):
            if space.shading.type in ("SOLID", "WIREFRAME"):
                space.shading.type = "MATERIAL"
            if space.shading.type == "MATERIAL":
                space.shading.use_scene_world = True

    def chosen(self, context: Any) -> dict[str, Any]:
        settings = self.settings_of(context.scene)
        return {
            "exemplar": reference(settings.exemplar),
            "around": settings.around,
            "as_world": settings.as_world and settings.shape == "sphere",
        }

    def collect(
        self,
        params: PanoramaParams,
        *,
        exemplar: np.ndarray | None = None,
        around: bool = False,
        as_world: bool = False,
        scene: bpy.types.Scene | None = None,
    ) -> Collected:
        """The look, and with `around` what the active camera of `scene` (default: the current one) is surrounded by."""
        place: Any = scene or bpy.context.scene
        arrays = self.look(params, exemplar)
        if params.shape != "sphere" and as_world:
            raise SceneError("no_sphere", "a wide image cannot be the World", "set Shape to Sphere")
        if around:
            arrays |= surroundings(place)
        self.declaration.check(params, frozenset(arrays))
        return Collected(arrays, [Picture("Panorama", place.name, as_world)])

    def prepare_result(self, arrays: Mapping[str, np.ndarray], kept: Sequence[Any]) -> list[bytes]:
        return [encode_png(arrays["panorama"])]

    def show_preview(self, job_id: str, index: int, target: Picture, prepared: Any) -> bool:
        image = show_picture(job_id, index, target, prepared)
        scene = bpy.data.scenes.get(target.scene)
        if target.world and scene is not None:
            use_as_world(scene, image, job_id, alike=self.alike)
        return True

    def show_result(self, job_id: str, index: int, target: Picture, prepared: bytes, parameters: dict[str, Any]) -> str:
        image = finish_picture(job_id, index, target, prepared, parameters, self.settings)
        scene = bpy.data.scenes.get(target.scene)
        if scene is None:
            return f"the scene '{target.scene}' is gone: the panorama is kept as the image '{image.name}'"
        if target.world:
            use_as_world(scene, image, job_id, alike=self.alike)
            keep_former(scene)
        return ""

    def wear(self, job_id: str, index: int, target: Picture) -> bool:
        image, scene = wear_picture(job_id, index, target, self.settings), bpy.data.scenes.get(target.scene)
        if image is None or scene is None:
            return False
        if target.world and not exchange_image(scene, image):
            use_as_world(scene, image, alike=self.alike)
            keep_former(scene)
        return True

    def wears(self, job_id: str, index: int, target: Picture) -> bool:
        return wears_picture(job_id, index, target, self.settings)


def surroundings(scene: bpy.types.Scene) -> dict[str, np.ndarray]:
    """The visible surfaces and the place of the active camera. Raises SceneError where there is none of either."""
    if scene.camera is None:
        raise SceneError(
            "no_camera", f"the scene '{scene.name}' has no active camera", "add one, or switch off Scene around Camera"
        )
    depsgraph = bpy.context.evaluated_depsgraph_get()
    arrays = export_visible(depsgraph)
    if not arrays:
        raise SceneError("no_faces", "nothing with faces is visible", "show a mesh, or switch off Scene around Camera")
    place = scene.camera.evaluated_get(depsgraph).matrix_world.translation
    return {**arrays, "viewpoint": np.array(place, np.float32)}
