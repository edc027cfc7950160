"""What tasks on views share: the selected objects are rendered from several cameras, and the pictures edited together.

What comes back are the pictures, side by side in the Image Editors, and the textures that they make: on the objects,
in a new material that shows them as they are, because light and shadow are in them. The old material stays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs.networks import EMBEDDED_VIEW
from weft_wire.jobs.views import ViewsParams

from .export import check_objects, export_objects, read_surface
from .images import image_of, pack, paint
from .models import card_of
from .nodes import tree_of
from .picture import RESULT, Picture, finish_picture, show_picture, wear_picture, wears_picture
from .pixels import encode_png
from .slots import dress, materials_of
from .swaps import shown_by, swap_image
from .tags import tag, tagged
from .task import EMBEDDED, Collected, SceneTask
from .view_cameras import ALL_AROUND, CAMERAS
from .view_renders import check_rendered, render_views

__all__ = ["MORE", "ROWS", "VIEWS", "ViewTarget", "ViewsTask"]

VIEWS = {
    "cameras": bpy.props.EnumProperty(name="Cameras", items=CAMERAS, description="Where the views are taken from"),
    "result": RESULT,
}
# Short labels: Blender cuts what does not fit a narrow sidebar.
ROWS = (("cameras", "Cameras"), ("views", "Views"), ("size", "Size"), ("steps", "Steps"), ("seed", "Seed"))
MORE = (("way", "Way"), ("coupling", "Coupling"), ("coupling_lambda", "Lambda"), ("reference", "Reference"))
COUPLED = ("coupled", "averaging", "averaging_mcmc")  # ways in which two models pull each other
FROM_ONE = ("coupled", "single_edit", "averaging", "averaging_mcmc")  # ways that begin with one view


@dataclass(frozen=True)
class ViewTarget:
    """An object by its name with its UV layer, or, without a name, the strip of all views; for the scene `scene`."""

    object: str
    layer: str
    scene: str

    @property
    def label(self) -> str:
        return self.object or "Views"

    @property
    def strip(self) -> Picture:
        return Picture("Views", self.scene)


class ViewsTask(SceneTask):
    target = ViewTarget
    alone = True  # the selection is seen without the rest of the scene
    elevations = ALL_AROUND
    sees_looks = True

    def has_reference(self, settings: Any) -> bool:
        return False

    def matters(self, name: str, settings: Any) -> bool:
        match name:
            case "views":
                return settings.cameras == "AROUND"
            case "coupling" | "coupling_lambda":
                return settings.way in COUPLED
            case "reference":
                return settings.way in FROM_ONE
            case "prompt":
                return settings.model != EMBEDDED
        return True

    def draw(self, layout: Any, settings: Any) -> None:
        """Tasks have no look in common."""

    def chosen(self, context: Any) -> dict[str, Any]:
        settings = self.settings_of(context.scene)
        return {"objects": context.selected_objects, "cameras": settings.cameras, "scene": context.scene}

    def surfaces(self, objects: Sequence[bpy.types.Object]) -> Collected:
        """The objects' arrays and targets, with UVs that can carry the textures that come."""
        return export_objects(objects)

    def show(self, context: Any) -> None:
        """Without Blender's own light: there is one in the texture."""
        super().show(context)
        space = context.space_data
        if isinstance(space, bpy.types.SpaceView3D) and space.shading.type == "SOLID":
            space.shading.light = "FLAT"

    def with_views(
        self,
        params: ViewsParams,
        arrays: dict[str, np.ndarray],
        objects: Sequence[bpy.types.Object],
        cameras: str,
        scene: bpy.types.Scene | None,
        framed: np.ndarray | None = None,
    ) -> Collected:
        """`arrays` with renders of `objects` and their surfaces; a ring of cameras sees the points `framed` [P, 3], or
        all of the objects. Raises before it takes the time to render."""
        place: Any = scene or bpy.context.scene
        check_objects(objects)
        check_rendered(objects)
        self.declaration.check(params, frozenset({*arrays, "view.images", "camera.poses", "mesh.0.vertices"}))
        size = params.size or card_of(params).view_size or EMBEDDED_VIEW
        views = render_views(
            objects,
            np.concatenate([read_surface(obj).vertices for obj in objects]) if framed is None else framed,
            scene=place,
            cameras=cameras,
            count=params.views,
            size=size,
            alone=self.alone,
            elevations=self.elevations,
        )
        collected = self.surfaces(objects)
        collected.arrays |= {**arrays, **views}
        collected.targets = [
            *(ViewTarget(target.object, target.layer, place.name) for target in collected.targets),
            ViewTarget("", "", place.name),
        ]
        return collected

    def prepare_result(self, arrays: Mapping[str, np.ndarray], kept: Sequence[Any]) -> list[bytes | None]:
        """The textures that there are, and the views side by side."""
        textures = [arrays.get(f"texture.{index}") for index in range(len(kept) - 1)]
        pictures = [*textures, side_by_side(arrays["view.images"])]
        return [None if picture is None else encode_png(picture) for picture in pictures]

    def show_preview(self, job_id: str, index: int, target: ViewTarget, prepared: Any) -> bool:
        if not target.object:
            show_picture(job_id, index, target.strip, prepared)
            return True
        obj = bpy.data.objects.get(target.object)
        if obj is None:
            return False
        image = image_of(target.object, job_id, index)
        paint(image, *prepared)
        dress(obj, material_of(target, job_id, index, image), job_id)
        return True

    def show_result(
        self, job_id: str, index: int, target: ViewTarget, prepared: bytes | None, parameters: dict[str, Any]
    ) -> str:
        if prepared is None:
            return ""
        if not target.object:
            finish_picture(job_id, index, target.strip, prepared, parameters, self.settings)
            return ""
        image = image_of(target.object, job_id, index)
        pack(image, prepared, {**parameters, "object": target.object})
        obj = bpy.data.objects.get(target.object)
        if obj is None:
            image.use_fake_user = True
            return f"'{target.object}' is gone: its texture is kept as the image '{image.name}'"
        dress(obj, material_of(target, job_id, index, image), job_id)
        return ""

    def wear(self, job_id: str, index: int, target: ViewTarget) -> bool:
        if not target.object:
            return wear_picture(job_id, index, target.strip, self.settings) is not None
        obj, image = bpy.data.objects.get(target.object), tagged(bpy.data.images, job_id, index)
        if obj is None or image is None:
            return False
        if not swap_image(materials_of(obj), image):
            dress(obj, material_of(target, job_id, index, image), job_id)
        return True

    def wears(self, job_id: str, index: int, target: ViewTarget) -> bool:
        if not target.object:
            return wears_picture(job_id, index, target.strip, self.settings)
        return shown_by(materials_of(bpy.data.objects.get(target.object)), job_id, index)


def side_by_side(images: np.ndarray) -> np.ndarray:
    """Views u1 [N, H, W, 3] in rows, as square as can be, u1 [h, w, 3]; white where one lacks."""
    count, height, width, _ = images.shape
    columns = math.ceil(math.sqrt(count * height / width))
    rows = -(-count // columns)
    strip = np.full((rows, height, columns, width, 3), 255, np.uint8)
    for i, image in enumerate(images):
        strip[i // columns, :, i % columns] = image
    return strip.reshape(rows * height, columns * width, 3)


def material_of(target: ViewTarget, job_id: str, index: int, image: bpy.types.Image) -> bpy.types.Material:
    """The material that shows `image` through the target's UV layer as it is, made at the first call."""
    material = tagged(bpy.data.materials, job_id, index)
    if material is not None:
        return material
    material = bpy.data.materials.new(f"Weft {target.object}")
    tag(material, job_id, index)
    nodes, links = tree_of(material).nodes, tree_of(material).links
    nodes.clear()
    kinds = ("ShaderNodeUVMap", "ShaderNodeTexImage", "ShaderNodeEmission", "ShaderNodeOutputMaterial")
    uv_map, texture, emission, output = (nodes.new(kind) for kind in kinds)
    for x, node in zip((-520, -300, 0, 200), (uv_map, texture, emission, output), strict=True):
        node.location = (x, 0)
    uv_map.uv_map, texture.image = target.layer, image
    links.new(uv_map.outputs["UV"], texture.inputs["Vector"])
    links.new(texture.outputs["Color"], emission.inputs["Color"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    nodes.active = texture  # what Solid shading with texture colours shows
    return material
