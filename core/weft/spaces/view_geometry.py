"""What views show, as far as it is known: where each pixel's surface lies, which way it faces, and which pixels of
other views show the same place. Meshes, splats and depth maps come down to this one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.spaces.linear import LinearSpace
from weft.spaces.mesh_texture import MeshTextureSpace
from weft.spaces.surface import agreeing_normals

__all__ = ["ViewGeometry", "of_mesh", "unprojected"]


@dataclass(frozen=True, eq=False)
class ViewGeometry:
    """N views of H x W pixels, world frame. `space(exponent)` ties them: cells are texels, splats or points; views
    count (weight / best weight)^exponent in a cell, so that high exponents let each cell belong to one view."""

    kind: str  # "mesh", "splats" or "depth"
    cameras: tuple[Camera, ...]
    depth: np.ndarray  # f4 [N, H, W] along the viewing axis, world units; infinite where nothing is known
    normal: np.ndarray  # f4 [N, H, W, 3], unit, of the side that is seen; 0 where depth is infinite
    space: Callable[[float], LinearSpace]
    cell_position: np.ndarray  # f4 [cells, 3]
    cell_normal: np.ndarray  # f4 [cells, 3], unit

    def __post_init__(self) -> None:
        views, height, width = self.depth.shape
        sizes = {(camera.height, camera.width) for camera in self.cameras}
        if len(self.cameras) != views or sizes != {(height, width)}:
            raise InvalidInput(
                f"{len(self.cameras)} cameras of {sorted(sizes)} px for depth maps of {list(self.depth.shape)}",
                "give one camera a view, all of one size",
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """N, H, W."""
        return self.depth.shape  # type: ignore[return-value]

    @cached_property
    def mask(self) -> np.ndarray:
        """bool [N, H, W]: pixels whose surface is known."""
        return np.isfinite(self.depth)

    @cached_property
    def position(self) -> np.ndarray:
        """f4 [N, H, W, 3], world; 0 where nothing is known."""
        return np.stack([unprojected(c, d) for c, d in zip(self.cameras, self.depth, strict=True)])

    @cached_property
    def facing(self) -> np.ndarray:
        """f4 [N, H, W] in [0, 1], cosine of the view angle; 0 where nothing is known."""
        cosines = [
            (camera.toward(at.reshape(-1, 3)) * normal.reshape(-1, 3)).sum(1)
            for camera, at, normal in zip(self.cameras, self.position, self.normal, strict=True)
        ]
        return np.where(self.mask, np.stack(cosines).reshape(self.shape).clip(0, 1), 0).astype(np.float32)


def unprojected(camera: Camera, depth: np.ndarray) -> np.ndarray:
    """The world positions f4 [H, W, 3] that the pixels' centres of `camera` see at `depth` f4 [H, W]; 0 at infinity."""
    row, column = np.indices(depth.shape, np.float64)
    known = np.isfinite(depth)
    along = np.where(known, depth, 1).astype(np.float64)
    spread = np.ones_like(along) if camera.orthographic else along
    x = (column + 0.5 - camera.cx) / camera.fx * spread
    y = (camera.cy - row - 0.5) / camera.fy * spread
    seen = np.stack([x, y, -along], -1) @ camera.pose[:3, :3].T + camera.center
    return np.where(known[..., None], seen, 0).astype(np.float32)


def of_mesh(space: MeshTextureSpace) -> ViewGeometry:
    """What the views of a texture show; normals are interpolated, and those of backs reversed. Texels read views by
    Catmull-Rom, and once more what the first reading lost: strokes of a style are as fine as pixels."""
    views, surface = space.views, space.surface
    a, b, c = (surface.vertices[surface.faces[:, k]].astype(np.float64) for k in range(3))
    flat = np.cross(b - a, c - a)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-30)
    normal = np.zeros((*views.shape, 3), np.float32)
    for own, camera, triangle, at, mask in zip(
        normal, views.cameras, views.triangle, views.barycentric, views.mask, strict=True
    ):
        face = triangle[mask]
        smooth = (surface.normals[surface.faces[face]] * at[mask][..., None]).sum(1)
        # Interpolated normals cannot tell front from back: those of a silhouette's front may lean away from the viewer.
        back = (camera.toward(a[face]) * flat[face]).sum(1, keepdims=True) < 0
        own[mask] = agreeing_normals(smooth, flat[face]) * np.where(back, -1, 1)

    def sharp(exponent: float) -> LinearSpace:
        return space.linear(exponent, taps=4, residual_passes=1)

    return ViewGeometry("mesh", views.cameras, views.depth, normal, sharp, surface.position, surface.normal)
