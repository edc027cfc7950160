"""Splats in the viewport: a Geometry Nodes modifier that shows points as coloured balls. The mesh stays as it is."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import bpy

from .nodes import tree_of
from .splat_mesh import COLOUR, RADIUS

__all__ = ["MODIFIER", "add_display"]

MODIFIER = "Weft Splats"  # also the names of the node group and of the material


def add_display(obj: bpy.types.Object) -> str:
    """Show the splats of `obj`, unless Geometry Nodes show something of them already; the new modifier's name or ""."""
    if any(modifier.type == "NODES" for modifier in obj.modifiers):
        return ""
    modifier: Any = obj.modifiers.new(MODIFIER, "NODES")
    if modifier.node_group is not None:  # Blender < 3.5 makes one at once
        bpy.data.node_groups.remove(modifier.node_group)
    modifier.node_group = bpy.data.node_groups.get(MODIFIER) or make_group()
    return modifier.name


def make_group() -> Any:
    """Mesh → points of the radius RADIUS → material."""
    tree: Any = bpy.data.node_groups.new(MODIFIER, "GeometryNodeTree")
    if hasattr(tree, "interface"):  # Blender ≥ 4.0
        for side in ("INPUT", "OUTPUT"):
            tree.interface.new_socket("Geometry", in_out=side, socket_type="NodeSocketGeometry")
    else:
        tree.inputs.new("NodeSocketGeometry", "Geometry")
        tree.outputs.new("NodeSocketGeometry", "Geometry")
    kinds = ("NodeGroupInput", "GeometryNodeMeshToPoints", "GeometryNodeSetMaterial", "NodeGroupOutput")
    chain = [tree.nodes.new(kind) for kind in kinds]
    for i, node in enumerate(chain):
        node.location = (200 * i, 0)
    for left, right in pairwise(chain):
        tree.links.new(left.outputs[0], right.inputs[0])
    radius = tree.nodes.new("GeometryNodeInputNamedAttribute")
    radius.data_type = "FLOAT"
    radius.inputs["Name"].default_value = RADIUS
    radius.location = (0, -140)
    output = next(socket for socket in radius.outputs if socket.name == "Attribute" and socket.enabled)
    tree.links.new(output, chain[1].inputs["Radius"])
    chain[2].inputs["Material"].default_value = bpy.data.materials.get(MODIFIER) or make_material()
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
