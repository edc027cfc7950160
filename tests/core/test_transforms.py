"""Cameras from transforms.json: intrinsics wherever they stand, poses as they are, pictures only from the folder."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weft.errors import InvalidCamera, InvalidInput, WeftError
from weft.geometry.camera import look_at, orbit
from weft.io import PosedImages, load_cameras, load_image, save_image

DATA = Path(os.environ.get("WEFT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="set WEFT_TEST_DATA to the folder of the real test inputs")


def frame(name: str = "a.png", azimuth: float = 30, **more: Any) -> dict[str, Any]:
    return {"file_path": name, "transform_matrix": orbit(azimuth, 20, 4).tolist(), **more}


SIZE = {"w": 40.0, "h": 30}
LENS = {"fl_x": 50, "fl_y": 51.5, "cx": 19, "cy": 16.5, **SIZE}


def load(folder: Path, document: Any) -> PosedImages:
    (folder / "transforms.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return load_cameras(folder / "transforms.json")


def picture(path: Path, width: int = 40, height: int = 30) -> None:
    save_image(path, np.zeros((height, width, 3)))


def test_nerfstudio_with_shared_intrinsics(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    lens = LENS | {"camera_model": "OPENCV", "k1": 0.1, "p2": -0.2, "ply_file_path": "../x.ply", "applied_transform": 3}
    posed = load(tmp_path, lens | {"frames": [frame("images/a.png"), frame("./images/a.png", 60)]})
    first = posed.cameras[0]
    assert (first.width, first.height, first.fx, first.fy, first.cx, first.cy) == (40, 30, 50, 51.5, 19, 16.5)
    assert np.array_equal(first.pose, orbit(30, 20, 4))
    assert np.array_equal(posed.cameras[1].pose, orbit(60, 20, 4))
    assert posed.images == ((tmp_path / "images/a.png").resolve(),) * 2
    assert posed.distortion == ({"k1": 0.1, "p2": -0.2},) * 2
    assert posed.warnings == ()


def test_intrinsics_of_a_frame_win(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    posed = load(tmp_path, LENS | {"k1": 1, "frames": [frame(), frame(fl_x=70, w=80, cx=3, k1=2)]})
    assert [(c.fx, c.fy, c.cx, c.width) for c in posed.cameras] == [(50, 51.5, 19, 40), (70, 51.5, 3, 80)]
    assert posed.distortion == ({"k1": 1}, {"k1": 2})
    alone = load(tmp_path, {"frames": [frame(**LENS)]}).cameras[0]
    assert (alone.fx, alone.height) == (50, 30)


def test_blender_variant(tmp_path: Path) -> None:
    """An angle of view, paths without suffix, the size from the pictures."""
    picture(tmp_path / "train/r_0.png", 64, 48)
    posed = load(tmp_path, {"camera_angle_x": math.pi / 2, "frames": [frame("./train/r_0"), frame("./train/r_1")]})
    for camera in posed.cameras:
        assert (camera.width, camera.height, camera.cx, camera.cy) == (64, 48, 32, 24)
        assert (camera.fx, camera.fy) == (pytest.approx(32), pytest.approx(32))
    assert posed.images == ((tmp_path / "train/r_0.png").resolve(), None)
    assert posed.warnings == ("1 of 2 pictures are missing, the first is './train/r_1'",)


def test_angles_give_each_axis_its_focal_length(tmp_path: Path) -> None:
    both = SIZE | {"camera_angle_x": math.pi / 2, "camera_angle_y": 2 * math.atan(15 / 60)}
    camera = load(tmp_path, both | {"frames": [frame()]}).cameras[0]
    assert (camera.fx, camera.fy) == (pytest.approx(20), pytest.approx(60))
    camera = load(tmp_path, both | {"fl_x": 33, "fl_y": 34, "frames": [frame()]}).cameras[0]
    assert (camera.fx, camera.fy) == (33, 34)
    camera = load(tmp_path, SIZE | {"fl_x": 33, "frames": [frame()]}).cameras[0]
    assert (camera.fx, camera.fy) == (33, 33)


def test_a_camera_sees_what_it_looks_at(tmp_path: Path) -> None:
    """OpenGL axes: what the pose has on its axis lies in the image's middle, what is above lies above."""
    pose = look_at((3, -5, 2), (0.5, 1, 1)).tolist()
    camera = load(tmp_path, {**SIZE, "fl_x": 50, "frames": [frame() | {"transform_matrix": pose}]}).cameras[0]
    xy, depth = camera.project(np.array([(0.5, 1, 1), (0.5, 1, 1.2)]))
    assert np.allclose(xy[0], [20, 15], atol=1e-4)
    assert xy[1, 1] < 15
    assert (depth > 0).all()


def test_no_picture_is_taken_from_outside(tmp_path: Path) -> None:
    picture(tmp_path / "secret.png")
    (tmp_path / "scene").mkdir()
    (tmp_path / "scene/link.png").symlink_to(tmp_path / "secret.png")
    names = ["../secret.png", str(tmp_path / "secret.png"), "link.png", "..\\secret.png", "../secret"]
    posed = load(tmp_path / "scene", LENS | {"frames": [frame(name) for name in names]})
    assert posed.images == (None,) * 5
    assert posed.warnings == ("5 of 5 pictures lie outside the file's folder: '../secret.png'",)


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b", "\n\n", "/", ".", None, 7, ["a"]])
def test_odd_names_are_missing_pictures(tmp_path: Path, name: Any) -> None:
    posed = load(tmp_path, LENS | {"frames": [frame() | {"file_path": name}]})
    assert posed.images == (None,)
    assert len(posed.warnings) == 1
    assert "\n" not in posed.warnings[0]


def spoiled(row: int, column: int, value: float) -> dict[str, Any]:
    matrix = orbit(30, 20, 4).tolist()
    matrix[row][column] = value
    return LENS | {"frames": [frame(), frame() | {"transform_matrix": matrix}]}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no frames"),
        ({}, "no frames"),
        ({"frames": []}, "no frames"),
        ({"frames": 3}, "no frames"),
        ({"frames": [1]}, "no frames"),
        (LENS | {"frames": [{"file_path": "a.png"}]}, "frame 1 of 1: it has no transform_matrix"),
        (LENS | {"frames": [frame(), frame() | {"transform_matrix": np.eye(3).tolist()}]}, r"frame 2 of 2.*\[3, 3\]"),
        (LENS | {"frames": [frame() | {"transform_matrix": [[1, 2], [3]]}]}, "not made of numbers"),
        (LENS | {"frames": [frame() | {"transform_matrix": "a"}]}, "not made of numbers"),
        (LENS | {"frames": [frame() | {"transform_matrix": {"a": 1}}]}, "not made of numbers"),
        (spoiled(0, 0, 3), "frame 2 of 2.*not a rotation and a translation"),
        (spoiled(3, 0, 1), "not a rotation and a translation"),
        (spoiled(1, 3, math.nan), "NaN"),
        (SIZE | {"frames": [frame()]}, "neither fl_x nor camera_angle_x"),
        ({"fl_x": 50, "frames": [frame()]}, "neither w and h nor a picture"),
        (LENS | {"w": "wide", "frames": [frame()]}, "its w is 'wide'"),
        (LENS | {"w": True, "frames": [frame()]}, "its w is 'True'"),
        (LENS | {"w": 10**400, "frames": [frame()]}, "expected a number"),
        (LENS | {"h": 0, "frames": [frame()]}, "40×0 pixels"),
        (LENS | {"w": 1e9, "frames": [frame()]}, "pixels, expected 1 to 16384"),
        (LENS | {"fl_x": -5, "frames": [frame()]}, "focal length is -5"),
        (LENS | {"cx": math.nan, "frames": [frame()]}, "its cx is 'nan'"),
        (LENS | {"k1": "x", "frames": [frame()]}, "its k1"),
        (SIZE | {"camera_angle_x": 0, "frames": [frame()]}, "camera_angle_x is 0"),
        (SIZE | {"camera_angle_x": 90, "frames": [frame()]}, "between 0 and π"),
        (LENS | {"camera_model": "OPENCV_FISHEYE", "frames": [frame()]}, "lens is 'OPENCV_FISHEYE'"),
        (LENS | {"camera_model": "EQUIRECTANGULAR", "frames": [frame()]}, "perspective"),
        (LENS | {"is_fisheye": True, "frames": [frame()]}, "a fisheye"),
    ],
)
def test_broken_files_are_one_line(tmp_path: Path, document: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        load(tmp_path, document)
    assert "transforms.json" in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_wrong_paths(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.json", tmp_path):
        with pytest.raises(InvalidInput) as caught:
            load_cameras(path)
        assert caught.value.hint


def test_a_picture_that_tells_no_size(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InvalidCamera, match=r"'a\.png' is not a picture"):
        load(tmp_path, {"fl_x": 50, "frames": [frame("a")]})


def test_a_file_that_is_not_there_is_not_taken_for_bad_json(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no file"):
        load_cameras(tmp_path / "transforms.json")
    with pytest.raises(InvalidInput, match="cannot read"):
        load_cameras(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from([*LENS, "k1", "camera_model", "camera_angle_x", "is_fisheye", "file_path", "transform_matrix"])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shared=st.dictionaries(KEYS, JSON, max_size=3), own=st.dictionaries(KEYS, JSON, max_size=2))
def test_made_up_values(tmp_path: Path, shared: dict[str, Any], own: dict[str, Any]) -> None:
    """Either cameras or a WeftError with a remedy."""
    try:
        posed = load(tmp_path, LENS | shared | {"frames": [frame() | own]})
    except WeftError as error:
        if not error.hint or "\n" in str(error):
            pytest.fail(f"unclear: {error!r}")
    else:
        assert len(posed.cameras) == len(posed.images) == len(posed.distortion) == 1


# Real files


@needs_data
def test_the_real_fox() -> None:
    posed = load_cameras(DATA / "fox_270x480/transforms.json")
    assert len(posed.cameras) == 50
    assert posed.warnings == ()
    first = posed.cameras[0]
    assert (first.width, first.height, first.fx, first.fy) == (270, 480, 343.88, 343.6225)
    assert (first.cx, first.cy) == (138.6395, 241.317)
    assert posed.distortion[0] == {"k1": 0.0578421, "k2": -0.0805099, "p1": -0.000980296, "p2": 0.00015575}
    assert posed.images[0] is not None
    assert load_image(posed.images[0]).shape == (480, 270, 3)
    # They stand around the fox: the point nearest to all viewing axes lies in front of every camera, near the middle.
    eyes = np.array([c.center for c in posed.cameras])
    across = [np.eye(3) - np.outer(c.forward, c.forward) for c in posed.cameras]
    middle = np.linalg.solve(np.sum(across, 0), np.einsum("nij,nj->i", across, eyes))
    for camera in posed.cameras:
        xy, depth = camera.project(middle[None])
        assert depth[0] > 0
        assert np.abs(xy[0] - [135, 240]).max() < 150


@needs_data
@pytest.mark.parametrize(("name", "count"), [("train", 50), ("test", 20)])
def test_the_real_lego(name: str, count: int) -> None:
    """Its cameras are 4.03 units from the origin, which all of them have in the middle of their image."""
    posed = load_cameras(DATA / f"lego_200/transforms_{name}.json")
    assert len(posed.cameras) == count
    assert None not in posed.images
    for camera in posed.cameras:
        xy, depth = camera.project(np.zeros((1, 3)))
        assert np.abs(xy[0] - 100).max() < 1e-2
        assert depth[0] == pytest.approx(4.031, abs=1e-3)
        assert camera.fx == camera.fy == pytest.approx(200 / (2 * math.tan(0.6911112070083618 / 2)))
