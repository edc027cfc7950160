"""A mesh with a texture from a scene of any kind: the surface that its depth renders agree on, painted by its views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from weft.geometry.camera import Camera
from weft.geometry.depth_fusion import fused_depths, largest_parts, surface_of
from weft.geometry.mesh import Mesh
from weft.geometry.unwrap import unwrap
from weft.geometry.view_choice import choose_views
from weft.scenes.frame import SceneFrame
from weft.scenes.scene import Rendering, Scene, TrainingViews
from weft.spaces.surface import build_surface
from weft.spaces.view_geometry import unprojected
from weft.tasks.report import texture_of
from weft.tasks.view_plan import space_of

__all__ = ["scene_mesh"]

_FUSED = 60  # views at most; more say little more of the surface
_CLEAR = 0.1  # opacity below which there is surely nothing
_MOST_FACES = 60_000  # what `geometry.unwrap` makes good charts of, in a few seconds
_OUTLIERS = 1.0  # percent of the points at either end of an axis that do not make the volume longer
_REACH = 1.5  # scene units from 0: what is farther than that is background
_MARGIN = 4  # voxels around the points
_LEAST_PART = 0.05  # of the largest part's area: smaller ones float
_SHARP = 8.0  # exponent of a view's weight: texels take the one that sees them best


def scene_mesh(
    scene: Scene, views: TrainingViews, frame: SceneFrame, *, texture_size: int, voxels: int = 128
) -> dict[str, np.ndarray]:
    """`scene`, trained on `views`, as mesh.0.vertices f4 [V, 3] in the file's world, mesh.0.faces i4 [F, 3], mesh.0.uv
    f4 [F, 3, 2] and texture.0 f4 [T, T, 3] sRGB in [0, 1]. What lies far behind is left out. `voxels`: along
    the volume's longest side; fewer, where that makes too many faces. Raises InvalidInput where the scene has no
    surface."""
    chosen = choose_views(views.cameras, _FUSED)
    cameras = [views.cameras[k] for k in chosen]
    renders = [scene.render(camera) for camera in cameras]
    shape = _shape(np.stack([_known_depth(render) for render in renders]), cameras, voxels)
    shape = replace(shape, vertices=frame.out_of_points(shape.vertices))
    mesh = unwrap(shape, texture_size)
    assert mesh.corner_uv is not None
    pictures = np.stack([_picture(views, k, render) for k, render in zip(chosen, renders, strict=True)])
    surface = build_surface([mesh], texture_size)
    space = space_of(surface, [frame.out_of(camera) for camera in cameras])
    rows = torch.from_numpy(np.ascontiguousarray(pictures, np.float32)).reshape(-1, 3)
    texture = texture_of(surface, space.linear(_SHARP).unproject(rows * 2 - 1), 0)
    return {
        "mesh.0.vertices": mesh.vertices, "mesh.0.faces": mesh.faces, "mesh.0.uv": mesh.corner_uv, "texture.0": texture,
    }  # fmt: skip


def _known_depth(render: Rendering) -> np.ndarray:
    """f4 [H, W], NaN where something half transparent is seen: it may lie anywhere."""
    unsure = np.isinf(render.depth) & (render.opacity > _CLEAR)
    return np.where(unsure, np.float32(np.nan), render.depth)


def _shape(depths: np.ndarray, cameras: list[Camera], across: int) -> Mesh:
    """The mesh that the depths f4 [N, H, W] agree on, in the scene's frame."""
    low, high = _extent(depths, cameras)
    while True:
        voxel = float((high - low).max()) / (across - 1)
        corner = low - _MARGIN * voxel
        counts = np.ceil((high - low) / voxel).astype(int) + 2 * _MARGIN + 1
        distance = fused_depths(depths, cameras, corner, voxel, tuple(counts.tolist()))
        mesh = largest_parts(surface_of(distance, corner, voxel, "scene"), _LEAST_PART)
        if len(mesh.faces) <= _MOST_FACES:
            return mesh
        across = min(across - 1, int(across * (_MOST_FACES / len(mesh.faces)) ** 0.5))


def _extent(depths: np.ndarray, cameras: list[Camera]) -> tuple[np.ndarray, np.ndarray]:
    """Corners [3] of the box around what is seen within the ring of cameras."""
    ends = [
        points[np.isfinite(depth)]
        for points, depth in ((unprojected(c, d), d) for c, d in zip(cameras, depths, strict=True))
    ]
    points = np.concatenate(ends)
    points = points[np.abs(points).max(1) < _REACH]
    if not len(points):
        return np.full(3, -_REACH), np.full(3, _REACH)
    low, high = np.percentile(points, (_OUTLIERS, 100 - _OUTLIERS), axis=0)
    return low, np.maximum(high, low + 1e-3)


def _picture(views: TrainingViews, k: int, render: Rendering) -> np.ndarray:
    """View `k`, as the scene shows it where it says nothing."""
    image = views.images[k]
    if views.masks is None:
        return image
    return np.where(views.masks[k][..., None], image, render.image.clip(0, 1))
