"""The image texture that a material shows as its colour: the node, the UV map it is read through, what may be wrong.

node_of(material) → node        through Base Color, the active Image Texture node first; else the active node
layer_of(node) → UV layer       "" for the one that is rendered
check_texture(image, owner)     what retexture cannot change is refused in one line
"""

from __future__ import annotations

from typing import Any

import bpy

from .errors import SceneError

__all__ = ["check_texture", "layer_of", "node_of"]


def node_of(material: bpy.types.Material | None) -> Any:
    """The Image Texture node that gives `material` its colour, or None."""
    tree: Any = material.node_tree if material is not None else None
    if tree is None or (bpy.app.version < (5, 0) and material is not None and not material.use_nodes):
        return None
    output = tree.get_output_node("ALL")
    found = upstream(colour_inputs(output.inputs["Surface"])) if output is not None else []
    active = tree.nodes.active
    if active in found or (not found and is_image(active)):
        return active
    return found[0] if found else None


def is_image(node: Any) -> bool:
    return node is not None and node.type == "TEX_IMAGE" and node.image is not None


def colour_inputs(surface: Any) -> list[Any]:
    """The colour sockets of the shaders that reach the socket `surface`, Base Color before all others."""
    sockets, waiting, seen = [], sources(surface), set()
    while waiting:
        node = waiting.pop(0)
        if node.name in seen:
            continue
        seen.add(node.name)
        colours = [socket for socket in node.inputs if socket.type == "RGBA"]
        sockets += sorted(colours, key=lambda socket: socket.name not in ("Base Color", "Color"))[:1]
        waiting += [node for socket in node.inputs if socket.type == "SHADER" for node in sources(socket)]
    return sockets


def upstream(sockets: list[Any]) -> list[Any]:
    """The Image Texture nodes that feed `sockets` through colours, the nearest first."""
    found, seen = [], set()
    waiting = [node for socket in sockets for node in sources(socket)]
    while waiting:
        node = waiting.pop(0)
        if node.name in seen:
            continue
        seen.add(node.name)
        if is_image(node):
            found.append(node)
        waiting += [node for socket in node.inputs if socket.type == "RGBA" for node in sources(socket)]
    return found


def sources(socket: Any) -> list[Any]:
    return [link.from_node for link in socket.links if not link.is_muted]


def layer_of(node: Any, owner: str) -> str:
    """The UV layer that `node` reads its image through; empty for the one that is rendered. Raises SceneError."""
    links = node.inputs["Vector"].links
    while links:
        source, socket = links[0].from_node, links[0].from_socket
        if source.type == "UVMAP":
            return source.uv_map
        if source.type == "TEX_COORD" and socket.name == "UV":
            return ""
        if source.type != "REROUTE" and not (source.type == "MAPPING" and is_identity(source)):
            raise SceneError(
                "not_by_uv",
                f"the image texture of '{owner}' is placed by the node '{source.name}', not by a UV map alone",
                "bake it to a texture of its own first, or use the task Texture",
            )
        links = source.inputs[0].links
    if node.projection != "FLAT":
        raise SceneError(
            "not_by_uv", f"the image texture of '{owner}' is projected as a {node.projection.lower()}", "bake it first"
        )
    return ""


def is_identity(mapping: Any) -> bool:
    values = [list(mapping.inputs[name].default_value) for name in ("Location", "Rotation", "Scale")]
    linked = any(socket.is_linked for socket in list(mapping.inputs)[1:])
    return not linked and values == [[0, 0, 0], [0, 0, 0], [1, 1, 1]]


def check_texture(image: bpy.types.Image, owner: str) -> None:
    """Raise SceneError unless `image` holds bytes in sRGB that can be read."""
    name = f"the texture '{image.name}' of '{owner}'"
    if image.source not in ("FILE", "GENERATED"):
        kind = {"TILED": "UDIM tiles", "SEQUENCE": "an image sequence", "MOVIE": "a movie"}.get(
            image.source, "a render"
        )
        raise SceneError("unfit_texture", f"{name} is {kind}", "use a single image")
    if not image.size[0] * image.size[1]:
        place = image.filepath_raw or image.name
        raise SceneError(
            "missing_texture", f"{name} cannot be read: {place}", "File > External Data > Find Missing Files"
        )
    space = image.colorspace_settings.name
    if image.is_float:
        raise SceneError(
            "unfit_texture",
            f"{name} holds floating-point or 16-bit colours ({space})",
            "save it as PNG with 8 bits in sRGB and use that",
        )
    if space != "sRGB":
        raise SceneError(
            "unfit_texture",
            f"{name} has the colour space {space}, not sRGB",
            "set Color Space to sRGB in the Image Texture node, if it is a colour",
        )
