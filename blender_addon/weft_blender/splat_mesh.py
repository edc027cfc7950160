"""Gaussian splats in Blender: a mesh of points that carries the file's properties as attributes, bit for bit.

Blender's own importer (4.0 and newer) makes such meshes too, as do add-ons that build on it. The positions are those
of the file: the object's transform is never applied. A mesh that we have read remembers the file's header.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .errors import SceneError
from .pixels import to_linear
from .splat_ply import NEEDED, PlyFile, parse_header

__all__ = [
    "COLOUR",
    "HEADER",
    "arrays_of",
    "check_splats",
    "columns",
    "file_of",
    "fill",
    "get",
    "paint_splats",
    "put",
    "recolour",
    "rgb_of",
    "sent",
    "usual_header",
]

COLOUR = "weft_color"  # the attribute that the viewport shows
HEADER = "weft_ply"  # on meshes: the header of the file
SH_C0 = 0.28209479177387814  # √(1 / 4π): rgb = 0.5 + SH_C0 · f_dc
LARGEST = (
    80.0  # of logits and log-scales: what lies beyond is 0, 1 or nothing all the same, and infinities are not sent
)
REMEDY = "import the file with File > Import > Gaussian Splats (.ply)"


def fill(mesh: bpy.types.Mesh, file: PlyFile) -> None:
    """Give an empty mesh the points and properties of `file`."""
    rows = file.rows
    mesh.vertices.add(len(rows))
    mesh.vertices.foreach_set("co", positions(rows).ravel())
    for name in rows.dtype.names or ():
        if name not in ("x", "y", "z"):
            put(mesh, name, rows[name])
    mesh[HEADER] = file.header
    mesh.update()
    recolour(mesh, to_linear(np.clip(rgb_of(columns(mesh, "f_dc_0", "f_dc_1", "f_dc_2")), 0, 1)))


def positions(rows: np.ndarray) -> np.ndarray:
    return np.stack([rows[axis] for axis in "xyz"], axis=1).astype(np.float32)


def put(mesh: bpy.types.Mesh, name: str, values: np.ndarray) -> None:
    """Store `values` [N] as an attribute of the points: floats as floats, integers as 32 bits of them."""
    if values.dtype.kind == "f":
        kind, values = "FLOAT", values.astype(np.float32)
    else:
        kind, values = "INT", values.astype(np.int64).astype(np.uint32).view(np.int32)
    attribute = mesh.attributes.get(name) or mesh.attributes.new(name, kind, "POINT")
    attribute.data.foreach_set("value", np.ascontiguousarray(values))


def get(mesh: bpy.types.Mesh, name: str) -> np.ndarray | None:
    """The values of a number attribute of the points: f4 or i4 [N]; None if there is none."""
    attribute = mesh.attributes.get(name)
    if attribute is None or attribute.domain != "POINT" or attribute.data_type not in ("FLOAT", "INT"):
        return None
    values = np.empty(len(mesh.vertices), np.float32 if attribute.data_type == "FLOAT" else np.int32)
    attribute.data.foreach_get("value", values)
    return values


def columns(mesh: bpy.types.Mesh, *names: str) -> np.ndarray:
    """f4 [N, len(names)] of attributes that are there."""
    found = [get(mesh, name) for name in names]
    return np.stack([values for values in found if values is not None], axis=1)


def check_splats(obj: bpy.types.Object) -> None:
    """Raise SceneError unless `obj` is a mesh of points that carries what splats need."""
    if obj.type != "MESH":
        kind = obj.type.lower().replace("_", " ")
        raise SceneError("no_splats", f"'{obj.name}' is a {kind}, expected Gaussian splats", REMEDY)
    if obj.library is not None or obj.data.library is not None:
        raise SceneError(
            "linked_object", f"'{obj.name}' is linked from another file", "Object > Relations > Make Local"
        )
    if obj.mode == "EDIT":
        obj.update_from_editmode()
    mesh = obj.data
    if len(mesh.polygons):
        raise SceneError("no_splats", f"'{obj.name}' has {len(mesh.polygons)} faces, expected Gaussian splats", REMEDY)
    missing = [name for name in NEEDED[3:] if get(mesh, name) is None]
    if missing:
        raise SceneError("no_splats", f"'{obj.name}' holds no Gaussian splats: {', '.join(missing)} missing", REMEDY)
    if not len(mesh.vertices):
        raise SceneError("no_splats", f"'{obj.name}' holds 0 splats", REMEDY)


def arrays_of(obj: bpy.types.Object) -> dict[str, np.ndarray]:
    """`splats.*` as the wire wants them, in the frame of the file. Raises SceneError for what is NaN or no rotation."""
    mesh = obj.data
    means = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", means.ravel())
    quaternions = columns(mesh, *(f"rot_{i}" for i in range(4)))
    scales, logits = columns(mesh, *(f"scale_{i}" for i in range(3))), columns(mesh, "opacity")[:, 0]
    for what, broken in (
        ("positions at NaN or infinity", ~np.isfinite(means).all(axis=1)),
        ("rotations that are NaN or of length 0", ~(np.isfinite(quaternions).all(axis=1) & quaternions.any(axis=1))),
        ("sizes or opacities that are NaN", np.isnan(scales).any(axis=1) | np.isnan(logits)),
    ):
        if broken.any():
            count = int(broken.sum())
            raise SceneError("bad_splats", f"'{obj.name}' has {count} {what}", "delete those points in Edit Mode")
    return {
        "splats.means": means,
        "splats.quaternions": quaternions,
        "splats.log_scales": sent(scales),
        "splats.logits": sent(logits),
    }


def sent(values: np.ndarray) -> np.ndarray:
    """Logits and log-scales as they are sent."""
    return np.clip(values, -LARGEST, LARGEST)


def rgb_of(dc: np.ndarray) -> np.ndarray:
    """sRGB f4 [N, 3] of the harmonics of degree 0, not clamped."""
    return (0.5 + SH_C0 * dc.astype(np.float64)).astype(np.float32)


def paint_splats(mesh: bpy.types.Mesh, dc: np.ndarray) -> None:
    """Store new harmonics of degree 0, f4 [N, 3]; higher ones become 0."""
    for channel in range(3):
        put(mesh, f"f_dc_{channel}", dc[:, channel])
    nothing = np.zeros(len(dc), np.float32)
    for name in [attribute.name for attribute in mesh.attributes if attribute.name.startswith("f_rest_")]:
        put(mesh, name, nothing)


def recolour(mesh: bpy.types.Mesh, linear: np.ndarray) -> None:
    """Show the colours f4 [N or more, 3], in linear light, in the viewport."""
    count = len(mesh.vertices)
    attribute = mesh.attributes.get(COLOUR)
    if attribute is None:
        attribute = mesh.attributes.new(COLOUR, "FLOAT_COLOR", "POINT")
    rgba = np.ones((count, 4), np.float32)
    rgba[:, :3] = linear[:count]
    attribute.data.foreach_set("color", rgba.ravel())
    mesh.update_tag()


def file_of(mesh: bpy.types.Mesh) -> PlyFile:
    """The splats as a file: the header that they came with, or the usual one and every other number after it."""
    names = {a.name: a for a in mesh.attributes if a.domain == "POINT" and a.data_type in ("FLOAT", "INT")}
    header, fields = str(mesh.get(HEADER, "")), []
    if header:
        order, _, fields = parse_header(
            [line.split() for line in header.replace("{count}", "1").splitlines()], mesh.name
        )
        fields = [(name, order + kind) for name, kind in fields]
    if not header or any(name not in names for name, _ in fields if name not in ("x", "y", "z")):
        header, fields = usual_header(names)
    rows = np.zeros(len(mesh.vertices), np.dtype(fields))
    means = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", means.ravel())
    for axis, values in zip("xyz", means.T, strict=True):
        rows[axis] = values
    for name, kind in fields:
        values = get(mesh, name)
        if values is not None:
            rows[name] = values if kind[1] == "f" else values.view(np.uint32).astype(kind)
    put_normals(mesh, rows)
    return PlyFile(header, rows)


def usual_header(names: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """The order in which such files come, for meshes of another importer."""
    rest = sorted((name for name in names if name.startswith("f_rest_")), key=lambda name: int(name[7:]))
    usual = ["x", "y", "z", "nx", "ny", "nz", *NEEDED[3:6], *rest, *NEEDED[6:]]
    others = [n for n in names if n not in usual and not n.startswith((".", "weft_"))]
    kinds = {name: "int" if names[name].data_type == "INT" else "float" for name in others}
    lines = [f"property {kinds.get(name, 'float')} {name}\n" for name in (*usual, *others)]
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {{count}}\n{''.join(lines)}end_header\n"
    return header, [(name, "<i4" if kinds.get(name) == "int" else "<f4") for name in (*usual, *others)]


def put_normals(mesh: bpy.types.Mesh, rows: np.ndarray) -> None:
    """Blender's importer keeps nx, ny, nz as one vector."""
    attribute: Any = mesh.attributes.get("normal")
    if "nx" not in (rows.dtype.names or ()) or "nx" in mesh.attributes or attribute is None:
        return
    if attribute.domain == "POINT" and attribute.data_type == "FLOAT_VECTOR":
        normals = np.empty((len(rows), 3), np.float32)
        attribute.data.foreach_get("vector", normals.ravel())
        for axis, values in zip(("nx", "ny", "nz"), normals.T, strict=True):
            rows[axis] = values
