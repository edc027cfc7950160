"""Depth maps of many views into one surface: a truncated signed distance in a volume, and its zero as a mesh.

Curless and Levoy, "A Volumetric Method for Building Complex Models from Range Images" (SIGGRAPH 1996); Lorensen and
Cline, "Marching Cubes" (SIGGRAPH 1987), as scikit-image has it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from scipy.ndimage import binary_erosion
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.mesh import Mesh, face_crosses
from weft.kernels import parallel_kernel

__all__ = ["fused_depths", "largest_parts", "surface_of"]

_TRUNCATED = 3.0  # voxels from the surface, where distances end


def fused_depths(
    depths: np.ndarray,  # f4 [N, H, W] along the viewing axes, infinite: the view sees nothing there; NaN: not known
    cameras: Sequence[Camera],  # pinholes of that size
    low: np.ndarray,  # [3], the volume's corner (x y z)
    voxel: float,  # its side
    shape: tuple[int, int, int],  # vertices along x, y, z
) -> np.ndarray:
    """Signed distance f4 [X, Y, Z] to the surface in voxels, positive before it, at most 3 either way; NaN where no
    view looks, or only from behind more than that. Every view counts alike."""
    views = np.stack([camera.view_matrix for camera in cameras]).astype(np.float32)
    lenses = np.array([(c.fx, c.fy, c.cx, c.cy) for c in cameras], np.float32)
    distance = np.empty(shape, np.float32)
    corner = np.asarray(low, np.float32)
    _fuse(depths.astype(np.float32, copy=False), views, lenses, corner, np.float32(voxel), distance)
    return distance


@parallel_kernel
def _fuse(depths, views, lenses, low, voxel, distance):
    """See `fused_depths`. views f4 [N, 3, 4] (right, up, depth), lenses f4 [N, 4]."""
    height, width = depths.shape[1:]
    for i in numba.prange(distance.shape[0]):
        x = low[0] + voxel * np.float32(i)
        for j in range(distance.shape[1]):
            y = low[1] + voxel * np.float32(j)
            for k in range(distance.shape[2]):
                z = low[2] + voxel * np.float32(k)
                total, seen = np.float32(0), 0
                for n in range(len(views)):
                    m = views[n]
                    depth = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
                    if depth <= 0:
                        continue
                    right = (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]) / depth
                    up = (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]) / depth
                    column, row = lenses[n, 2] + lenses[n, 0] * right, lenses[n, 3] - lenses[n, 1] * up
                    if not (0 <= column < width and 0 <= row < height):
                        continue
                    before = (depths[n, int(row), int(column)] - depth) / voxel
                    if before > -_TRUNCATED:
                        total += min(before, np.float32(_TRUNCATED))
                        seen += 1
                distance[i, j, k] = total / np.float32(seen) if seen else np.nan


def surface_of(distance: np.ndarray, low: np.ndarray, voxel: float, name: str) -> Mesh:
    """Where `distance` f4 [X, Y, Z] is 0, facing its positive side. Raises InvalidInput where it is 0 nowhere."""
    from skimage.measure import marching_cubes

    known = np.isfinite(distance)
    told = np.where(known, distance, _TRUNCATED)
    if not (told[known] < 0).any() or not (told[known] > 0).any():
        raise InvalidInput("the views' depths meet in no surface", "train the scene longer, or with more views")
    inner = binary_erosion(known, np.ones((3, 3, 3)), border_value=1)  # no cube has a corner that is not known
    vertices, faces, _, _ = marching_cubes(told, 0.0, mask=inner)
    places = np.asarray(low, np.float32) + np.float32(voxel) * vertices.astype(np.float32)
    return Mesh(name, places, np.ascontiguousarray(faces, np.int32))


def largest_parts(mesh: Mesh, least: float) -> Mesh:
    """The connected parts of `mesh` whose area is `least` or more of the largest one's, without unused vertices."""
    a, b, c = mesh.faces.T
    links = coo_array((np.ones(2 * len(a), bool), (np.r_[a, b], np.r_[b, c])), shape=(len(mesh.vertices),) * 2)
    _, part = connected_components(links, directed=False)
    of_face = part[a]
    area = np.bincount(of_face, np.linalg.norm(face_crosses(mesh), axis=1), len(mesh.vertices))
    kept = mesh.faces[(area >= least * area.max())[of_face]]
    used, faces = np.unique(kept, return_inverse=True)
    return Mesh(mesh.name, mesh.vertices[used], faces.reshape(-1, 3).astype(np.int32))
