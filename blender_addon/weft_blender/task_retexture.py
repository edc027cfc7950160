"""Retexture: the image that the selected meshes wear is changed in a copy, everywhere or where one says.

One part of the job is one image with all selected faces that wear it, whichever objects and materials they belong to.
Image and materials are copied: maps, shaders and alpha stay as they are, and so do the originals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs import RETEXTURE, RetextureParams

from .errors import SceneError
from .export import check_objects
from .images import image_of, pack, paint, read_bytes
from .pixels import encode_png
from .retexture_parts import Part, add_masks, add_part, gather
from .slots import dress, former_material
from .swaps import shown_by, swap_image
from .tags import INDEX, JOB, tag, tagged, weft_name
from .task import REFERENCE, Collected, SceneTask

__all__ = ["RetextureTask"]

FORMER = "weft_former"  # on materials: the name of the one that it is a copy of
WHERE = (
    ("WHOLE", "All", "The whole texture"),
    ("FACES", "Faces", "The faces that are selected in Edit Mode"),
    ("MASK", "Mask", "Where an image of the texture's size is not black"),
)


class RetextureTask(SceneTask):
    declaration = RETEXTURE
    label, icon = "Retexture", "BRUSH_DATA"
    about = "Change the texture that the selected meshes wear, in a copy; the old one stays"
    target = Part
    extras = {  # noqa: RUF012
        "exemplar": REFERENCE,
        "where": bpy.props.EnumProperty(name="Where", items=WHERE, description="What of the texture may change"),
        "mask": bpy.props.PointerProperty(
            name="Mask",
            type=bpy.types.Image,
            description="White (anything but black) may change; as large as the texture",
        ),
    }
    rows = (("strength", "Strength"), ("size", "Views"), ("steps", "Steps"), ("seed", "Seed"), ("cameras", "Cameras"))
    more = (("views", "Cameras"), ("pattern_scale", "Scale"), ("decals", "Fine Detail"))
    sees_looks = True

    def draw(self, layout: Any, settings: Any) -> None:
        super().draw(layout, settings)
        layout.label(text="Where")
        layout.row().prop(settings, "where", expand=True)
        if settings.where == "MASK":
            layout.template_ID(settings, "mask", open="image.open", text="")
            layout.operator("weft.paint_mask", icon="BRUSH_DATA")

    def chosen(self, context: Any) -> dict[str, Any]:
        settings = self.settings_of(context.scene)
        return {**super().chosen(context), "where": settings.where, "mask": settings.mask}

    def collect(
        self,
        params: RetextureParams,
        *,
        objects: Sequence[bpy.types.Object],
        exemplar: np.ndarray | None = None,
        where: str = "WHOLE",
        mask: bpy.types.Image | None = None,
    ) -> Collected:
        """The worn images of `objects` with their surfaces. `where`: WHOLE, FACES (selected ones) or MASK."""
        collected = Collected(self.look(params, exemplar))
        check_objects(objects)
        for pieces in gather(objects, collected.warnings):
            add_part(collected, pieces, where)
        if not collected.targets:
            raise SceneError("no_faces", "no face is selected", "select faces in Edit Mode, or set Where to All")
        if where == "MASK":
            add_masks(collected, mask)
        return collected

    def keep(self, targets: Sequence[Part]) -> list[np.ndarray | None]:
        """The alpha channels of the images, where they have one."""
        return [alpha_of(bpy.data.images.get(part.image)) for part in targets]

    def prepare_result(self, arrays: Mapping[str, np.ndarray], kept: Sequence[Any]) -> list[bytes]:
        files = []
        for index, alpha in enumerate(kept):
            texture = arrays[f"texture.{index}"]
            if alpha is not None and alpha.shape == texture.shape[:2]:
                texture = np.dstack([texture, alpha])
            files.append(encode_png(texture))
        return files

    def show_preview(self, job_id: str, index: int, target: Part, prepared: Any) -> bool:
        image = image_of(target.image, job_id, index, alpha=True)
        paint(image, *prepared)
        return put_on(target, job_id, index, image)

    def show_result(self, job_id: str, index: int, target: Part, prepared: bytes, parameters: dict[str, Any]) -> str:
        image = image_of(target.image, job_id, index, alpha=True)
        pack(image, prepared, {**parameters, "object": target.label})
        if put_on(target, job_id, index, image):
            return ""
        image.use_fake_user = True
        return f"'{target.label}' is gone: its texture is kept as the image '{image.name}'"

    def wear(self, job_id: str, index: int, target: Part) -> bool:
        image = tagged(bpy.data.images, job_id, index)
        if image is None:
            return False
        return swap_image(worn_materials(target), image) or put_on(target, job_id, index, image)

    def wears(self, job_id: str, index: int, target: Part) -> bool:
        return shown_by(worn_materials(target), job_id, index)


def alpha_of(image: bpy.types.Image | None) -> np.ndarray | None:
    """u1 [H, W], or None for an image that is opaque or gone."""
    if image is None or image.is_float or not image.size[0] * image.size[1]:
        return None
    alpha = np.ascontiguousarray(read_bytes(image)[..., 3])
    return None if (alpha == 255).all() else alpha


def worn_materials(part: Part) -> list[bpy.types.Material]:
    """What those who wear the part's image, or a copy of it, have on in its place."""
    worn = []
    for name, slot, _ in part.wearers:
        obj = bpy.data.objects.get(name)
        if obj is not None and slot < len(obj.material_slots) and obj.material_slots[slot].material is not None:
            worn.append(obj.material_slots[slot].material)
    return worn


def put_on(part: Part, job_id: str, index: int, image: bpy.types.Image) -> bool:
    """Show `image` on everything that wears the part's; False when all of it is gone."""
    there = False
    for name, slot, node in part.wearers:
        obj = bpy.data.objects.get(name)
        if obj is None:
            continue
        there = True
        material = obj.material_slots[slot].material if slot < len(obj.material_slots) else None
        if material is None or material.get(JOB) != job_id:
            former = former_material(obj, slot)
            if former is not None and node in former.node_tree.nodes:
                dress(obj, copy_of(former, node, job_id, index, image), job_id, [slot])
    return there


def copy_of(
    former: bpy.types.Material, node: str, job_id: str, index: int, image: bpy.types.Image
) -> bpy.types.Material:
    """A copy of the material with `image` in its image node, made at the first call."""
    for material in bpy.data.materials:
        if (material.get(JOB), material.get(INDEX), material.get(FORMER)) == (job_id, index, former.name):
            return material
    material = former.copy()
    material.name = weft_name(former.name)
    material.use_fake_user = False
    tag(material, job_id, index)
    material[FORMER] = former.name
    nodes = material.node_tree.nodes
    nodes[node].image = image
    nodes.active = nodes[node]  # what Solid shading with texture colours shows
    return material
