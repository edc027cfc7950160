"""UVs for a mesh that has none: charts by xatlas where it is dependable, by box projection where it is not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import xatlas

from weft.geometry.box_atlas import box_atlas
from weft.geometry.mesh import Mesh, check_mesh, surface_area
from weft.geometry.uv import overlapping_fraction

__all__ = ["unwrap"]

# xatlas first grows planar charts by comparing neighbours only. On dense smooth meshes such a chart bends all around
# the object; from about 300,000 triangles on the recursion over it has been seen to end the process.
_DEPENDABLE = 60_000  # triangles; about 3 s
_GAP = 6  # pixels of xatlas' own atlas between charts; that atlas is at most half as large again as the texture


def unwrap(mesh: Mesh, texture_size: int) -> Mesh:
    """The mesh with a `corner_uv` inside the unit square: every face once, no overlaps, the scale the same everywhere.

    Charts lie about 4 texels of a `texture_size`² texture apart, so that each has a gutter of 2. Raises `InvalidMesh`.
    """
    check_mesh(mesh)
    uv = _xatlas_uv(mesh, texture_size) if len(mesh.faces) <= _DEPENDABLE else None
    if uv is None or overlapping_fraction(uv) > 0.01:
        uv = box_atlas(mesh, texture_size)
    return replace(mesh, corner_uv=uv)


def _xatlas_uv(mesh: Mesh, texture_size: int) -> np.ndarray | None:
    """UVs f4 [F, 3, 2]; None where xatlas did not return the faces that it was given."""
    # In units of the surface: xatlas' tolerances and its resolution are absolute.
    scaled = (mesh.vertices - mesh.vertices.mean(0, dtype=np.float64)) / math.sqrt(surface_area(mesh))
    atlas = xatlas.Atlas()
    atlas.add_mesh(scaled.astype(np.float32), mesh.faces.astype(np.uint32))
    charts, pack = xatlas.ChartOptions(), xatlas.PackOptions()
    charts.max_chart_area = min(0.05, 500 / len(mesh.faces))  # the time grows with the square of a chart's triangles
    pack.texels_per_unit = 0.7 * texture_size  # half of the texture is surface, the rest gaps
    pack.padding = _GAP
    atlas.generate(charts, pack)
    if atlas.atlas_count != 1:
        return None
    source, corners, uv = atlas[0]
    if not np.array_equal(source[corners], mesh.faces):
        return None
    size = np.array([atlas.width, atlas.height], np.float32)
    return (uv * size / size.max()).astype(np.float32)[corners]
