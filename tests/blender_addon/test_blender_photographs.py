"""Datasets in Blender: cameras that see what their photographs show, lenses straightened, splats of both."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weft_wire.errors import WireError
from weft_wire.jobs import EditSceneParams, FitParams

pytestmark = pytest.mark.blender

DATA = Path(os.environ.get("WEFT_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
WIDTH, HEIGHT = 60, 40
LENS = {"fl_x": 50.0, "fl_y": 52.0, "cx": 27.0, "cy": 22.0, "w": WIDTH, "h": HEIGHT}
BENT = {"k1": 0.05, "k2": -0.03, "p1": 0.001, "p2": -0.002}


def pose(angle: float) -> np.ndarray:
    """f8 [4, 4], four units from the origin, which it looks at; +Z is up."""
    out = np.array([math.sin(angle), -math.cos(angle), 0])
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([(math.cos(angle), math.sin(angle), 0), (0, 0, 1), out], axis=1)
    matrix[:3, 3] = 4 * out
    return matrix


def dataset(folder: Path, count: int = 3, **values: Any) -> Path:
    """A transforms.json with pictures: red to the right, green to the bottom."""
    from weft_blender.pixels import encode_png

    folder.mkdir(exist_ok=True)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.stack([4 * x, 6 * y, np.full_like(x, 90)], axis=-1).astype(np.uint8)
    frames = []
    for i in range(count):
        (folder / f"photo_{i}.png").write_bytes(encode_png(picture))
        frames.append({"file_path": f"./photo_{i}", "transform_matrix": pose(0.7 * i).tolist()})
    path = folder / "transforms.json"
    path.write_text(json.dumps({**LENS, **values, "frames": frames}))
    return path


@pytest.fixture
def cameras(bpy: Any, tmp_path: Path) -> list[Any]:
    from weft_blender.photo_import import import_cameras

    found, warnings = import_cameras(str(dataset(tmp_path / "yard")))
    bpy.context.view_layer.update()
    assert not warnings
    return found


def test_cameras_see_what_the_file_says(bpy: Any, cameras: list[Any]) -> None:
    from weft_blender.cameras import intrinsics
    from weft_blender.photo_cameras import photographs

    scene = bpy.context.scene
    assert [camera.users_collection[0].name for camera in cameras] == ["yard"] * 3
    assert [camera.data.background_images[0].image.size[:] for camera in cameras] == [(WIDTH, HEIGHT)] * 3
    views = photographs(cameras, 0)
    np.testing.assert_allclose(views["camera.poses"], [pose(0.7 * i) for i in range(3)], atol=1e-6)
    np.testing.assert_array_equal(views["camera.intrinsics"], [list(LENS.values())] * 3)
    lens = intrinsics(cameras[0], scene, bpy.context.evaluated_depsgraph_get())
    np.testing.assert_allclose(np.delete(lens, 1), np.delete(list(LENS.values()), 1), atol=1e-4)
    assert lens[1] == pytest.approx(50, abs=1e-3), "Blender's pixels are square"
    image = views["view.images"][0]
    np.testing.assert_array_equal(image[[0, -1], [0, -1]], [[0, 0, 90], [236, 234, 90]])


def test_pictures_are_averaged_when_they_are_sent_smaller(cameras: list[Any]) -> None:
    from weft_blender.photo_cameras import photographs

    views = photographs(cameras, 30)
    assert views["view.images"].shape == (3, 20, 30, 3)
    np.testing.assert_array_equal(views["camera.intrinsics"][0], [25, 26, 13.5, 11, 30, 20])
    column = views["view.images"][0, 3, :, 0].astype(int)
    np.testing.assert_allclose(column, 8 * np.arange(30) + 2, atol=1)


def test_cameras_of_ones_own_have_blenders_lens(bpy: Any, cameras: list[Any]) -> None:
    from weft_blender.photo_cameras import LENS as KEPT
    from weft_blender.photo_cameras import photographs

    for camera in cameras:
        del camera.data[KEPT]
        camera.data.lens = 36
    lens = photographs(cameras, 0)["camera.intrinsics"][0]
    np.testing.assert_allclose(lens, [WIDTH, WIDTH, 27, 22, WIDTH, HEIGHT], rtol=1e-5)


def test_straightened_pictures_are_those_of_the_server(addon: Any) -> None:
    """The server's own undistortion, as commands use it, of a smooth picture."""
    pytest.importorskip("scipy", reason="the environment of this Blender has no server")
    from weft.geometry.camera import Camera
    from weft.geometry.undistort import resampled, undistorted
    from weft_blender.lens import Lens, picture_of

    y, x = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.stack([127 + 120 * np.sin(x / 9), 127 + 120 * np.cos(y / 8), 2 * (x + y)], -1).astype(np.uint8)
    image, seen = picture_of(picture, Lens(50, 52, 27, 22, WIDTH, HEIGHT, **BENT), WIDTH, HEIGHT)
    camera, at = undistorted(Camera(np.eye(4), WIDTH, HEIGHT, 50, 52, 27, 22), BENT)
    np.testing.assert_allclose(seen.numbers[:4], [camera.fx, camera.fy, camera.cx, camera.cy], rtol=1e-6)
    assert seen.fx > 50
    np.testing.assert_allclose(image, resampled(picture, at), atol=2.5)


def test_real_photographs(bpy: Any) -> None:
    from weft_blender.photo_cameras import is_transparent, photographs
    from weft_blender.photo_import import import_cameras

    if not (DATA / "fox_270x480").exists():
        pytest.skip(f"no {DATA / 'fox_270x480'}")
    fox, _ = import_cameras(str(DATA / "fox_270x480" / "transforms.json"))
    assert (len(fox), is_transparent(fox[0])) == (50, False)
    assert tuple(bpy.context.scene.render.resolution_y for _ in "y") == (480,)
    views = photographs(fox[:3], 96)
    assert views["view.images"].shape == (3, 96, 54, 3)
    assert views["camera.intrinsics"][0, 0] > 343.88 / 5, "straightening zooms"
    assert not any(image.has_data for image in bpy.data.images), "what was read does not stay in memory"
    lego, _ = import_cameras(str(DATA / "lego_200" / "transforms_train.json"))
    assert is_transparent(lego[0])
    corner = photographs(lego[:2], 0)["view.images"][:, 0, 0]
    np.testing.assert_array_equal(corner, 255, err_msg="over white")


def change(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(document: dict[str, Any]) -> None:
        document["frames"][1][key] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda document: document.update(frames=[]), "has no frames"),
        (
            lambda document: document.update(camera_model="OPENCV_FISHEYE"),
            "has the lens 'OPENCV_FISHEYE'",
        ),
        (lambda document: [document.pop(key) for key in ("fl_x", "fl_y")], "frame 1 has neither fl_x nor camera_angle"),
        (change("fl_x", "long"), "frame 2: its fl_x is 'long', expected a number"),
        (change("transform_matrix", None), "frame 2 has no transform_matrix that turns"),
        (change("transform_matrix", np.diag([1, 1, -1, 1]).tolist()), "frame 2 has no transform_matrix that turns"),
        (
            lambda document: [frame.update(file_path="../none") for frame in document["frames"]],
            "none of the 3 pict",
        ),
    ],
)
def test_damaged_datasets_are_refused_in_one_line(
    bpy: Any, tmp_path: Path, spoil: Callable[[dict[str, Any]], Any], part: str
) -> None:
    path = dataset(tmp_path / "yard")
    document = json.loads(path.read_text())
    spoil(document)
    path.write_text(json.dumps(document))
    with pytest.raises(RuntimeError, match=part) as caught:
        bpy.ops.weft.import_cameras(filepath=str(path))
    assert str(caught.value).strip().count("\n") == 0
    assert not bpy.data.cameras
    assert not bpy.data.images


def test_missing_pictures_are_told(bpy: Any, tmp_path: Path) -> None:
    from weft_blender.photo_import import import_cameras

    path = dataset(tmp_path / "yard")
    (tmp_path / "yard" / "photo_1.png").unlink()
    cameras, warnings = import_cameras(str(path))
    assert [camera.name for camera in cameras] == ["photo_0", "photo_2"]
    assert warnings == ["1 of 3 pictures are missing, the first is './photo_1'"]


# Splats of photographs


def test_fitted_splats_are_a_new_object(bpy: Any, link: Any, practice: Any, cameras: list[Any], tmp_path: Path) -> None:
    from weft_blender.job import run
    from weft_blender.splat_arrays import scene_arrays
    from weft_blender.splat_operators import export_splats, import_splats

    job = run("fit", FitParams(steps=2), key_dir=practice.key_dir, previews=True, objects=cameras[:2])
    obj = bpy.data.objects["yard"]
    np.testing.assert_allclose(scene_arrays(obj)["splats.means"], [pose(0)[:3, 3], pose(0.7)[:3, 3]], atol=1e-6)
    np.testing.assert_array_equal(scene_arrays(obj)["splats.sh"], job.arrays["splats.sh"])
    assert [modifier.name for modifier in obj.modifiers] == ["Weft Splats"]
    export_splats(obj, str(tmp_path / "yard.ply"))
    again = import_splats(str(tmp_path / "yard.ply"), up="z")
    for name, array in scene_arrays(obj).items():
        np.testing.assert_array_equal(scene_arrays(again)[name], array, err_msg=name)


def test_splats_are_edited_as_the_photographs_show_them(bpy: Any, link: Any, practice: Any, cameras: list[Any]) -> None:
    from weft_blender.job import run

    run("fit", FitParams(steps=2), key_dir=practice.key_dir, objects=cameras)
    obj = bpy.data.objects["yard"]
    obj.location, obj.scale = (1, 2, 3), (2, 2, 2)
    bpy.context.view_layer.update()
    params = EditSceneParams(prompt="rust", iterations=2)
    job = run("edit_scene", params, key_dir=practice.key_dir, objects=[obj, *cameras[1:]], cameras="PHOTOS")
    poses = np.array(job.info["camera.poses"])
    assert len(poses) == 2
    np.testing.assert_allclose(poses[0, :3, 3], (pose(0.7)[:3, 3] - (1, 2, 3)) / 2, atol=1e-5)


def test_transparent_photographs_are_fitted_before_white(bpy: Any, cameras: list[Any]) -> None:
    from weft_blender.tasks import TASKS

    task, settings = TASKS["fit"], bpy.context.scene.weft_fit
    assert task.parameters(settings).background == "automatic"
    image = cameras[0].data.background_images[0].image
    image.pixels[3] = 0.5
    assert task.parameters(settings).background == "white"
    settings.background = "grey"
    assert task.parameters(settings).background == "grey"


def test_photographs_that_cannot_be_fitted_are_refused(bpy: Any, link: Any, cameras: list[Any]) -> None:
    from weft_blender import job

    params = FitParams(steps=2)
    with pytest.raises(WireError, match="1 camera with a photograph is selected, expected 2"):
        job.start("fit", params, objects=cameras[:1])
    with pytest.raises(WireError, match="Blender shows no voxels"):
        job.start("fit", FitParams(kind="voxels"), objects=cameras)
    other = bpy.data.images.new("Other", 32, 32)
    cameras[1].data.background_images[0].image = other
    with pytest.raises(WireError, match="'photo_0' has 60 × 40 px, that of 'photo_1' 32 × 32"):
        job.start("fit", params, objects=cameras)
    other.source, other.filepath = "FILE", "/absent.png"
    with pytest.raises(WireError, match=r"the picture '/absent\.png' of 'photo_1' cannot be read"):
        job.start("fit", params, objects=cameras)
    for camera in cameras:
        camera.data.background_images.clear()
    with pytest.raises(WireError, match="no cameras with a photograph are in the scene 'Scene'"):
        job.start("fit", params, objects=cameras)
    assert job.DESK.job is None
