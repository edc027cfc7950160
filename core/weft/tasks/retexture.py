"""Change the textures that meshes have: SDEdit in texture space, whole or inside a mask or selected faces.

Meng et al. 2022, *SDEdit*: what is there is noised to a part of the schedule (`strength`, t') and denoised from there,
synchronously as in `weft.tasks.texture`. What is outside the mask is held at every step, so that the new matter fits
what surrounds it, and goes back exactly as it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from weft.errors import InvalidImage, InvalidInput, InvalidMesh
from weft.geometry.camera import Camera
from weft.geometry.mesh import Mesh
from weft.geometry.uv import uv_problems
from weft.tasks.brushes import Palette
from weft.tasks.canvas import build_canvas
from weft.tasks.edit import Edit, noise_ratio
from weft.tasks.events import Event, Progress, Result, Warning
from weft.tasks.network import Network
from weft.tasks.painting import Clock, Painting, check_request
from weft.tasks.view_plan import plan_views

__all__ = ["retexture"]


def retexture(
    meshes: Sequence[Mesh],
    *,
    textures: Sequence[np.ndarray],
    masks: Sequence[np.ndarray | None],
    selections: Sequence[np.ndarray | None],
    exemplar: np.ndarray | None,
    cameras: Sequence[Camera],
    prompt: str,
    strength: float,
    size: int,
    steps: int,
    seed: int,
    views: int,
    cameras_from: str,
    pattern_scale: float,
    decals: bool,
    report: bool,
    network: Network | None = None,
) -> Iterator[Event]:
    """Repaint textures. Close the generator to cancel. The last event is the Result: arrays `texture.<i>` f4 [H, W, 3]
    as large as given, with `report` also `contact_sheet` and `turntable`; info as that of `texture`, with `kept`, the
    fraction of texels that could not change.

    meshes: as in `texture`, with UVs. textures: f4 [H, W, 3] sRGB in [0, 1], one a mesh. masks: f4 or bool [H, W],
    above 0 may change; selections: bool [F]. Where both are given a texel must be in both; without either, all that
    the UVs cover may change. Other texels are in the result bit by bit. strength: t' in (0, 1]; 1 keeps nothing where
    it repaints, low values keep the layout down to smaller and smaller shapes; a network that edits looks at what is
    there instead, and begins from noise. The rest: as in `texture`. Raises WeftError before the first event if
    something is wrong with the input. Sets torch to one thread.
    """
    torch.set_num_threads(1)  # as in `texture`
    clock = Clock()
    check_request(meshes, cameras, cameras_from)
    _check_strength(strength)
    _check_textures(meshes, textures, masks, selections)
    palette = Palette(network, prompt=prompt, exemplar=exemplar, steps=steps)
    yield from palette.prepare(clock, size=size, pattern_scale=pattern_scale, decals=decals, strength=strength)
    with clock.phase("texels"):
        warnings = _uv_warnings(meshes)
        canvas = build_canvas(meshes, textures, masks, selections)
        edit = Edit(canvas.z(), canvas.cells(), noise_ratio(strength))
    if not edit.cells.any():
        raise InvalidInput("the mask and the selection leave nothing to repaint", "paint or select some of the surface")
    yield from warnings
    yield Progress("prepare", 1, 1, "placing cameras")
    with clock.phase("cameras"):
        space = plan_views(
            canvas.surface, size=palette.size, count=views, cameras_from=cameras_from, scene=cameras, wanted=edit.cells
        )

    painting = Painting(canvas.surface, space, palette.brush, clock, seed, report, canvas.preview, edit)
    yield from painting.run()
    arrays = {f"texture.{i}": canvas.image(painting.z, i) for i in range(len(meshes))}
    info: dict[str, Any] = {"material": palette.material, "strength": strength, "kept": round(canvas.kept(), 4)}
    yield from painting.finish(info, arrays)
    yield Result(arrays, info)


def _check_strength(strength: float) -> None:
    if not 0 < strength <= 1:
        raise InvalidInput(
            f"strength {strength:g} is outside 0 to 1", "small values keep the old layout, 1 keeps nothing"
        )


def _check_textures(
    meshes: Sequence[Mesh],
    textures: Sequence[np.ndarray],
    masks: Sequence[np.ndarray | None],
    selections: Sequence[np.ndarray | None],
) -> None:
    for given, what in ((textures, "textures"), (masks, "masks"), (selections, "selections")):
        if len(given) != len(meshes):
            raise InvalidInput(f"{len(given)} {what} for {len(meshes)} meshes", f"give as many {what} as meshes")
    for mesh, texture, mask, selection in zip(meshes, textures, masks, selections, strict=True):
        _check_texture(mesh.name, texture)
        if mask is not None and mask.shape != texture.shape[:2]:
            raise InvalidImage(
                f"the mask of {mesh.name!r} has shape {_sized(mask)}, its texture {_sized(texture)}",
                "paint the mask at the texture's size",
            )
        if selection is not None and (selection.dtype != bool or selection.shape != (len(mesh.faces),)):
            raise InvalidInput(
                f"the selection of {mesh.name!r} is {selection.dtype} {_sized(selection)}, not bool {len(mesh.faces)}",
                f"give one bool for each of its {len(mesh.faces)} faces",
            )
        if mesh.corner_uv is None:
            raise InvalidMesh(f"{mesh.name!r} has no UVs, so its texture has no place", "give it UVs or use `texture`")
        broken = int((~np.isfinite(mesh.corner_uv)).any((1, 2)).sum())
        if broken:
            raise InvalidMesh(f"{mesh.name!r} has {broken} faces with UVs at NaN or infinity", "unwrap these faces")


def _check_texture(name: str, texture: np.ndarray | None) -> None:
    if texture is None:
        raise InvalidImage(f"{name!r} comes without a texture", "there must be one to change; or use `texture`")
    if texture.ndim != 3 or texture.shape[2] != 3 or not texture.size or texture.dtype != np.float32:
        raise InvalidImage(
            f"the texture of {name!r} is {texture.dtype} {_sized(texture)}, expected float32 [height, width, 3]",
            "convert it to RGB",
        )
    if not (texture.min() >= 0 and texture.max() <= 1):  # false for NaN too
        raise InvalidImage(
            f"the texture of {name!r} holds NaN or values outside 0 to 1", "convert it to sRGB with 8 bits a channel"
        )


def _sized(array: np.ndarray) -> str:
    return " x ".join(map(str, array.shape))


def _uv_warnings(meshes: Sequence[Mesh]) -> list[Warning]:
    """UVs that make a texture of less use than it could be. They are kept: another layout would not fit the texture."""
    problems = [(mesh.name, uv_problems(mesh)) for mesh in meshes]
    return [
        Warning(f"{name!r}: {problem}", "what shares a texel is repainted together; unwrap it to tell such parts apart")
        for name, problem in problems
        if problem is not None
    ]
