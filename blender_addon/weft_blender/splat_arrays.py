"""Splats as jobs on scenes send and return them: everything a file says of them, all harmonics included.

What comes back as it was sent is not written, so that it stays bit for bit what it was in the file.
"""

from __future__ import annotations

from collections.abc import Mapping

import bpy
import numpy as np

from .errors import SceneError
from .pixels import to_linear
from .splat_display import add_shapes
from .splat_mesh import HEADER, arrays_of, columns, fill, get, put, recolour, rgb_of, sent, usual_header
from .splat_ply import PlyFile

__all__ = ["fill_with", "harmonics_of", "scene_arrays", "take"]

KINDS = {"quaternions": ("rot_", 4), "log_scales": ("scale_", 3)}  # the attributes behind an array's columns
COUNTS = (0, 9, 24, 45)  # of f_rest: degrees 0 to 3


def scene_arrays(obj: bpy.types.Object) -> dict[str, np.ndarray]:
    """`splats.*` in the frame of the file, with `splats.sh` f4 [S, K, 3]. Raises SceneError for what is no splat."""
    return {**arrays_of(obj), "splats.sh": harmonics_of(obj)}


def harmonics_of(obj: bpy.types.Object) -> np.ndarray:
    """f4 [S, K, 3], f_dc first. Files hold the others channel by channel: all red, all green, all blue."""
    mesh = obj.data
    rest = rest_count(mesh)
    if rest not in COUNTS:
        message = f"'{obj.name}' has {rest} attributes f_rest_0, f_rest_1, …; expected 0, 9, 24 or 45"
        raise SceneError("bad_splats", message, "import the file again")
    names = [f"f_dc_{c}" for c in range(3)], [f"f_rest_{i}" for i in range(rest)]
    dc = columns(mesh, *names[0])[:, None]
    if not rest:
        return finite(obj, dc)
    others = columns(mesh, *names[1]).reshape(len(dc), 3, rest // 3).transpose(0, 2, 1)
    return finite(obj, np.ascontiguousarray(np.concatenate([dc, others], axis=1)))


def finite(obj: bpy.types.Object, harmonics: np.ndarray) -> np.ndarray:
    broken = int((~np.isfinite(harmonics).all(axis=(1, 2))).sum())
    if broken:
        message = f"'{obj.name}' has {broken} colours that are NaN or infinite"
        raise SceneError("bad_splats", message, "delete those points in Edit Mode")
    return harmonics


def rest_count(mesh: bpy.types.Mesh) -> int:
    """How many f_rest_0, f_rest_1, … there are without a gap."""
    count = 0
    while get(mesh, f"f_rest_{count}") is not None:
        count += 1
    return count


def take(mesh: bpy.types.Mesh, arrays: Mapping[str, np.ndarray]) -> None:
    """Change the splats of `mesh` into as many of a result; whatever comes back as it was sent keeps its bits."""
    means, harmonics = np.empty((len(mesh.vertices), 3), np.float32), arrays["splats.sh"]
    mesh.vertices.foreach_get("co", means.ravel())
    moved = not np.array_equal(means, arrays["splats.means"])
    if moved:
        mesh.vertices.foreach_set("co", arrays["splats.means"].ravel())
        mesh.update()
    turned = [
        change(mesh, f"{prefix}{i}", arrays[f"splats.{kind}"][:, i])
        for kind, (prefix, count) in KINDS.items()
        for i in range(count)
    ]
    if change(mesh, "opacity", arrays["splats.logits"]) or any(turned):
        add_shapes(mesh)
    for channel in range(3):
        change(mesh, f"f_dc_{channel}", harmonics[:, 0, channel])
    for i, values in enumerate(rest_of(harmonics, rest_count(mesh))):
        change(mesh, f"f_rest_{i}", values)
    recolour(mesh, to_linear(np.clip(rgb_of(harmonics[:, 0]), 0, 1)))


def change(mesh: bpy.types.Mesh, name: str, values: np.ndarray) -> bool:
    """Store what differs from what was sent of an attribute; whether any does. A new one is not in the old file."""
    former = get(mesh, name)
    if former is None:
        put(mesh, name, values)
        if HEADER in mesh:
            del mesh[HEADER]
        return True
    same = sent(former) == values
    if not same.all():
        put(mesh, name, np.where(same, former, values))
    return not same.all()


def rest_of(harmonics: np.ndarray, least: int) -> np.ndarray:
    """f_rest_0, f_rest_1, … f4 [at least `least`, S] of harmonics [S, K, 3]; 0 beyond their degree."""
    count = 3 * (harmonics.shape[1] - 1)
    rest = np.zeros((3, max(count, least) // 3, len(harmonics)), np.float32)
    rest[:, : count // 3] = harmonics[:, 1:].transpose(2, 1, 0)
    return rest.reshape(-1, len(harmonics))


def fill_with(mesh: bpy.types.Mesh, arrays: Mapping[str, np.ndarray]) -> None:
    """Give an empty mesh the splats of `arrays`, and the file's header that others write."""
    harmonics = arrays["splats.sh"]
    named = {
        **dict(zip("xyz", arrays["splats.means"].T, strict=True)),
        **{f"f_dc_{c}": harmonics[:, 0, c] for c in range(3)},
        **{f"f_rest_{i}": values for i, values in enumerate(rest_of(harmonics, 0))},
        "opacity": arrays["splats.logits"],
        **{f"{p}{i}": arrays[f"splats.{kind}"][:, i] for kind, (p, n) in KINDS.items() for i in range(n)},
    }
    header, fields = usual_header({name: None for name in named if name.startswith("f_rest_")})
    rows = np.zeros(len(harmonics), np.dtype(fields))
    for name, values in named.items():
        rows[name] = values
    fill(mesh, PlyFile(header, rows))
