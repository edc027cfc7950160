"""A scene for every task, small, with settings that fit, and what can be compared of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from weft_wire.jobs import (
    EditPanoramaParams,
    EditSceneParams,
    EditVideoParams,
    FitParams,
    IllusionParams,
    MoveParams,
    PanoramaParams,
    RelightParams,
    RetextureParams,
    SplatTextureParams,
    StylizeParams,
    TextureParams,
)

__all__ = ["NAMES", "content", "looks", "make_scene", "params_for"]

VIEWS = ("relight", "stylize", "move")
EDITS = ("edit_panorama", "edit_video", "fit", "edit_scene")
NAMES = ("texture", "retexture", "panorama", "illusion", "splat_texture", *VIEWS, *EDITS)
SPLATS = ("opacity", *(f"{kind}_{i}" for kind, n in (("f_dc", 3), ("scale", 3), ("rot", 4)) for i in range(n)))


def make_scene(bpy: Any, task: str) -> tuple[Any, dict[str, Any]]:
    """(the object that is worked on, what the task's `collect` takes)."""
    from weft_blender.nodes import tree_of

    if task in ("splat_texture", "edit_scene"):
        mesh = bpy.data.meshes.new("Splats")
        mesh.from_pydata(np.random.default_rng(0).random((1500, 3)).tolist(), [], [])
        for name in SPLATS:
            mesh.attributes.new(name, "FLOAT", "POINT").data.foreach_set("value", np.full(1500, 0.5, np.float32))
        obj = bpy.data.objects.new("Splats", mesh)
        bpy.context.collection.objects.link(obj)
    else:
        bpy.ops.mesh.primitive_cube_add()
        obj = bpy.context.object
        material = bpy.data.materials.new("Before")
        tree = tree_of(material)
        node = tree.nodes.new("ShaderNodeTexImage")
        node.image = bpy.data.images.new("Photo", 64, 64)
        surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
        tree.links.new(node.outputs["Color"], surface.inputs["Base Color"])
        obj.data.materials.append(material)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("Before")
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    sources: dict[str, Any] = {"panorama": {"as_world": True}, "illusion": {}}.get(task, {"objects": [obj]})
    if task == "relight":
        sources["light"] = bpy.data.images.new("Light", 8, 4, float_buffer=True)
        sources["light"].pixels.foreach_set(np.ones(8 * 4 * 4, np.float32))
        sources["light"].pack()  # or what it holds would not be saved
        sources["light"].use_fake_user = True
    elif task == "move":
        sources["translate"] = (1, 0, 0)
    elif task in ("edit_panorama", "edit_video", "fit"):
        sources = {"edit_panorama": {"image": bpy.data.images["Photo"]}, "fit": {}, "edit_video": {}}[task]
        if task == "fit":
            add_photographs(bpy)
        elif task == "edit_video":
            sources["source"] = image_sequence(bpy)
    return obj, sources


def add_photographs(bpy: Any) -> None:
    """Two cameras that show the image Photo."""
    for place in (1, 2):
        camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        camera.location.x = place
        camera.data.background_images.new().image = bpy.data.images["Photo"]
        bpy.context.scene.collection.objects.link(camera)


def image_sequence(bpy: Any) -> Any:
    """Three frames, as a movie clip, of which images tell nothing."""
    from weft_blender.pixels import encode_png

    folder = Path(tempfile.mkdtemp())
    for number in range(1, 4):
        (folder / f"frame_{number}.png").write_bytes(encode_png(np.full((32, 40, 3), 60 * number, np.uint8)))
    return bpy.data.movieclips.load(str(folder / "frame_1.png"))


def params_for(task: str, prompt: str, steps: int = 4) -> Any:
    match task:
        case "texture":
            return TextureParams(prompt=prompt, steps=steps, texture_size=128)
        case "retexture":
            return RetextureParams(prompt=prompt, steps=steps)
        case "panorama":
            return PanoramaParams(prompt=prompt, steps=steps, width=256)
        case "illusion":
            return IllusionParams(prompt_1=prompt, prompt_2="a duck", steps=steps, size=64)
        case "relight":
            return RelightParams(prompt=prompt, steps=steps, size=64, views=2)
        case "stylize":
            return StylizeParams(prompt=prompt, steps=steps, size=64, views=2)
        case "move":
            return MoveParams(prompt=prompt, steps=steps, size=64, views=2, object="Cube")
        case "edit_panorama":
            return EditPanoramaParams(prompt=prompt, iterations=steps)
        case "edit_video":
            return EditVideoParams(prompt=prompt, iterations=steps)
        case "fit":
            return FitParams(steps=steps)
        case "edit_scene":
            return EditSceneParams(prompt=prompt, iterations=steps)
    return SplatTextureParams(prompt=prompt, steps=steps)


def looks(bpy: Any) -> dict[str, Any]:
    """Everything that a job may cover or add."""
    data = bpy.data
    return {
        "objects": {
            obj.name: (
                obj.data.name if obj.data else "",
                [(slot.link, slot.material and slot.material.name) for slot in obj.material_slots],
                [modifier.name for modifier in obj.modifiers],
            )
            for obj in data.objects
        },
        "world": bpy.context.scene.world and bpy.context.scene.world.name,
        **{kind: sorted(getattr(data, kind).keys()) for kind in ("images", "materials", "meshes", "worlds")},
    }


def content(bpy: Any) -> dict[str, bytes]:
    """Bytes of all images and attributes of numbers."""
    found = {}
    for image in bpy.data.images:
        found[image.name] = np.array(image.pixels, np.float32).tobytes()
    for mesh in bpy.data.meshes:
        for attribute in mesh.attributes:
            if attribute.data_type == "FLOAT":
                values = np.empty(len(attribute.data), np.float32)
                attribute.data.foreach_get("value", values)
                found[f"{mesh.name}.{attribute.name}"] = values.tobytes()
    return found
