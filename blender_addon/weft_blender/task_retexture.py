"""Retexture: the image that the selected meshes wear is changed in a copy, everywhere or where one says.

One part of the job is one image with all selected faces that wear it, whichever objects and materials they belong to.
Image and materials are copied: maps, shaders and alpha stay as they are, and so do the originals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs import RETEXTURE, RetextureParams

from .errors import SceneError
from .export import Surface, check_objects, read_surface
from .images import image_of, pack, paint, read_bytes
from .pixels import encode_png
from .slots import dress, former_material
from .tags import INDEX, JOB, tag, weft_name
from .task import REFERENCE, Collected, SceneTask
from .textures import check_texture, layer_of, node_of
from .uv_check import uv_problem

__all__ = ["Part", "RetextureTask"]

FORMER = "weft_former"  # on materials: the name of the one that it is a copy of
WHERE = (
    ("WHOLE", "All", "The whole texture"),
    ("FACES", "Faces", "The faces that are selected in Edit Mode"),
    ("MASK", "Mask", "Where an image of the texture's size is not black"),
)


@dataclass(frozen=True)
class Part:
    """One image and who wears it: (object, slot, image node)."""

    image: str
    wearers: Sequence[Sequence[Any]]

    @property
    def label(self) -> str:
        return ", ".join(dict.fromkeys(str(wearer[0]) for wearer in self.wearers))[:60]


@dataclass
class Pieces:
    """The surfaces that wear one image, until they become a part."""

    image: bpy.types.Image
    wearers: list[list[Any]] = field(default_factory=list)
    surfaces: list[Surface] = field(default_factory=list)


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
    more = (("views", "Cameras"), ("pattern_scale", "Scale"), ("decals", "Fine Detail"), ("model", "Model"))

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


def gather(objects: Sequence[bpy.types.Object], warnings: list[str]) -> list[Pieces]:
    """The surfaces of `objects`, by the image that they wear. Raises SceneError for what cannot be retextured."""
    found: dict[str, Pieces] = {}
    for obj in objects:
        plain, worn = read_surface(obj), 0
        for slot in np.unique(plain.slots).tolist():
            node = node_of(former_material(obj, slot))
            if node is None:
                continue
            worn += 1
            check_texture(node.image, obj.name)
            layer = layer_of(node, obj.name) or rendered_layer(obj)
            surface = plain if layer == plain.layer else read_surface(obj, layer)
            pieces = found.setdefault(node.image.name, Pieces(node.image))
            pieces.wearers.append([obj.name, slot, node.name])
            pieces.surfaces.append(faces_of(surface, surface.slots == slot))
        if not worn:
            raise SceneError(
                "no_texture",
                f"'{obj.name}' wears no image texture",
                "connect an Image Texture node to Base Color, or use the task Texture",
            )
        if worn < len(np.unique(plain.slots)):
            warnings.append(f"materials of '{obj.name}' without an image texture stay as they are")
    return list(found.values())


def rendered_layer(obj: bpy.types.Object) -> str:
    return next((layer.name for layer in obj.data.uv_layers if layer.active_render), "")


def faces_of(surface: Surface, chosen: np.ndarray) -> Surface:
    """The `chosen` faces (bool [F]) with the vertices that they use."""
    used, faces = np.unique(surface.faces[chosen], return_inverse=True)
    uv = None if surface.uv is None else surface.uv[chosen]
    faces = faces.reshape(-1, 3).astype(np.int32)
    return Surface(surface.vertices[used], faces, uv, surface.layer, surface.slots[chosen], surface.selected[chosen])


def add_part(collected: Collected, pieces: Pieces, where: str) -> None:
    """One more part of the job, unless none of its faces is selected where that counts."""
    selected = np.concatenate([surface.selected for surface in pieces.surfaces])
    if where == "FACES" and not selected.any():
        return
    starts = np.cumsum([0, *(len(surface.vertices) for surface in pieces.surfaces)])
    vertices = np.concatenate([surface.vertices for surface in pieces.surfaces])
    faces = np.concatenate([s.faces + np.int32(start) for s, start in zip(pieces.surfaces, starts, strict=False)])
    part = Part(pieces.image.name, tuple(pieces.wearers))
    layers = [surface.uv for surface in pieces.surfaces]
    uv = None if any(layer is None for layer in layers) else np.concatenate([v for v in layers if v is not None])
    check_uv(part.label, vertices, faces, uv, collected.warnings)
    index = len(collected.targets)
    collected.targets.append(part)
    texture = np.ascontiguousarray(read_bytes(pieces.image)[..., :3])
    named = {"vertices": vertices, "faces": faces, "uv": uv, "texture": texture}
    if where == "FACES":
        named["selected"] = selected.astype(np.uint8)
    collected.arrays |= {f"mesh.{index}.{name}": array for name, array in named.items() if array is not None}


def check_uv(label: str, vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray | None, warnings: list[str]) -> None:
    """Refuse UVs that no texture is read through; warn of parts that share texels."""
    problem = uv_problem(vertices, faces, uv)
    if problem.startswith("overlap"):
        warnings.append(f"the UVs of '{label}' {problem}: parts share texels and change together")
    elif problem:
        remedy = "bake the texture to a layout of its own first, or use the task Texture"
        raise SceneError("unfit_uv", f"the UVs of '{label}' {problem}", remedy)


def add_masks(collected: Collected, mask: bpy.types.Image | None) -> None:
    """The mask for every part. Raises SceneError unless it is as large as all textures, and not black."""
    if mask is None or not mask.size[0] * mask.size[1]:
        raise SceneError("no_mask", "there is no mask", "choose an image, press Paint Mask, or set Where to All")
    flat = np.empty(mask.size[0] * mask.size[1] * 4, np.float32)
    mask.pixels.foreach_get(flat)
    rgba = np.nan_to_num(flat.reshape(mask.size[1], mask.size[0], 4)[::-1])
    values = np.rint(255 * np.clip(rgba[..., :3].max(axis=2) * rgba[..., 3], 0, 1)).astype(np.uint8)
    for index, part in enumerate(collected.targets):
        height, width = collected.arrays[f"mesh.{index}.texture"].shape[:2]
        if values.shape != (height, width):
            raise SceneError(
                "mask_size",
                f"the mask '{mask.name}' has {mask.size[0]} × {mask.size[1]} pixels, "
                f"the texture '{part.image}' has {width} × {height}",
                "scale the mask with Image > Resize, or press Paint Mask for a new one",
            )
        collected.arrays[f"mesh.{index}.mask"] = values
    if not values.any():
        raise SceneError("empty_mask", f"the mask '{mask.name}' is black", "paint white what may change")


def alpha_of(image: bpy.types.Image | None) -> np.ndarray | None:
    """u1 [H, W], or None for an image that is opaque or gone."""
    if image is None or image.is_float or not image.size[0] * image.size[1]:
        return None
    alpha = np.ascontiguousarray(read_bytes(image)[..., 3])
    return None if (alpha == 255).all() else alpha


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
