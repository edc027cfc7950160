"""An illusion on a plane that plays it: turned and flipped as the views say; other views fade in."""

from __future__ import annotations

import json
import math
from typing import Any

import bpy

from .errors import SceneError
from .nodes import tree_of
from .operators import WeftOperator
from .tags import JOB, PARAMETERS, tagged
from .tasks import TASKS

__all__ = ["CLASSES", "make_plane"]

HOLD, TURN = 36, 36  # frames: how long a view is held, how long the way to the next takes
# The plane stands upright and faces -Y, as the front view looks at it. Turns of the picture are counter-clockwise.
TURNS = {
    "identity": (0, 0, 0),
    "flip_horizontal": (0, 0, math.pi),
    "flip_vertical": (math.pi, 0, 0),
    "rotate_90": (0, -math.pi / 2, 0),
    "rotate_180": (0, -math.pi, 0),
    "rotate_270": (0, math.pi / 2, 0),
}


def make_plane(image: bpy.types.Image) -> bpy.types.Object:
    """A plane with the illusion `image`, 2 × 2 units, animated from frame 1 through all its views and back."""
    parameters = json.loads(image[PARAMETERS])
    job_id, views = image[JOB], []
    while (picture := tagged(bpy.data.images, job_id, len(views) + 1)) is not None:
        views.append(picture)
    shown = [i for i in (1, 2, 3) if i <= len(views)]
    names = [parameters[f"view_{i}"] for i in shown]
    mesh = bpy.data.meshes.new("Weft Illusion")
    mesh.from_pydata([(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)], [], [(0, 1, 2, 3)])
    layer = mesh.uv_layers.new(name="UVMap")
    for corner, uv in zip(layer.data, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
        corner.uv = uv
    obj = bpy.data.objects.new("Weft Illusion", mesh)
    fades = [(i, picture) for i, (name, picture) in enumerate(zip(names, views, strict=True)) if name not in TURNS]
    material, factors = make_material(image, [picture for _, picture in fades])
    mesh.materials.append(material)
    animate(obj, names, dict(zip((i for i, _ in fades), factors, strict=True)))
    return obj


def make_material(image: bpy.types.Image, fades: list[bpy.types.Image]) -> tuple[bpy.types.Material, list[Any]]:
    """The image as it is, whatever the light, with further images to fade in; and the sockets that do it."""
    material = bpy.data.materials.new(image.name)
    tree = tree_of(material)
    nodes, links = tree.nodes, tree.links
    nodes.clear()
    output, emission = nodes.new("ShaderNodeOutputMaterial"), nodes.new("ShaderNodeEmission")
    links.new(emission.outputs[0], output.inputs["Surface"])
    textures = [nodes.new("ShaderNodeTexImage") for _ in (image, *fades)]
    for texture, picture in zip(textures, (image, *fades), strict=True):
        texture.image = picture
    colour, factors = textures[0].outputs["Color"], []
    for i, texture in enumerate(textures[1:], 1):
        mix = nodes.new("ShaderNodeMixRGB")
        mix.inputs[0].default_value = 0.0
        links.new(colour, mix.inputs[1])
        links.new(texture.outputs["Color"], mix.inputs[2])
        texture.location, mix.location = (200 * i - 320, -300 * i), (200 * i, 0)
        colour = mix.outputs[0]
        factors.append(mix.inputs[0])
    links.new(colour, emission.inputs["Color"])
    textures[0].location = (-320, 0)
    emission.location, output.location = (200 * len(textures), 0), (200 * len(textures) + 200, 0)
    nodes.active = textures[0]
    return material, factors


def animate(obj: bpy.types.Object, names: list[str], factors: dict[int, Any]) -> None:
    """Keyframes: hold every view, go to the next, at last back to the first."""
    for k in range(len(names) + 1):
        i = k % len(names)
        obj.rotation_euler = TURNS.get(names[i], (0, 0, 0))
        for frame in (1 + k * (HOLD + TURN), 1 + k * (HOLD + TURN) + HOLD)[: 1 if k == len(names) else 2]:
            obj.keyframe_insert("rotation_euler", frame=frame)
            for owner, socket in factors.items():
                socket.default_value = float(owner == i)
                socket.keyframe_insert("default_value", frame=frame)


class WEFT_OT_illusion_plane(WeftOperator):
    """Add a plane with the latest illusion, which plays its views: press Space"""

    bl_idname = "weft.illusion_plane"
    bl_label = "Add as Plane"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    def act(self, context: bpy.types.Context) -> None:
        image = TASKS["illusion"].settings_of(context.scene).result
        if image is None or PARAMETERS not in image:
            raise SceneError("no_illusion", "there is no illusion yet", "make one first")
        obj = make_plane(image)
        obj.location = context.scene.cursor.location
        context.collection.objects.link(obj)
        for other in context.selected_objects:
            other.select_set(False)
        obj.select_set(True)
        context.view_layer.objects.active = obj
        space = context.space_data
        if isinstance(space, bpy.types.SpaceView3D) and space.shading.type in ("SOLID", "WIREFRAME"):
            space.shading.type = "MATERIAL"


CLASSES = (WEFT_OT_illusion_plane,)
