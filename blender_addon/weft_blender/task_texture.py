"""Texture: the selected meshes get an image of their own, on a new material. The old one stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs import TEXTURE, TextureParams

from .export import Target, export_objects
from .images import image_of, pack, paint
from .nodes import tree_of
from .pixels import encode_png
from .slots import dress, materials_of
from .swaps import shown_by, swap_image
from .tags import tag, tagged
from .task import REFERENCE, Collected, SceneTask

__all__ = ["TextureTask"]

UV_SOURCES = (
    ("AUTOMATIC", "Automatic", "The active UV map; a new one named Weft where it is missing, overlaps or has no area"),
    ("ACTIVE", "Active", "The active UV map as it is, even where faces share texels"),
    ("NEW", "New", "Always unwrap into a new UV map named Weft"),
)


class TextureTask(SceneTask):
    declaration = TEXTURE
    label, icon = "Texture", "TEXTURE"
    about = "Texture the selected meshes; the texture forms on them while you go on working"
    target = Target
    extras = {  # noqa: RUF012
        "exemplar": REFERENCE,
        "uv_source": bpy.props.EnumProperty(
            name="UV Map", items=UV_SOURCES, description="Where the texture's layout comes from"
        ),
    }
    # Short labels: Blender cuts what does not fit a narrow sidebar.
    rows = (
        ("texture_size", "Texture"),
        ("size", "Views"),
        ("steps", "Steps"),
        ("seed", "Seed"),
        ("cameras", "Cameras"),
    )
    more = (
        ("views", "Cameras"),
        ("pattern_scale", "Scale"),
        ("decals", "Fine Detail"),
        ("uv_source", "UV Map"),
    )

    def chosen(self, context: Any) -> dict[str, Any]:
        return {**super().chosen(context), "uv_source": self.settings_of(context.scene).uv_source}

    def collect(
        self,
        params: TextureParams,
        *,
        objects: Sequence[bpy.types.Object],
        exemplar: np.ndarray | None = None,
        uv_source: str = "AUTOMATIC",
    ) -> Collected:
        """The evaluated surfaces of `objects`, with the look."""
        arrays = self.look(params, exemplar)
        collected = export_objects(objects, uv_source=uv_source)
        collected.arrays |= arrays
        return collected

    def prepare_result(self, arrays: Mapping[str, np.ndarray], kept: Sequence[Any]) -> list[bytes]:
        return [encode_png(arrays[f"texture.{index}"]) for index in range(len(kept))]

    def show_preview(self, job_id: str, index: int, target: Target, prepared: Any) -> bool:
        obj = bpy.data.objects.get(target.object)
        if obj is None:
            return False
        image = image_of(target.object, job_id, index)
        paint(image, *prepared)
        dress(obj, material_of(target, job_id, index, image), job_id)
        return True

    def show_result(self, job_id: str, index: int, target: Target, prepared: bytes, parameters: dict[str, Any]) -> str:
        image = image_of(target.object, job_id, index)
        pack(image, prepared, {**parameters, "object": target.object})
        obj = bpy.data.objects.get(target.object)
        if obj is None:
            image.use_fake_user = True
            return f"'{target.object}' is gone: its texture is kept as the image '{image.name}'"
        dress(obj, material_of(target, job_id, index, image), job_id)
        return ""

    def wear(self, job_id: str, index: int, target: Target) -> bool:
        obj, image = bpy.data.objects.get(target.object), tagged(bpy.data.images, job_id, index)
        if obj is None or image is None:
            return False
        if not swap_image(materials_of(obj), image):
            dress(obj, material_of(target, job_id, index, image), job_id)
        return True

    def wears(self, job_id: str, index: int, target: Target) -> bool:
        return shown_by(materials_of(bpy.data.objects.get(target.object)), job_id, index)


def material_of(target: Target, job_id: str, index: int, image: bpy.types.Image) -> bpy.types.Material:
    """The material that shows `image` through the target's UV layer, made at the first call."""
    material = tagged(bpy.data.materials, job_id, index)
    if material is not None:
        return material
    material = bpy.data.materials.new(f"Weft {target.object}")
    tag(material, job_id, index)
    connect_nodes(tree_of(material), image, target.layer)
    return material


def connect_nodes(tree: Any, image: bpy.types.Image, layer: str) -> None:
    """UV map `layer` → `image` → base colour, in the nodes that a new material has."""
    nodes, links = tree.nodes, tree.links
    surface = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    surface.inputs["Roughness"].default_value = 0.8
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = image
    x, y = surface.location
    texture.location = (x - 320, y)
    uv_map = nodes.new("ShaderNodeUVMap")
    uv_map.uv_map = layer
    uv_map.location = (x - 540, y - 120)
    links.new(uv_map.outputs["UV"], texture.inputs["Vector"])
    links.new(texture.outputs["Color"], surface.inputs["Base Color"])
    nodes.active = texture  # what Solid shading with texture colours shows
