"""Path-trace the ground truth of `weft bench coupled` with Cycles. Needs the bpy module (pip install "weft[blender]").

    python scripts/render_relighting.py suzanne FILE.obj
    python scripts/render_relighting.py render FOLDER …

The first writes Blender's monkey, subdivided twice, with its UVs. The second renders what `scene.json` of each folder
asks for; pictures that are there already are left alone, so that a run that was stopped goes on where it was.

scene.json: {"samples", "roughness", "renders": [{"folder", "light", "objects": [{"mesh", "matrix"}]}]}, paths relative
to the folder. `light` is an .npy, f4 [H, 2H, 3] linear radiance, row 0 up, the middle column towards +X; `matrix` moves
a mesh in the world. `transforms.json` has the cameras. Out: FOLDER/<folder>/000.png …, sRGB with alpha, by Blender's
"Standard" view transform: no tone curve.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix


def main(arguments: list[str]) -> int:
    match arguments:
        case ["suzanne", file]:
            write_suzanne(Path(file))
        case ["render", first, *more]:
            for folder in (first, *more):
                render_scene(Path(folder).resolve())
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def write_suzanne(path: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_monkey_add()
    bpy.context.object.modifiers.new("Subdivision", "SUBSURF").levels = 2
    bpy.ops.wm.obj_export(filepath=str(path), export_materials=False)


def render_scene(folder: Path) -> None:
    asked = json.loads((folder / "scene.json").read_text())
    cameras = json.loads((folder / "transforms.json").read_text())
    for render in asked["renders"]:
        files = [folder / render["folder"] / f"{i:03d}.png" for i in range(len(cameras["frames"]))]
        if all(file.is_file() for file in files):
            continue
        scene = new_scene(asked)
        light_with(scene, np.load(folder / render["light"]))
        for thing in render["objects"]:
            add_object(folder / thing["mesh"], Matrix(thing["matrix"]), asked["roughness"])
        for file, frame in zip(files, cameras["frames"], strict=True):
            if not file.is_file():
                aim(scene, cameras | frame)
                picture_to(scene, file)
                print(f"rendered {folder.name}/{render['folder']}/{file.name}", flush=True)


def new_scene(asked: dict[str, Any]) -> bpy.types.Scene:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = asked["samples"]
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising = False  # what it paints over is what is measured
    scene.cycles.seed = 0
    scene.render.use_persistent_data = True
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.image_settings.color_depth = "8"
    return scene


def light_with(scene: bpy.types.Scene, radiance: np.ndarray) -> None:
    """Make the map the scene's World; Blender's rows begin at the bottom."""
    height, width = radiance.shape[:2]
    image = bpy.data.images.new("light", width, height, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = radiance[::-1]
    image.pixels.foreach_set(pixels.ravel())
    image.update()
    world = bpy.data.worlds.new("light")
    if bpy.app.version < (5, 0):  # since then every world has nodes
        world.use_nodes = True
    tree = world.node_tree
    assert tree is not None
    nodes, links = tree.nodes, tree.links
    texture = nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    links.new(texture.outputs["Color"], nodes["Background"].inputs["Color"])
    scene.world = world


def add_object(path: Path, matrix: Matrix, roughness: float) -> None:
    """The meshes of an .obj with the picture of their material, smooth, seams of the UVs closed."""
    bpy.ops.wm.obj_import(filepath=str(path))
    for thing in bpy.context.selected_objects:
        thing.matrix_world = matrix @ thing.matrix_world
        bpy.context.view_layer.objects.active = thing
        bpy.ops.object.mode_set(mode="EDIT")
        bpy.ops.mesh.select_all(action="SELECT")
        bpy.ops.mesh.remove_doubles(threshold=1e-6)
        bpy.ops.object.mode_set(mode="OBJECT")
        thing.data.shade_smooth()
        for slot in thing.material_slots:
            shader = slot.material.node_tree.nodes["Principled BSDF"]
            shader.inputs["Roughness"].default_value = roughness
            shader.inputs["Metallic"].default_value = 0.0


def aim(scene: bpy.types.Scene, values: dict[str, Any]) -> None:
    """The camera of a frame. Blender shifts by parts of the longer side, to where the picture moves away from."""
    if scene.camera is None:
        scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        scene.collection.objects.link(scene.camera)
    width, height = int(values["w"]), int(values["h"])
    longer = max(width, height)
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    lens = scene.camera.data
    lens.sensor_fit = "HORIZONTAL" if width >= height else "VERTICAL"
    lens.sensor_width = lens.sensor_height = 36.0
    lens.lens = 36.0 * values["fl_x"] / longer
    lens.shift_x = (width / 2 - values["cx"]) / longer
    lens.shift_y = (values["cy"] - height / 2) / longer
    lens.clip_start, lens.clip_end = 1e-3, 1e4
    scene.camera.matrix_world = Matrix(values["transform_matrix"])


def picture_to(scene: bpy.types.Scene, file: Path) -> None:
    """Render into `file`, which is there only when it is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"partial-{file.name}")
    scene.render.filepath = str(partial)
    bpy.ops.render.render(write_still=True)
    partial.replace(file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
