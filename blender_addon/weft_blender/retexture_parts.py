"""What retexture takes from the scene: images with the surfaces that wear them, and where they may change.

gather(objects)                     the worn images with their faces; what cannot be retextured is refused
add_part(collected, pieces, where)  one image with all its faces as arrays for the wire
add_masks(collected, mask)          the same mask for every part
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np

from .errors import SceneError
from .export import Surface, read_surface
from .images import read_bytes
from .masks import check_white, mask_values
from .slots import former_material
from .task import Collected
from .textures import check_texture, layer_of, node_of
from .uv_check import uv_problem

__all__ = ["Part", "add_masks", "add_part", "gather"]


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
    values = mask_values(mask, "choose an image, press Paint Mask, or set Where to All")
    assert mask is not None
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
    check_white(values, mask.name)
