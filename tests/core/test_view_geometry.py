"""What the views of a mesh show: places, and normals of the side that is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from practice_shapes import box, quad

from weft.geometry.camera import frame_object
from weft.geometry.mesh import Mesh
from weft.spaces.surface import build_surface
from weft.spaces.view_geometry import ViewGeometry, of_mesh
from weft.tasks.view_plan import space_of

BALL = box(5, sphere=True)


def seen(mesh: Mesh, *directions: tuple[float, float]) -> ViewGeometry:
    surface = build_surface([mesh], 64)
    return of_mesh(space_of(surface, frame_object(mesh.vertices, directions or [(0, 10), (40, 20)], 64)))


def backwards(mesh: Mesh) -> Mesh:
    """The same with its faces turned inside out."""
    assert mesh.corner_uv is not None
    return replace(mesh, faces=mesh.faces[:, ::-1].copy(), corner_uv=mesh.corner_uv[:, ::-1].copy())


@pytest.mark.parametrize("mesh", [BALL, backwards(BALL)], ids=["outwards", "inwards"])
def test_normals_of_a_ball_point_outwards_up_to_its_silhouette(mesh: Mesh) -> None:
    """However its faces are wound: one sees its outside. Few faces lean far over their smooth silhouette."""
    geometry = seen(mesh)
    outwards = geometry.position / np.linalg.norm(geometry.position, axis=-1, keepdims=True).clip(1e-6)
    assert (geometry.normal * outwards).sum(-1)[geometry.mask].min() > 0.9
    assert not geometry.normal[~geometry.mask].any()


def test_a_sheet_shows_its_back_from_behind() -> None:
    front, behind = seen(quad(), (0, 0), (180, 0)).normal
    np.testing.assert_allclose(front[32, 32], (0, -1, 0), atol=1e-6)
    np.testing.assert_allclose(behind[32, 32], (0, 1, 0), atol=1e-6)


def test_places_are_on_the_surface_and_appear_where_they_were_seen() -> None:
    geometry = seen(BALL)
    for camera, at, mask in zip(geometry.cameras, geometry.position, geometry.mask, strict=True):
        pixel, _ = camera.project(at[mask])
        row, column = np.nonzero(mask)
        np.testing.assert_allclose(pixel, np.stack([column, row], 1) + 0.5, atol=1e-3)
