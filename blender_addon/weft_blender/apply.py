"""Pictures onto objects: previews while denoising, then one packed image on a new material. The old one stays.

The new material sits in the *object's* slots, so the mesh keeps its own materials, and other objects that share the
mesh keep their looks. Until the result is final, the object remembers its former slots in the property BEFORE, which
survives saving, loading and undo; `restore` puts them back. Material and image are found by their job's tags.
"""

from __future__ import annotations

import json
from typing import Any

import bpy
import numpy as np

__all__ = ["commit", "restore", "show_preview", "show_result"]

BEFORE = "weft_before"  # on objects: the slots as they were, while a preview covers them
JOB, INDEX = "weft_job", "weft_object"  # on images and materials: whose they are
PARAMETERS = "weft"  # on finished images: everything needed to make them again, as JSON


def show_preview(name: str, layer: str, job_id: str, index: int, pixels: np.ndarray, size: tuple[int, int]) -> bool:
    """Put `pixels` (flat f4 RGBA of `size` = width, height) on object `name`; False when the object is gone.

    From the second preview on only the pixels change, so Blender uploads a texture and re-evaluates nothing.
    """
    obj = bpy.data.objects.get(name)
    if obj is None:
        return False
    image = image_of(name, job_id, index, size)
    if tuple(image.size) != size:
        image.scale(*size)
    image.pixels.foreach_set(pixels)
    image.update()
    dress(obj, material_of(name, layer, job_id, index, image), job_id)
    return True


def show_result(name: str, layer: str, job_id: str, index: int, png: bytes, parameters: dict[str, Any]) -> bool:
    """Turn the preview of object `name` into the result: `png` packed into the image, `parameters` stored on it.

    Without the object the image is still made and kept; then the answer is False.
    """
    image = image_of(name, job_id, index, (1, 1))
    image.pack(data=png, data_len=len(png))
    image.source = "FILE"
    image.filepath_raw = f"//{bpy.path.clean_name(image.name)}.png"
    image[PARAMETERS] = json.dumps(parameters, sort_keys=True)
    obj = bpy.data.objects.get(name)
    if obj is None:
        image.use_fake_user = True
        return False
    dress(obj, material_of(name, layer, job_id, index, image), job_id)
    return True


def commit(job_id: str) -> None:
    """Forget the former slots of the objects that wear `job_id`; materials that nobody uses now are kept on saving."""
    for obj in bpy.data.objects:
        if BEFORE not in obj or obj[BEFORE]["job"] != job_id:
            continue
        former = [value for key, value in obj[BEFORE].items() if key.startswith("slot") and value is not None]
        del obj[BEFORE]
        for material in former:
            if material.users == 0 and material.library is None:
                material.use_fake_user = True


def restore(*, keep: str = "") -> None:
    """Take off every unfinished preview except those of job `keep`, and remove their images and materials."""
    for obj in bpy.data.objects:
        if BEFORE in obj and obj[BEFORE]["job"] != keep:
            undress(obj)
    for image in list(bpy.data.images):
        if JOB in image and image[JOB] != keep and PARAMETERS not in image:
            stale = [m for m in bpy.data.materials if m.get(JOB) == image[JOB] and m.get(INDEX) == image[INDEX]]
            bpy.data.batch_remove([*stale, image])


def image_of(name: str, job_id: str, index: int, size: tuple[int, int]) -> bpy.types.Image:
    """The image of object number `index` of the job, made at the first call."""
    image = tagged(bpy.data.images, job_id, index)
    if image is None:
        image = bpy.data.images.new(f"Weft {name}", *size, alpha=False)
        image[JOB], image[INDEX] = job_id, index
    return image


def material_of(name: str, layer: str, job_id: str, index: int, image: bpy.types.Image) -> bpy.types.Material:
    """The material that shows `image` through UV layer `layer`, made at the first call."""
    material = tagged(bpy.data.materials, job_id, index)
    if material is not None:
        return material
    material = bpy.data.materials.new(f"Weft {name}")
    material[JOB], material[INDEX] = job_id, index
    if material.node_tree is None:  # Blender < 5.0 makes materials without nodes
        material.use_nodes = True
    connect_nodes(material.node_tree, image, layer)
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


def tagged(datablocks: Any, job_id: str, index: int) -> Any:
    """The image or material that carries the tags of object number `index` of the job, or None."""
    return next((item for item in datablocks if item.get(JOB) == job_id and item.get(INDEX) == index), None)


def dress(obj: bpy.types.Object, material: bpy.types.Material, job_id: str) -> None:
    """Put `material` into all slots of `obj`, on the object's side, and remember what was there."""
    if all(slot.material == material for slot in obj.material_slots) and obj.material_slots:
        return
    if BEFORE not in obj:
        slots = {f"slot{i}": slot.material for i, slot in enumerate(obj.material_slots) if slot.link == "OBJECT"}
        links = [slot.link for slot in obj.material_slots]
        obj[BEFORE] = {"job": job_id, "links": " ".join(links), **{k: m for k, m in slots.items() if m is not None}}
    if not obj.material_slots:
        obj.data.materials.append(None)
    for slot in obj.material_slots:
        slot.link = "OBJECT"
        slot.material = material


def undress(obj: bpy.types.Object) -> None:
    """Give `obj` the slots back that `dress` remembered."""
    before = obj[BEFORE]
    links = before["links"].split()
    for i, (slot, link) in enumerate(zip(obj.material_slots, links, strict=False)):
        slot.material = before.get(f"slot{i}")
        slot.link = link
    if not links and obj.material_slots:
        obj.material_slots[0].material = None
        obj.material_slots[0].link = "DATA"
        if obj.data.users == 1 and list(obj.data.materials) == [None]:
            obj.data.materials.clear()  # unlike pop(), takes the object's slot away too
    del obj[BEFORE]
