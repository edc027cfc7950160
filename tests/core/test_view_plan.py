"""Views of a job: enough of them, one scale, nothing cut off, the scene's own where they are asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from practice_shapes import box, needs_data, quad, real_mesh

from weft.geometry.camera import Camera, look_at, standard_ring
from weft.geometry.mesh import Mesh
from weft.spaces.mesh_texture import MeshTextureSpace
from weft.spaces.surface import Surface, build_surface
from weft.tasks.view_plan import MOST_EXTRA, WANTED_COVERAGE, pixels_per_unit, plan_views, used_vertices

SIZE = 64


def plan(
    surface: Surface, count: int = 6, cameras_from: str = "automatic", scene: tuple[Camera, ...] = ()
) -> MeshTextureSpace:
    return plan_views(surface, size=SIZE, count=count, cameras_from=cameras_from, scene=scene)


def scene_camera(eye: tuple[float, float, float], focal: float = 500.0, **changes) -> Camera:
    """A Full HD camera that looks at the origin."""
    camera = Camera(look_at(eye, (0, 0, 0)), 1920, 1080, focal, focal, 960.0, 540.0)
    return replace(camera, **changes)


@pytest.fixture(scope="module")
def ball() -> Surface:
    return build_surface([box(8, sphere=True)], 96)


@pytest.fixture(scope="module")
def pit() -> Surface:
    """The inside of a box that is open at the bottom: a ring from the side sees nothing of it."""
    walls = box(3)
    assert walls.corner_uv is not None
    kept = np.ones(len(walls.faces), bool)
    kept[-2 * 9 :] = False
    inward = walls.faces[kept][:, ::-1]
    return build_surface([Mesh("pit", walls.vertices, inward.copy(), walls.corner_uv[kept][:, ::-1])], 96)


def test_the_ring_comes_first_and_few_are_added_to_a_ball(ball):
    space = plan(ball, 10)
    assert 10 <= len(space.views.cameras) <= 10 + MOST_EXTRA
    assert space.coverage >= WANTED_COVERAGE
    for camera, (azimuth, _) in zip(space.views.cameras, standard_ring(10)[:8], strict=False):
        seen_from = np.degrees(np.arctan2(camera.center[0], -camera.center[1])) % 360
        assert seen_from == pytest.approx(azimuth % 360, abs=1e-3)


@needs_data
@pytest.mark.parametrize(("name", "wanted"), [("spot.obj", WANTED_COVERAGE), ("clutch_bag.obj", 0.86)])
@pytest.mark.parametrize("count", [4, 10])
def test_real_meshes_are_covered_by_few_views_or_many(name, wanted, count):
    """Of the bag's lining a tenth is seen from nowhere outside."""
    space = plan(build_surface([real_mesh(name)], 192), count)
    assert space.coverage >= wanted
    assert len(space.views.cameras) <= count + MOST_EXTRA


def test_views_are_added_where_the_ring_sees_nothing(pit):
    space = plan(pit, 4)
    assert 4 < len(space.views.cameras) <= 4 + MOST_EXTRA
    assert not space.facing[:4].max() > 0
    assert space.coverage > 0.9


def test_frames_never_cut_the_object(pit, ball):
    for surface in (pit, ball):
        for camera in plan(surface, 6).views.cameras:
            at, depth = camera.project(used_vertices(surface))
            assert depth.min() > camera.near
            assert at.min() >= 0
            assert at.max() <= SIZE
            assert np.ptp(at, axis=0).max() <= 0.93 * SIZE


def test_all_views_share_one_lens_that_fills_a_frame(ball):
    cameras = plan(ball, 6).views.cameras
    assert len({round(camera.fx, 3) for camera in cameras}) == 1
    extents = [np.ptp(camera.project(ball.vertices)[0], axis=0).max() for camera in cameras]
    assert max(extents) > 0.9 * SIZE


def test_vertices_without_a_face_do_not_count():
    stray = box(2)
    stray = replace(stray, vertices=np.concatenate([stray.vertices, [[50, 0, 0]]]).astype(np.float32))
    surface = build_surface([stray], 48)
    assert np.abs(used_vertices(surface)).max() == 1
    mask = plan(surface, 4).views.mask
    assert mask[0].mean() > 0.3


def test_scale_is_pixels_per_unit_at_the_surface(ball):
    """Neighbouring pixels in the middle of a frame lie 1 / scale apart on the part of the ball that faces it."""
    space = plan(ball, 4)
    scale, camera = pixels_per_unit(space), space.views.cameras[0]
    nearest = np.linalg.norm(camera.center) - 1
    assert camera.fx / (nearest + 1) < scale < camera.fx / nearest
    doubled = build_surface([replace(ball.meshes[0], vertices=ball.meshes[0].vertices * 2)], 96)
    assert pixels_per_unit(plan(doubled, 4)) == pytest.approx(scale / 2, rel=1e-3)


# Scene cameras


def at_origin(camera: Camera) -> float:
    """Pixels per unit at the origin, across the viewing axis."""
    at, _ = camera.project(np.stack([np.zeros(3), camera.pose[:3, 0] * 1e-2]))
    return float(np.linalg.norm(at[1] - at[0])) * 100


@pytest.mark.parametrize("cameras_from", ["scene", "both"])
@pytest.mark.parametrize(
    "camera",
    [
        scene_camera((1.0, -5.0, 2.0)),
        scene_camera((0.0, -30.0, 1.0), 4000.0),
        scene_camera((3.0, -2.0, 0.5), 700.0, cx=100.0, cy=900.0),
        scene_camera((4.0, 4.0, 4.0), 300.0, near=0.5, orthographic=True),
    ],
    ids=["near", "far", "shifted", "orthographic"],
)
def test_scene_cameras_keep_their_viewpoint_at_the_common_scale(ball, cameras_from, camera):
    """Whatever their lens and resolution, a pattern must have one size in all views."""
    space = plan(ball, 4, cameras_from, (camera,))
    own = [c for c in space.views.cameras if np.array_equal(c.pose, camera.pose)]
    others = [c for c in space.views.cameras if not np.array_equal(c.pose, camera.pose)]
    assert len(own) == 1
    assert (own[0].width, own[0].height) == (SIZE, SIZE)
    assert at_origin(own[0]) == pytest.approx(at_origin(others[0]), rel=0.05)
    assert own[0].project(np.zeros((1, 3)))[0][0] == pytest.approx([SIZE / 2, SIZE / 2], abs=0.1)
    seen = space.views.mask[space.views.cameras.index(own[0])]
    assert seen.mean() > 0.2


def test_scene_only_leaves_the_ring_out(ball):
    eyes = [(0.0, -5.0, 0.0), (4.0, 3.0, 0.0), (-4.0, 3.0, 0.0)]
    scene = tuple(scene_camera(eye) for eye in eyes)
    only, both = plan(ball, 10, "scene", scene), plan(ball, 10, "both", scene)
    assert len(only.views.cameras) < 10
    assert 13 <= len(both.views.cameras) <= 13 + MOST_EXTRA
    assert only.coverage >= WANTED_COVERAGE  # others are added where the scene's do not look
    assert len(plan(ball, 10, "automatic", scene).views.cameras) <= 10 + MOST_EXTRA


def test_a_scene_camera_that_sees_nothing_does_no_harm(ball):
    away = replace(scene_camera((0.0, -5.0, 0.0)), pose=look_at((0, -5, 0), (0, -9, 0)))
    space = plan(ball, 4, "scene", (away,))
    assert space.coverage >= WANTED_COVERAGE
    assert pixels_per_unit(space) > 0


def test_a_scene_camera_inside_the_object_does_no_harm(ball):
    space = plan(ball, 4, "both", (scene_camera((0.1, 0.0, 0.0)),))
    assert space.coverage >= WANTED_COVERAGE


def test_thin_objects_have_a_scale_too():
    """A wire thinner than a pixel: some view catches it, or the job could not go on."""
    wire = quad("wire")
    surface = build_surface([replace(wire, vertices=wire.vertices * np.array([0.001, 1, 1], np.float32))], 64)
    assert pixels_per_unit(plan(surface, 4)) > 0
