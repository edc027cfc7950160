"""What jobs on scenes have in common: radiance fields as arrays, and what comes back of them."""

from __future__ import annotations

from weft_wire.arrays import ArraySpec
from weft_wire.errors import WireError
from weft_wire.jobs import parts

__all__ = ["DIMENSIONS", "KINDS", "RESULTS", "SCENE", "TOGETHER", "VIEWS", "check_scene"]

KINDS = ("splats", "voxels", "tensorf")
# A scene is given as a scene file, which training goes on from, or as splats, in the frame of their file.
SCENE = (
    ArraySpec("scene", "u1", ("B",), "a scene file of Weft, as `fit` returns it: of any kind, with its frame"),
    *(ArraySpec(spec.name, spec.dtype, spec.shape, spec.help) for spec in parts.SPLATS if spec.name != "splats.dc"),
    ArraySpec("splats.sh", "f4", ("S", "K", 3), "spherical harmonics, f_dc first; K = 1, 4, 9 or 16"),
)
VIEWS = (
    ArraySpec("view.images", "u1", ("N", "height", "width", 3), "pictures of the scene, sRGB, row 0 is the top"),
    ArraySpec("view.masks", "u1", ("N", "height", "width"), "what of them counts, above 0; everything when absent"),
    *parts.CAMERAS,
)
RESULTS = (
    ArraySpec("scene", "u1", ("B",), "the scene as a file of Weft: `fit`, `render` and `edit_scene` take it"),
    *(ArraySpec(spec.name, spec.dtype, spec.shape, spec.help) for spec in parts.SPLATS if spec.name != "splats.dc"),
    ArraySpec("splats.sh", "f4", ("S", "K", 3), "spherical harmonics, f_dc first"),
    ArraySpec("mesh.<i>.vertices", "f4", ("V", 3), "the surface, in the world (if asked for)"),
    ArraySpec("mesh.<i>.faces", "i4", ("F", 3), "its triangles"),
    ArraySpec("mesh.<i>.uv", "f4", ("F", 3, 2), "texture coordinates of the corners"),
    ArraySpec("texture.<i>", "u1", ("H", "W", 3), "its texture, sRGB, row 0 is v = 1"),
    ArraySpec("view.images", "u1", ("N", "height", "width", 3), "renders of the held-out views, or of those edited"),
    ArraySpec("camera.poses", "f4", ("N", 4, 4), "of these"),
    ArraySpec("camera.intrinsics", "f4", ("N", 6), "fx fy cx cy width height, in pixels"),
    parts.CONTACT_SHEET,
    parts.TURNTABLE,
)
DIMENSIONS = {
    **parts.MESH_DIMENSIONS, **parts.PICTURE_DIMENSIONS, "N": (1, 1000), "height": (16, 2048), "width": (16, 2048),
    "S": (1, 5_000_000), "K": (1, 16), "B": (1, 2**31), "P": (1, 10_000_000),
}  # fmt: skip
TOGETHER = (
    ("camera.poses", "camera.intrinsics"),
    ("splats.means", "splats.quaternions", "splats.log_scales", "splats.logits", "splats.sh"),
)


def check_scene(names: frozenset[str]) -> None:
    """Raise unless there is one scene."""
    if ("scene" in names) == ("splats.means" in names):
        found = "both a scene file and splats" if "scene" in names else "neither a scene file nor splats"
        raise WireError("invalid_input", f"there are {found}", "send one of them")
