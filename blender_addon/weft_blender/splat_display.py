"""Splats in the viewport: a Geometry Nodes modifier that shows each one as a small coloured disk in its own plane.

The modifier reads two attributes that are added to the mesh: how the disk is turned and how large it is. (Points alone
would be cheaper, but Blender 3.4 draws none of them in Material Preview, and paints none in Solid shading.)
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import bpy
import numpy as np

from .nodes import tree_of
from .splat_mesh import COLOUR, columns

__all__ = ["MODIFIER", "add_display", "add_shapes", "euler_angles"]

MODIFIER = "Weft Splats"  # also the names of the node group and of the material
ROTATION, SIZE = "weft_rotation", "weft_size"  # attributes: Euler angles XYZ, extent along the turned axes
EXTENT = 1.5  # standard deviations from the middle of an opaque disk to its rim
FAINTEST = 0.05  # opacity below which a splat is not shown
SIDES = 6  # of a disk


def add_display(obj: bpy.types.Object) -> str:
    """Show the splats of `obj`, unless Geometry Nodes show something of them already; the new modifier's name or ""."""
    if any(modifier.type == "NODES" for modifier in obj.modifiers):
        return ""
    add_shapes(obj.data)
    modifier: Any = obj.modifiers.new(MODIFIER, "NODES")
    if modifier.node_group is not None:  # Blender < 3.5 makes one at once
        bpy.data.node_groups.remove(modifier.node_group)
    modifier.node_group = bpy.data.node_groups.get(MODIFIER) or make_group()
    return modifier.name


def ensure_shapes(mesh: bpy.types.Mesh) -> None:
    """As `add_shapes`, unless the mesh has them."""
    if ROTATION not in mesh.attributes:
        add_shapes(mesh)


def add_shapes(mesh: bpy.types.Mesh) -> None:
    """Store what the disks look like. The fainter a splat, the smaller."""
    quaternions = columns(mesh, *(f"rot_{i}" for i in range(4))).astype(np.float64)
    deviations = np.exp(np.clip(columns(mesh, *(f"scale_{i}" for i in range(3))), -80, 80)).astype(np.float64)
    opacity = 1 / (1 + np.exp(-np.clip(columns(mesh, "opacity"), -80, 80).astype(np.float64)))
    order = np.argsort(-deviations, axis=1)
    size = np.take_along_axis(deviations, order, axis=1) * EXTENT * np.sqrt(opacity) * (opacity > FAINTEST)
    for name, values in ((ROTATION, euler_angles(quaternions, order)), (SIZE, size)):
        attribute = mesh.attributes.get(name) or mesh.attributes.new(name, "FLOAT_VECTOR", "POINT")
        attribute.data.foreach_set("vector", np.nan_to_num(values.astype(np.float32)).ravel())


def euler_angles(quaternions: np.ndarray, order: np.ndarray) -> np.ndarray:
    """f8 [N, 3], angles about X, then Y, then Z, of right-handed frames: the first two axes are the columns `order`
    [N, 3] names of the rotations `quaternions` [N, 4] (w x y z, of any length)."""
    length = np.linalg.norm(quaternions, axis=1, keepdims=True)
    w, x, y, z = (quaternions / np.where(length > 0, length, 1)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrices = np.moveaxis(np.array(rows), -1, 0)
    a, b = (np.take_along_axis(matrices, order[:, None, i : i + 1], axis=2)[..., 0] for i in range(2))
    c = np.cross(a, b)
    return np.stack(
        [np.arctan2(b[:, 2], c[:, 2]), -np.arcsin(np.clip(a[:, 2], -1, 1)), np.arctan2(a[:, 1], a[:, 0])], axis=1
    )


def make_group() -> Any:
    """Mesh → a disk on every point, as the attributes say → one mesh → material."""
    tree: Any = bpy.data.node_groups.new(MODIFIER, "GeometryNodeTree")
    if hasattr(tree, "interface"):  # Blender ≥ 4.0
        for side in ("INPUT", "OUTPUT"):
            tree.interface.new_socket("Geometry", in_out=side, socket_type="NodeSocketGeometry")
    else:
        tree.inputs.new("NodeSocketGeometry", "Geometry")
        tree.outputs.new("NodeSocketGeometry", "Geometry")
    kinds = (
        "NodeGroupInput",
        "GeometryNodeInstanceOnPoints",
        "GeometryNodeRealizeInstances",
        "GeometryNodeSetMaterial",
        "NodeGroupOutput",
    )
    chain = [tree.nodes.new(kind) for kind in kinds]
    for i, node in enumerate(chain):
        node.location = (200 * i, 0)
    for left, right in pairwise(chain):
        tree.links.new(left.outputs[0], right.inputs[0])
    disk = tree.nodes.new("GeometryNodeMeshCircle")
    disk.fill_type = "NGON"
    disk.inputs["Vertices"].default_value, disk.inputs["Radius"].default_value = SIDES, 1.0
    disk.location = (0, -120)
    tree.links.new(disk.outputs["Mesh"], chain[1].inputs["Instance"])
    for i, (name, socket) in enumerate(((ROTATION, "Rotation"), (SIZE, "Scale"))):
        values = tree.nodes.new("GeometryNodeInputNamedAttribute")
        values.data_type = "FLOAT_VECTOR"
        values.inputs["Name"].default_value = name
        values.location = (0, -300 - 150 * i)
        output = next(output for output in values.outputs if output.name == "Attribute" and output.enabled)
        tree.links.new(output, chain[1].inputs[socket])
    chain[3].inputs["Material"].default_value = bpy.data.materials.get(MODIFIER) or make_material()
    return tree


def make_material() -> bpy.types.Material:
    """The colours as they are, whatever the light."""
    material = bpy.data.materials.new(MODIFIER)
    nodes, links = tree_of(material).nodes, tree_of(material).links
    nodes.clear()
    colour, emission, output = (
        nodes.new(kind) for kind in ("ShaderNodeAttribute", "ShaderNodeEmission", "ShaderNodeOutputMaterial")
    )
    colour.attribute_name = COLOUR
    for i, node in enumerate((colour, emission, output)):
        node.location = (200 * i, 0)
    links.new(colour.outputs["Color"], emission.inputs["Color"])
    links.new(emission.outputs[0], output.inputs["Surface"])
    return material
