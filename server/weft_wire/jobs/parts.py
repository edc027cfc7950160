"""What several jobs ask for alike: arrays, ranges and checks, each written once."""

from __future__ import annotations

from typing import Any

from weft_wire.arrays import ArraySpec
from weft_wire.errors import WireError
from weft_wire.parameters import param

__all__ = [
    "CAMERAS",
    "CONTACT_SHEET",
    "EXEMPLAR",
    "MESH",
    "MESH_DIMENSIONS",
    "PICTURE_DIMENSIONS",
    "SPLATS",
    "TURNTABLE",
    "cameras_param",
    "case_param",
    "check_cameras",
    "check_look",
    "check_noise",
    "prompt_param",
    "report_param",
    "seed_param",
    "steps_param",
]

MESH = (
    ArraySpec("mesh.<i>.vertices", "f4", ("V", 3), "positions in the world", required=True),
    ArraySpec("mesh.<i>.faces", "i4", ("F", 3), "triangles, as indices of vertices", required=True, index_of="V"),
)
CAMERAS = (
    ArraySpec("camera.poses", "f4", ("N", 4, 4), "camera to world, +X right, +Y up, looking along -Z"),
    ArraySpec("camera.intrinsics", "f4", ("N", 6), "fx fy cx cy width height, in pixels"),
)
SPLATS = (
    ArraySpec("splats.means", "f4", ("S", 3), "positions", required=True),
    ArraySpec("splats.quaternions", "f4", ("S", 4), "rotations, w x y z, of any length but 0", required=True),
    ArraySpec("splats.log_scales", "f4", ("S", 3), "natural logarithms of the standard deviations", required=True),
    ArraySpec("splats.logits", "f4", ("S",), "opacity before the sigmoid", required=True),
    ArraySpec("splats.dc", "f4", ("S", 3), "the colours so far, as in the result: the report shows them"),
)
EXEMPLAR = ArraySpec("exemplar", "u1", ("H", "W", 3), "reference image, sRGB, row 0 is the top")
CONTACT_SHEET = ArraySpec("contact_sheet", "u1", ("H", "W", 3), "what went in, on the way, and what came out (report)")
TURNTABLE = ArraySpec("turntable", "u1", ("N", "H", "W", 3), "the result, turning (report)")
MESH_DIMENSIONS = {"V": (3, 50_000_000), "F": (1, 50_000_000)}
PICTURE_DIMENSIONS = {"H": (16, 8192), "W": (16, 8192)}


def prompt_param() -> Any:
    return param("", maximum=2000, help="what the surface should look like, in words")


def steps_param() -> Any:
    return param(30, minimum=4, maximum=200, help="denoising steps; more are finer and slower")


def seed_param() -> Any:
    return param(0, minimum=0, maximum=2**31 - 1, help="the same seed gives the same result")


def cameras_param() -> Any:
    return param(
        "automatic", choices=("automatic", "scene", "both"), help="a ring of cameras, those of the scene, or both"
    )


def case_param() -> Any:
    return param(
        "synctweedies", maximum=40, help="how views are tied together: a case of the paper, 0 to 59, or a name"
    )


def report_param() -> Any:
    return param(False, help="measure quality and return contact sheet and turntable")


def check_look(params: Any, names: frozenset[str]) -> None:
    """Raise unless words or a picture say what to paint."""
    if not params.prompt.strip() and "exemplar" not in names:
        raise WireError(
            "invalid_input", "there is neither a prompt nor a reference image", "write a prompt or choose an image"
        )


def check_cameras(params: Any, names: frozenset[str]) -> None:
    """Raise where the scene's cameras are asked for and there are none."""
    if params.cameras != "automatic" and "camera.poses" not in names:
        raise WireError(
            "invalid_camera", f"cameras = {params.cameras} but the scene has no camera", "add a camera or use automatic"
        )


def check_noise(params: Any) -> None:
    """Raise where the least noise of a distillation is above the most."""
    if 0 < params.noise_high < params.noise_low:
        message = f"noise_high = {params.noise_high:g} is below noise_low = {params.noise_low:g}"
        raise WireError("invalid_parameter", message, "exchange them")
