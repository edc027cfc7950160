"""COLMAP's reconstructions: text and binary tell the same, poses mean what COLMAP means, damage is told in one line."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from practice_colmap import Reconstruction, binary, world_to_camera, write_binary, write_text
from practice_shapes import DATA, needs_data

from weft.errors import InvalidCamera, InvalidInput
from weft.geometry.camera import Camera, look_at
from weft.io import save_image
from weft.io.colmap import load_colmap
from weft.io.transforms import load_cameras
from weft.io.view_folder import load_views

LENSES = {
    1: ("SIMPLE_PINHOLE", 40, 30, (50.0, 19.0, 16.0)),
    3: ("PINHOLE", 40, 30, (50.0, 51.0, 19.0, 16.0)),
    4: ("SIMPLE_RADIAL", 40, 30, (50.0, 19.0, 16.0, 0.01)),
    7: ("RADIAL", 40, 30, (50.0, 19.0, 16.0, 0.01, -0.02)),
    9: ("OPENCV", 40, 30, (50.0, 51.0, 19.0, 16.0, 0.01, -0.02, 0.003, 0.004)),
}


def reconstruction() -> Reconstruction:
    """Five cameras that stand anyhow, listed against the order of their names."""
    random = np.random.default_rng(0)
    images = []
    for k, lens in reversed(list(enumerate(LENSES))):
        eye, target, up = (random.normal(size=(3, 3)) * [[3], [0.3], [1]]).tolist()
        pose = look_at(eye, target, up)
        images.append((f"shots/{k} a.png", lens, Camera(pose, 40, 30, 50, 50, 19, 16)))
    points = random.normal(size=(7, 3))
    return Reconstruction(LENSES, images, points, random.integers(0, 256, (7, 3)).astype(np.uint8))


def pictures(folder: Path, made: Reconstruction) -> None:
    for k, (name, _, _) in enumerate(made.images):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save_image(folder / name, np.full((30, 40, 3), 0.1 * k))


@pytest.mark.parametrize("write", [write_text, write_binary])
@pytest.mark.parametrize("place", ["sparse/0", "colmap/sparse/0", "."])
def test_both_formats_give_the_same_cameras_wherever_the_model_lies(tmp_path: Path, write, place: str) -> None:
    made = reconstruction()
    pictures(tmp_path / "images", made)
    write(tmp_path / place, made)
    posed = load_colmap(tmp_path)
    assert posed.warnings == ()
    assert posed.images == tuple((tmp_path / f"images/shots/{k} a.png").resolve() for k in range(5))
    for (_, lens, truth), camera, curve in zip(reversed(made.images), posed.cameras, posed.distortion, strict=True):
        assert np.abs(camera.pose - truth.pose).max() < 1e-9
        params = LENSES[lens][3]
        assert (camera.width, camera.height, camera.cx, camera.cy) == (40, 30, 19, 16)
        assert (camera.fx, camera.fy) == (50, 51 if lens in (3, 9) else 50)
        assert list(curve.values()) == list(params[4:] if lens == 9 else params[3:] if lens in (4, 7) else ())
    assert posed.points is not None
    assert posed.point_colors is not None
    assert np.allclose(posed.points, made.points, atol=1e-6)
    assert np.array_equal(posed.point_colors, made.colors)


def test_points_appear_where_colmap_projects_them(tmp_path: Path) -> None:
    """u = f x/z + cx of R x + t: COLMAP's own equations, against `Camera.project`."""
    made = reconstruction()
    write_binary(tmp_path, made)
    posed = load_colmap(tmp_path)
    for (_, _, truth), camera in zip(reversed(made.images), posed.cameras, strict=True):
        (w, x, y, z), t = world_to_camera(truth)
        rotation = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        seen = made.points @ rotation.T + t
        ahead = seen[:, 2] > 0.1
        xy, depth = camera.project(made.points)
        expected = np.stack([50 * seen[:, 0] / seen[:, 2] + 19, camera.fy * seen[:, 1] / seen[:, 2] + 16], 1)
        assert np.abs(xy - expected)[ahead].max(initial=0) < 1e-2
        assert np.allclose(depth, seen[:, 2], atol=1e-5)


def test_a_project_is_a_folder_of_views(tmp_path: Path) -> None:
    """From the project, from the model alone, with masks of either name; a transforms.json beside it goes first."""
    made = reconstruction()
    made.lenses = dict.fromkeys(LENSES, ("SIMPLE_RADIAL", 40, 30, (50.0, 19.0, 16.0, 0.6)))
    pictures(tmp_path / "images", made)
    write_text(tmp_path / "sparse/0", made)
    (tmp_path / "masks/shots").mkdir(parents=True)
    save_image(tmp_path / "masks/shots/1 a.png.png", np.zeros((30, 40, 3)))
    save_image(tmp_path / "masks/shots/2 a.png", np.zeros((30, 40, 3)))
    views = load_views(tmp_path, size=20)
    assert views.images.shape == (5, 15, 20, 3)
    assert views.points is not None
    assert len(views.points) == 7
    assert views.masks is not None
    assert [mask.any() for mask in views.masks] == [True, False, False, True, True]
    assert views.cameras[0].fx > 25  # undistorted
    assert np.array_equal(load_views(tmp_path / "sparse/0", size=20).images, views.images)
    (tmp_path / "transforms.json").write_text("{}")
    with pytest.raises(InvalidInput, match=r"'transforms\.json' has no frames"):
        load_views(tmp_path)


def test_what_is_missing_is_warned_of(tmp_path: Path) -> None:
    made = reconstruction()
    made.points, made.colors = made.points[:0], made.colors[:0]
    made.images[0] = ("../../secret.png", *made.images[0][1:])
    pictures(tmp_path / "images", made)
    write_binary(tmp_path / "sparse/0", made)
    (tmp_path / "images/shots/1 a.png").unlink()
    write_binary(tmp_path / "sparse/1", made)
    posed = load_colmap(tmp_path)
    assert posed.images.count(None) == 2  # the one outside of the folder is not taken
    assert posed.points is not None
    assert posed.points.shape == (0, 3)
    told = "\n".join(posed.warnings)
    assert "2 of 5 pictures are missing, the first is '../../secret.png'" in told
    assert "no points" in told
    assert "2 models that do not hang together: only '0' is used" in told
    (tmp_path / "sparse/0/points3D.bin").unlink()
    assert load_colmap(tmp_path).warnings == posed.warnings


def test_other_lenses_are_told_with_a_remedy(tmp_path: Path) -> None:
    made = reconstruction()
    made.lenses = dict.fromkeys(LENSES, ("OPENCV_FISHEYE", 40, 30, (50.0, 50.0, 19.0, 16.0, 0.0, 0.0, 0.0, 0.0)))
    for write in (write_text, write_binary):
        write(tmp_path / write.__name__, made)
        with pytest.raises(InvalidCamera, match=r"model OPENCV_FISHEYE, expected SIMPLE_PINHOLE.*image_undistorter"):
            load_colmap(tmp_path / write.__name__)


def test_every_cut_of_a_binary_file_is_told_with_its_name(tmp_path: Path) -> None:
    files = binary(reconstruction())
    write_binary(tmp_path, reconstruction())
    for name, data in files.items():
        for end in (0, 5, 9, len(data) // 2, len(data) - 1):
            (tmp_path / name).write_bytes(data[:end])
            with pytest.raises(InvalidInput, match=f"'{name}' is damaged or not COLMAP's: it ") as caught:
                load_colmap(tmp_path)
            assert "\n" not in str(caught.value)
        for count, message in ((2**60, "says that it holds"), (1, "bytes follow its last record")):
            (tmp_path / name).write_bytes(struct.pack("<Q", count) + data[8:])
            with pytest.raises(InvalidInput, match=message):
                load_colmap(tmp_path)
        (tmp_path / name).write_bytes(data)
    assert len(load_colmap(tmp_path).cameras) == 5


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("cameras.txt", "3 PINHOLE 40 30", "3 PINHOLE 40", "'cameras.txt' is damaged"),
        ("cameras.txt", "3 PINHOLE 40 30 50.0", "3 PINHOLE 40 30", "PINHOLE of COLMAP has 3 parameters, expected 4"),
        ("cameras.txt", "40 30", "0 30", "is for 0×30 px"),
        ("cameras.txt", "3 PINHOLE", "5 PINHOLE", "taken by camera 3, which there is not"),
        ("cameras.txt", "50.0", "-50.0", "focal length is -50"),
        ("images.txt", " 9 shots/4 a.png", "", "an image has 8 values, expected 10"),
        ("images.txt", "-1 3.5", "3.5", "keypoints of .* are not three values each"),
        ("points3D.txt", "0.5 1", "x", None),
        ("points3D.txt", "\n3 ", "\nthird ", None),
        ("points3D.txt", "\n7 ", "\n7 nan x ", "'points3D.txt' is damaged"),
    ],
)
def test_text_that_makes_no_sense_is_told(tmp_path: Path, file: str, old: str, new: str, message: str | None) -> None:
    write_text(tmp_path, reconstruction())
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    if message is None:  # what is not needed may be anything
        load_colmap(tmp_path)
        return
    with pytest.raises(InvalidInput, match=message):
        load_colmap(tmp_path)


def test_a_folder_without_a_model_and_a_rotation_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no cameras and images of COLMAP"):
        load_colmap(tmp_path)
    files = binary(reconstruction())
    write_binary(tmp_path, reconstruction())
    (tmp_path / "images.bin").write_bytes(files["images.bin"][:12] + bytes(32) + files["images.bin"][44:])
    with pytest.raises(InvalidCamera, match=r"quaternion is \[0.0, 0.0, 0.0, 0.0\]"):
        load_colmap(tmp_path)
    (tmp_path / "images.bin").write_bytes(bytes(8))
    with pytest.raises(InvalidInput, match=r"'images\.bin' holds no images"):
        load_colmap(tmp_path)
    (tmp_path / "images.bin").unlink()
    (tmp_path / "images.txt").write_bytes(files["images.bin"])
    with pytest.raises(InvalidInput, match=r"'images\.txt' is damaged or not COLMAP's: it is not text"):
        load_colmap(tmp_path)


@needs_data
def test_the_real_fox_is_the_same_by_either_file(tmp_path: Path) -> None:
    """Its transforms.json, written as COLMAP would have it: the same pictures, poses and lens."""
    fox = DATA / "fox_270x480"
    posed = load_cameras(fox / "transforms.json")
    lens, curve = posed.cameras[0], posed.distortion[0]
    params = (lens.fx, lens.fy, lens.cx, lens.cy, *(curve.get(name, 0.0) for name in ("k1", "k2", "p1", "p2")))
    known = [(camera, file) for camera, file in zip(posed.cameras, posed.images, strict=True) if file is not None]
    images = [(file.name, 1, camera) for camera, file in known]
    write_binary(tmp_path / "sparse/0", Reconstruction({1: ("OPENCV", lens.width, lens.height, params)}, images))
    (tmp_path / "images").symlink_to(known[0][1].parent)
    found = load_colmap(tmp_path)
    assert len(known) == 50
    assert found.warnings == ("the reconstruction has no points, so that depth is found from pictures alone",)
    by_name = sorted(known, key=lambda pair: pair[1].name)
    for camera, file, distortion, (truth, picture) in zip(
        found.cameras, found.images, found.distortion, by_name, strict=True
    ):
        assert file == picture
        assert np.abs(camera.pose - truth.pose).max() < 1e-5
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == (lens.fx, lens.fy, lens.cx, lens.cy)
        assert distortion == {name: curve.get(name, 0.0) for name in ("k1", "k2", "p1", "p2")}
