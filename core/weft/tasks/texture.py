"""Texture meshes from a prompt or a picture: synchronised denoising of views, then of face-on decals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.geometry.camera import Camera
from weft.geometry.mesh import Mesh
from weft.spaces.surface import build_surface
from weft.tasks.brushes import Palette
from weft.tasks.events import Event, Progress, Result
from weft.tasks.network import Network
from weft.tasks.painting import Clock, Painting, check_request, preview_stride
from weft.tasks.report import texture_of
from weft.tasks.unwrapped import with_uvs
from weft.tasks.view_plan import plan_views

__all__ = ["texture", "warm_up"]


def texture(
    meshes: Sequence[Mesh],
    *,
    exemplar: np.ndarray | None,
    cameras: Sequence[Camera],
    prompt: str,
    size: int,
    steps: int,
    seed: int,
    texture_size: int,
    views: int,
    cameras_from: str,
    pattern_scale: float,
    decals: bool,
    report: bool,
    network: Network | None = None,
) -> Iterator[Event]:
    """One texture per mesh. Close the generator to cancel. The last event is the Result: arrays `texture.<i>`
    f4 [T, T, 3] in [0, 1], `mesh.<i>.uv` where UVs were made, with `report` also `contact_sheet` and `turntable`; info
    with what was painted, seconds, coverage and (with `report`) measures of quality.

    meshes: world space, Z up, front towards -Y. exemplar: f4 [H, W, 3] sRGB in [0, 1], instead of a prompt. size:
    pixels of a view's side, rounded up to a multiple of 16; 0: the model's own. views: ring cameras; more are added for
    coverage. pattern_scale: 1 lets the exemplar span 0.6 of a view. network: instead of the embedded denoiser; then
    pattern_scale and decals mean nothing. Raises WeftError before the first event if something is wrong with the input.
    Sets torch to one thread.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = Clock()
    check_request(meshes, cameras, cameras_from)
    palette = Palette(network, prompt=prompt, exemplar=exemplar, steps=steps)
    yield from palette.prepare(clock, size=size, pattern_scale=pattern_scale, decals=decals)
    yield Progress("prepare", 1, 2, "reading UVs")
    with clock.phase("unwrap"):
        ready, made, warnings = with_uvs(meshes, texture_size)
    yield from warnings
    yield Progress("prepare", 2, 2, "placing cameras")
    with clock.phase("cameras"):
        surface = build_surface(ready, texture_size)
        space = plan_views(surface, size=palette.size, count=views, cameras_from=cameras_from, scene=cameras)

    def preview(z: Tensor, index: int) -> np.ndarray:
        return texture_of(surface, z, index, preview_stride(texture_size))

    painting = Painting(surface, space, palette.brush, clock, seed, report, preview)
    yield from painting.run()
    arrays = {f"texture.{i}": texture_of(surface, painting.z, i) for i in range(len(ready))}
    arrays |= {f"mesh.{i}.uv": uv for i, uv in made.items()}
    info: dict[str, Any] = {"material": palette.material}
    yield from painting.finish(info, arrays)
    yield Result(arrays, info)


def warm_up() -> None:
    """Compile or load every kernel, by texturing a tetrahedron small."""
    corners = np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    tile = np.random.default_rng(0).random((64, 64, 3), np.float32)
    events = texture(
        [Mesh("warm-up", corners, faces)], exemplar=tile, cameras=[], prompt="", size=128, steps=16, seed=0,
        texture_size=128, views=4, cameras_from="automatic", pattern_scale=1.0, decals=True, report=False,
    )  # fmt: skip
    for _ in events:
        pass
