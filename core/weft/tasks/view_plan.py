"""Which cameras a job uses: the standard ring, the scene's own, and as many more as coverage asks for.

All share one scale (pixels per world unit), because a pattern must have the same size in every view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weft.geometry.camera import Camera, frame_object, standard_ring
from weft.spaces.mesh_texture import (
    LEAST_COSINE,
    MeshTextureSpace,
    Trust,
    Views,
    build_space,
    rasterize_views,
    sample_views,
)
from weft.spaces.surface import Surface

__all__ = ["pixels_per_unit", "plan_cameras", "plan_views", "space_of", "used_vertices"]

WANTED_COVERAGE = 0.97
PLANNED = 256  # pixels of a view's side up to which directions are tried at full size
MOST_EXTRA = 8
_PROBES = 12_000  # texels that stand for all while directions are chosen
_ENOUGH = 0.7  # a cosine beyond which seeing a texel more squarely is worth nothing
_CANDIDATES = [(float(a), float(e)) for e in (-80, -45, -20, 20, 50, 80) for a in range(0, 360, 45)]
_TRUST = Trust(power=1.0, ramp=4, kept=4)


def plan_views(
    surface: Surface,
    *,
    size: int,
    count: int,
    cameras_from: str,
    scene: Sequence[Camera],
    wanted: np.ndarray | None = None,
) -> MeshTextureSpace:
    """The space of the planned cameras (see `plan_cameras`). Views that show no wanted cell are left out."""
    cameras = plan_cameras(
        surface, size=size, count=count, cameras_from=cameras_from, scene=scene, wanted=wanted
    )  # fmt: skip
    return space_of(surface, cameras, wanted)


def plan_cameras(
    surface: Surface,
    *,
    size: int,
    count: int,
    cameras_from: str,
    scene: Sequence[Camera],
    wanted: np.ndarray | None = None,
) -> list[Camera]:
    """`count` ring cameras ("automatic"), the `scene` ones ("scene"), or both, plus up to eight chosen greedily until
    97 % of the texels are seen. Frames are `size`² pixels. Where only some cells are `wanted`, bool [cells], only those
    count."""
    ring = list(standard_ring(count)) if cameras_from in ("automatic", "both") else []
    points = used_vertices(surface)
    coarse = min(size, PLANNED)
    framed = frame_object(points, [*ring, *_CANDIDATES], coarse)
    taken = scene if cameras_from in ("scene", "both") else ()
    own = [_rescaled(camera, framed[0], surface, coarse) for camera in taken]
    chosen, candidates = [*own, *framed[: len(ring)]], framed[len(ring) :]
    extra = _greedy(surface, _rasterize(surface, chosen), _rasterize(surface, candidates), wanted)
    # The ring and its extras alone often allow a longer lens than all candidates did.
    directions = [*ring, *(_CANDIDATES[i] for i in extra)]
    cameras = frame_object(points, directions, size) if directions else []
    like = cameras[0] if cameras else framed[0].scaled(size / coarse)
    return [*cameras, *(_rescaled(camera, like, surface, size) for camera in taken)]


def space_of(
    surface: Surface, cameras: Sequence[Camera], wanted: np.ndarray | None = None, *, ramp: int = _TRUST.ramp
) -> MeshTextureSpace:
    """The space of these cameras, without those that show no wanted cell. `ramp`: pixels from a silhouette to full
    trust."""
    views = _rasterize(surface, cameras)
    shown = views if wanted is None else _showing(views, surface, wanted)
    return build_space(surface, shown, replace(_TRUST, ramp=ramp), None, wanted)


def _showing(views: Views, surface: Surface, wanted: np.ndarray) -> Views:
    """The views with a pixel on a triangle with `wanted` cells; all of them if there is none."""
    of_interest = np.zeros(len(surface.faces) + 1, bool)  # the last one stands for the background, -1
    of_interest[surface.triangle[wanted]] = True
    shown = of_interest[views.triangle].any((1, 2))
    return _only(views, np.flatnonzero(shown)) if shown.any() else views


def used_vertices(surface: Surface) -> np.ndarray:
    """f4 [N, 3]: vertices that belong to a face."""
    return surface.vertices[np.unique(surface.faces)]


def pixels_per_unit(space: MeshTextureSpace) -> float:
    """Scale of the views where they look at the surface: the median over covered pixels, in pixels per world unit."""
    views = space.views
    shown = zip(views.cameras, views.depth, views.mask, strict=True)
    scales = np.concatenate([_scale(camera, depth[mask]) for camera, depth, mask in shown])
    if not len(scales):  # everything is thinner than a pixel
        middle = _middle(space.surface)[None]
        scales = np.concatenate([_scale(camera, camera.project(middle)[1]) for camera in views.cameras])
    return float(np.median(scales))


def _scale(camera: Camera, depth: np.ndarray) -> np.ndarray:
    """Pixels per world unit at each depth [N] of a camera."""
    return np.full_like(depth, camera.fx) if camera.orthographic else camera.fx / np.maximum(depth, camera.near)


def _rasterize(surface: Surface, cameras: Sequence[Camera]) -> Views:
    return rasterize_views(surface, cameras, jump=0.08 * surface.radius())


def _rescaled(camera: Camera, like: Camera, surface: Surface, size: int) -> Camera:
    """The scene camera's viewpoint and direction in a frame of `size`² pixels at the scale of `like`."""
    middle = _middle(surface)

    def distance(of: Camera) -> float:
        return float((middle - of.center) @ of.forward)

    focal = like.fx / distance(like) * (1 if camera.orthographic else max(distance(camera), camera.near))
    aim = replace(camera, width=size, height=size, fx=focal, fy=focal, cx=size / 2, cy=size / 2)
    at, _ = aim.project(middle[None])
    if not np.isfinite(at).all():
        return aim
    return replace(aim, cx=size - float(at[0, 0]), cy=size - float(at[0, 1]))


def _middle(surface: Surface) -> np.ndarray:
    """f4 [3], of the bounding box."""
    return (surface.vertices.min(0) + surface.vertices.max(0)) / 2


def _greedy(surface: Surface, chosen: Views, candidates: Views, wanted: np.ndarray | None) -> list[int]:
    """Numbers of the candidates to add, best gain first."""
    cells = np.arange(surface.cells) if wanted is None else np.flatnonzero(wanted)
    sample = np.sort(np.random.default_rng(0).permutation(cells)[:_PROBES])
    probes = replace(
        surface, position=surface.position[sample], normal=surface.normal[sample], object=surface.object[sample],
        triangle=surface.triangle[sample],
    )  # fmt: skip
    best = sample_views(probes, chosen, _TRUST).cosine if chosen.cameras else np.zeros(len(sample), np.float32)
    alone = (_only(candidates, np.array([i])) for i in range(len(candidates.cameras)))
    seen = [sample_views(probes, views, _TRUST).cosine for views in alone]
    extra: list[int] = []
    while (best > LEAST_COSINE).mean() < WANTED_COVERAGE + 0.01 and len(extra) < MOST_EXTRA:
        gains = [(np.minimum(cosine, _ENOUGH) - np.minimum(best, _ENOUGH)).clip(0).sum() for cosine in seen]
        if max(gains) < 0.001 * len(sample):
            break
        extra.append(int(np.argmax(gains)))
        best = np.maximum(best, seen[extra[-1]])
    return extra


def _only(views: Views, chosen: np.ndarray) -> Views:
    """The views of these numbers."""
    cameras = tuple(views.cameras[i] for i in chosen)
    return Views(cameras, views.triangle[chosen], views.barycentric[chosen], views.depth[chosen], views.jump)
