"""Light from all around as the wire wants it: linear, 2:1, +Z up, the middle column towards +X, as a World shows it.

light_of(source) → f4 [h, 2h, 3]      of a World, of an image with high dynamic range
"""

from __future__ import annotations

import itertools
import math
from contextlib import ExitStack
from typing import Any

import bpy
import numpy as np

from .errors import SceneError
from .nodes import tree_of
from .rendering import passing, passing_scene, rendered_light, use_engine

__all__ = ["BUILT_IN", "image_light", "light_of", "world_light"]

# The server's own lights, as suggestions; it may know others.
BUILT_IN = ("studio", "overcast", "noon", "sunset", "rim", "moonlight", "candle", "neon")
HEIGHT = 256  # px: cells of 0.7°
LONGEST = 1024  # px of an image's width: a light needs no more
SAMPLES = 16
FAR = 10.0  # metres: anything around the camera
ENCODED = ("sRGB", "Filmic sRGB", "AgX Base sRGB")  # colour spaces of pictures to look at


def light_of(source: bpy.types.World | bpy.types.Image) -> np.ndarray:
    """f4 [h, 2h, 3], linear radiance. Raises SceneError for what is no light."""
    return image_light(source) if isinstance(source, bpy.types.Image) else world_light(source)


def image_light(image: bpy.types.Image) -> np.ndarray:
    """An equirectangular image, as a World with it would shine."""
    width, height = image.size
    if not width * height:
        where = image.filepath_raw or image.name
        raise SceneError("unreadable_image", f"the light '{where}' cannot be read", "choose an .hdr or .exr file")
    if not image.is_float or image.colorspace_settings.name in ENCODED:
        raise SceneError(
            "no_light",
            f"'{image.name}' holds a picture to look at, not light",
            "choose an .hdr or .exr file, whose values go beyond white",
        )
    if width != 2 * height:
        raise SceneError(
            "no_light",
            f"'{image.name}' is {width} × {height} px, which is no full sphere",
            "choose an equirectangular image, twice as wide as high",
        )
    flat = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(flat)
    light = flat.reshape(height, width, 4)[::-1, :, :3]
    factor = -(-width // LONGEST)
    rows = height // factor
    blocks = light[: rows * factor, : 2 * rows * factor].reshape(rows, factor, 2 * rows, factor, 3)
    return checked(blocks.mean(axis=(1, 3)), f"'{image.name}'")


def world_light(world: bpy.types.World, height: int = HEIGHT) -> np.ndarray:
    """What `world` sheds on things, rendered by Cycles: its colour as the camera sees it may be another."""
    with passing_scene(world) as scene, ExitStack() as stack:
        use_engine(scene, "CYCLES")
        settings: Any = scene
        settings.cycles.samples, settings.cycles.use_denoising, settings.cycles.use_adaptive_sampling = (
            SAMPLES, False, False,
        )  # fmt: skip
        settings.cycles.sample_clamp_direct = settings.cycles.sample_clamp_indirect = 0
        cycles: Any = getattr(scene.world, "cycles", None)
        if cycles is not None:
            cycles.sampling_method = "NONE"  # nothing here is lit
        scene.render.resolution_x, scene.render.resolution_y = 2 * height, height
        scene.render.resolution_percentage = 100
        scene.collection.objects.link(window(stack))
        scene.camera = panorama_camera(stack)
        scene.collection.objects.link(scene.camera)
        return checked(rendered_light(scene), f"the World '{world.name}'")


def checked(light: np.ndarray, name: str) -> np.ndarray:
    light = np.ascontiguousarray(np.maximum(light, 0), np.float32)
    if not np.isfinite(light).all():
        raise SceneError("no_light", f"{name} holds values that are no numbers", "clamp the sun, and save it again")
    if not light.any():
        raise SceneError("no_light", f"{name} is black", "choose one that shines")
    return light


def panorama_camera(stack: ExitStack) -> bpy.types.Object:
    """In the origin, looking to +X with +Z upwards, all around."""
    lens: Any = bpy.data.cameras.new("Weft Light")
    camera = bpy.data.objects.new("Weft Light", lens)
    stack.enter_context(passing(camera, lens))
    lens.type, lens.clip_start = "PANO", FAR / 1000
    (lens if hasattr(lens, "panorama_type") else lens.cycles).panorama_type = "EQUIRECTANGULAR"  # Blender 5; before
    camera.rotation_euler = (math.pi / 2, 0, -math.pi / 2)
    return camera


def window(stack: ExitStack) -> bpy.types.Object:
    """A glass box around the camera that bends nothing: behind it no ray is the camera's own, for which many Worlds
    show something else than what they shed."""
    material = bpy.data.materials.new("Weft Light")
    mesh = bpy.data.meshes.new("Weft Light")
    obj = bpy.data.objects.new("Weft Light", mesh)
    stack.enter_context(passing(obj, mesh, material))
    corners = [tuple(FAR * side for side in corner) for corner in itertools.product((-1, 1), repeat=3)]
    mesh.from_pydata(corners, [], [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    mesh.materials.append(material)
    tree = tree_of(material)
    tree.nodes.clear()
    glass, output = tree.nodes.new("ShaderNodeBsdfRefraction"), tree.nodes.new("ShaderNodeOutputMaterial")
    glass.inputs["IOR"].default_value, glass.inputs["Roughness"].default_value = 1, 0
    glass.inputs["Color"].default_value = (1, 1, 1, 1)
    tree.links.new(glass.outputs["BSDF"], output.inputs["Surface"])
    return obj
