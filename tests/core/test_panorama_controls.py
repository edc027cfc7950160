"""Control pictures of a panorama's views: a room whose walls are known, a sky, a wide picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from practice_shapes import box

from weft.errors import InvalidInput, UnknownName
from weft.geometry.mesh import Mesh
from weft.tasks.control_encoding import FARTHEST
from weft.tasks.panorama_controls import panorama_controls
from weft.tasks.panorama_setting import Setting, build_setting

KINDS = ("depth", "normal", "canny")
LEFT_WALL, RIGHT_WALL = (0.0, 0.5, 0.5), (1.0, 0.5, 0.5)  # of a corridor: the left wall looks right, where red is 0
FLOOR, AHEAD = (0.5, 1.0, 0.5), (0.5, 0.5, 1.0)


def room(shape: str = "sphere", width: int = 256, height: int = 128, window: int = 64) -> Setting:
    """In the middle of a cube."""
    return build_setting(shape, width, height, window, depth=None, meshes=[box(1)], viewpoint=np.zeros(3))


def outdoors(shape: str = "sphere") -> Setting:
    """A plain below a sky."""
    ground = box(1)
    vertices = ground.vertices * np.array((300, 300, 0.1)) - np.array((0, 0, 1.7))
    return build_setting(
        shape, 256, 64, 64, depth=None, meshes=[Mesh("ground", vertices.astype(np.float32), ground.faces)],
        viewpoint=np.zeros(3),
    )  # fmt: skip


def close(picture: torch.Tensor, colour: tuple[float, float, float]) -> np.ndarray:
    """bool [H, W]: where a picture [3, H, W] has about a colour."""
    return ((picture - torch.tensor(colour)[:, None, None]).abs().amax(0) < 0.02).numpy()


@pytest.fixture(scope="module")
def room_controls() -> dict[str, torch.Tensor]:
    return panorama_controls(KINDS, room())


def test_every_view_has_its_pictures(room_controls):
    assert list(room_controls) == list(KINDS)
    for picture in room_controls.values():
        assert picture.shape == (*room().space.view_shape[:1], 3, 64, 64)
        assert 0 <= picture.min() <= picture.max() <= 1


def test_a_wall_ahead_is_as_deep_everywhere(room_controls):
    """Its distances differ by 1.4, its depths do not."""
    depth, normal = room_controls["depth"][0, 0], room_controls["normal"][0]
    wall = close(normal, AHEAD)
    assert wall[16:48, 16:48].all()
    assert depth.numpy()[wall].min() > 0.9


def test_normals_are_the_views_own(room_controls):
    corner = room_controls["normal"][1]  # 45° to the right: the corner of two walls
    s = 0.5 + 0.5**1.5
    assert close(corner[:, 16:48, 4:30], (1 - s, 0.5, s)).all()
    assert close(corner[:, 16:48, 34:60], (s, 0.5, s)).all()


def test_edges_are_where_walls_meet(room_controls):
    """In a closed room no sun tells them apart."""
    lines = room_controls["canny"][1, 0, 20:44]
    assert lines[:, 29:35].amax(1).all()
    assert not lines[:, 8:26].any()


def test_the_sky_is_background():
    setting = outdoors()
    made = panorama_controls(KINDS, setting)
    assert setting.scene is not None
    assert not made["depth"][0, :, :28].any()
    assert close(made["normal"][0, :, :28], AHEAD).all()
    ground = made["depth"][0, 0, 36:]
    assert ground.min() >= FARTHEST
    assert (ground.diff(dim=0) > -1e-6).all()  # nearer below
    assert close(made["normal"][0, :, 36:], FLOOR).all()
    horizon = made["canny"][0, 0].numpy().any(1)
    assert set(np.flatnonzero(horizon)) <= {30, 31, 32, 33}
    assert horizon.any()


def test_inverse_depth_of_a_plain_rises_straight_from_the_horizon():
    rows = panorama_controls(["depth"], outdoors())["depth"][0, 0, 36:-2].mean(1).numpy()
    line = np.polyfit(np.arange(len(rows)), rows, 1)
    assert np.abs(np.polyval(line, np.arange(len(rows))) - rows).max() < 0.03


def test_windows_of_a_wide_picture_of_meshes_are_level():
    made = panorama_controls(KINDS, outdoors("wide"))
    assert len(made["depth"]) > 3
    for picture in made["normal"]:
        assert close(picture[:, 40:], FLOOR).all()
    wide = panorama_controls(["normal"], room("wide", 256, 64, 64))["normal"]
    middle = wide[3]  # from 96 to 160 of 256 columns
    assert close(middle[:, 28:36, 16:48], AHEAD).all()


def test_a_depth_map_is_one_view_and_keeps_its_depths():
    depth = np.full((64, 128), 4.0, np.float32)
    depth[:, 64:] = 8.0
    setting = build_setting("wide", 128, 64, 64, depth=depth, meshes=[], viewpoint=None)
    made = panorama_controls(KINDS, setting)
    middle = made["depth"][1, 0]
    assert torch.allclose(middle[:, :26], torch.tensor(1.0))
    assert torch.allclose(middle[:, 38:], torch.tensor(FARTHEST))
    assert close(made["normal"][0, :, :, :56], AHEAD).all()
    assert torch.allclose(made["depth"][0, 0, :, :56], torch.tensor(1.0))  # a window that sees the near part only
    step = made["canny"][1, 0].numpy()
    assert step[:, 30:34].any(1).all()


def test_a_corridors_sides_are_red_and_its_opposite():
    """Planes at both sides of a depth map's viewing axis."""
    _, columns = np.mgrid[:64, :128] + 0.5
    depth = (1 / np.maximum(np.abs(columns - 64) / 128, 0.1)).astype(np.float32)
    setting = build_setting("wide", 128, 64, 64, depth=depth, meshes=[], viewpoint=None)
    normal = panorama_controls(["normal"], setting)["normal"]
    assert close(normal[0, :, 8:56, 8:40], LEFT_WALL).mean() > 0.9
    assert close(normal[2, :, 8:56, 24:56], RIGHT_WALL).mean() > 0.9


def test_what_cannot_be_made_is_refused():
    empty = build_setting("sphere", 128, 64, 64, depth=None, meshes=[], viewpoint=None)
    assert panorama_controls([], empty) == {}
    with pytest.raises(InvalidInput, match="depth and canny") as refused:
        panorama_controls(["depth", "canny"], empty)
    assert "depth map or meshes" in refused.value.hint
    with pytest.raises(UnknownName, match="'pose'"):
        panorama_controls(["pose"], empty)
