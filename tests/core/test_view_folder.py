"""Folders of posed pictures: undistorted, scaled, chosen, with what masks and depth they bring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from practice_shapes import DATA, needs_data

from weft.errors import InvalidCamera, InvalidImage, InvalidInput
from weft.geometry.camera import Camera, orbit
from weft.geometry.undistort import distorted, resampled, undistorted
from weft.io import save_image
from weft.io.view_folder import ViewFolder, load_views

LENS = {"fl_x": 50, "fl_y": 52, "cx": 19.0, "cy": 16.0, "w": 40, "h": 30}
CURVED = {"k1": 0.2, "k2": -0.05, "k3": 0.01, "p1": 0.004, "p2": -0.003}


def write(folder: Path, names: list[str], **more: Any) -> None:
    frames = [{"file_path": name, "transform_matrix": orbit(20.0 * k, 10, 4).tolist()} for k, name in enumerate(names)]
    (folder / "transforms.json").write_text(json.dumps({**LENS, "frames": frames, **more}))


def smooth(height: int = 30, width: int = 40) -> np.ndarray:
    row, column = np.mgrid[:height, :width]
    return np.stack([row / height, column / width, np.full(row.shape, 0.3)], -1)


def folder_of(folder: Path, count: int = 3, **more: Any) -> ViewFolder:
    names = [f"{k}.png" for k in range(count)]
    for name in names:
        save_image(folder / name, smooth())
    write(folder, names, **more)
    return load_views(folder)


def test_a_plain_folder_is_read_as_it_is(tmp_path: Path) -> None:
    views = folder_of(tmp_path)
    assert views.images.shape == (3, 30, 40, 3)
    assert np.abs(views.images[0] - smooth()).max() < 1 / 255
    assert [file.name for file in views.files] == ["0.png", "1.png", "2.png"]
    assert (views.masks, views.depths, views.warnings) == (None, None, ())
    assert [c.fx for c in views.cameras] == [50, 50, 50]
    assert np.array_equal(views.cameras[1].pose, orbit(20, 10, 4))
    assert load_views(tmp_path / "transforms.json").images.shape == views.images.shape


def test_scaling_keeps_where_points_appear(tmp_path: Path) -> None:
    folder_of(tmp_path)
    whole, small = load_views(tmp_path), load_views(tmp_path, size=20)
    assert small.images.shape == (3, 15, 20, 3)
    points = np.random.default_rng(0).normal(size=(20, 3)) * 0.3
    for large_camera, small_camera in zip(whole.cameras, small.cameras, strict=True):
        assert np.abs(large_camera.project(points)[0] / 2 - small_camera.project(points)[0]).max() < 1e-4
    assert load_views(tmp_path, size=4000).images.shape == whole.images.shape


def test_undistortion_brings_points_where_the_pinhole_sees_them() -> None:
    """A picture whose colours are their own positions, seen through a curved lens."""
    camera = Camera(np.eye(4), 64, 48, 60.0, 61.0, 31.0, 25.0)
    pinhole, at = undistorted(camera, CURVED)
    assert at is not None
    row, column = np.mgrid[:48, :64].astype(np.float64)
    picture = np.stack([row, column], -1)
    seen = resampled(picture, at)
    for i, j in ((4, 5), (24, 31), (40, 60)):
        ideal = np.array([(j + 0.5 - pinhole.cx) / pinhole.fx, (i + 0.5 - pinhole.cy) / pinhole.fy])
        x, y = distorted(ideal[0], ideal[1], CURVED)
        expected = camera.cy + camera.fy * y - 0.5, camera.cx + camera.fx * x - 0.5
        assert np.abs(seen[i, j] - expected).max() < 0.02
    assert (pinhole.width, pinhole.height, pinhole.cx) == (64, 48, 31.0)
    assert 1 < pinhole.fx / camera.fx < 1.3
    assert undistorted(camera, {"k1": 0.0}) == (camera, None)


def test_a_lens_that_leaves_no_frame_is_refused() -> None:
    with pytest.raises(InvalidCamera, match="k1=-9"):
        undistorted(Camera(np.eye(4), 64, 48, 20.0, 20.0, 32.0, 24.0), {"k1": -9.0})


def test_masks_from_files_and_from_transparency(tmp_path: Path) -> None:
    white = np.ones((30, 40, 3))
    white[:, :20] = 0
    save_image(tmp_path / "mask.png", white)
    rgba = np.full((30, 40, 4), 255, np.uint8)
    rgba[:10, :, 3] = 0
    rgba[..., :3] = 7
    Image.fromarray(rgba).save(tmp_path / "b.png")
    save_image(tmp_path / "a.png", smooth())
    save_image(tmp_path / "c.png", smooth())
    write(tmp_path, ["a.png", "b.png", "c.png"])
    document = json.loads((tmp_path / "transforms.json").read_text())
    document["frames"][0]["mask_path"] = "mask.png"
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    views = load_views(tmp_path)
    assert views.masks is not None
    assert np.array_equal(views.masks[0], white[..., 0] > 0)
    assert np.array_equal(views.masks[1], rgba[..., 3] > 0)
    assert views.masks[2].all()
    assert views.images[1, 0, 0, 0] == 1  # over white


def test_masks_of_an_object_follow_their_pictures(tmp_path: Path) -> None:
    """Through lens and scale: an object's grey is where its mask is. Views that do not show it have black masks."""
    (tmp_path / "masks").mkdir()
    inside = np.zeros((30, 40, 3))
    inside[4:14, 22:38] = 1
    for k in range(3):
        save_image(tmp_path / f"{k}.png", np.where(inside, 1.0, 0.0) if k else np.zeros_like(inside))
        save_image(tmp_path / f"masks/{k}.png", inside if k else np.zeros_like(inside))
    write(tmp_path, ["0.png", "1.png", "2.png"], k1=0.3)
    for size in (0, 20):
        views = load_views(tmp_path, size=size, objects=tmp_path / "masks")
        assert views.objects is not None
        assert not views.objects[0].any()
        assert ((views.images[1:, ..., 0] > 0.5) != views.objects[1:]).mean() < 0.02
    save_image(tmp_path / "masks/1.png", inside[:20])
    with pytest.raises(InvalidInput, match="40×20 px, its picture 40×30 px"):
        load_views(tmp_path, objects=tmp_path / "masks")
    (tmp_path / "masks/1.png").unlink()
    with pytest.raises(InvalidInput, match="no mask called '1'"):
        load_views(tmp_path, objects=tmp_path / "masks")


def test_depth_in_millimetres_or_in_the_files_unit(tmp_path: Path) -> None:
    steps = np.full((30, 40), 2500, np.uint16)
    steps[0] = 0
    Image.fromarray(steps).save(tmp_path / "depth.png")
    folder_of(tmp_path)
    document = json.loads((tmp_path / "transforms.json").read_text())
    document["frames"][1]["depth_file_path"] = "depth.png"
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    depths = load_views(tmp_path).depths
    assert depths is not None
    assert np.isinf(depths[0]).all()
    assert np.isinf(depths[1, 0]).all()
    assert np.allclose(depths[1, 1:], 2.5)
    (tmp_path / "transforms.json").write_text(json.dumps(document | {"depth_unit_scale_factor": 0.01}))
    scaled = load_views(tmp_path, size=20).depths
    assert scaled is not None
    assert np.allclose(scaled[1, 1:], 25)
    save_image(tmp_path / "depth.png", smooth())
    with pytest.raises(InvalidImage, match=r"'depth\.png' is a picture of the mode RGB"):
        load_views(tmp_path)


def test_some_of_many_and_missing_ones(tmp_path: Path) -> None:
    folder_of(tmp_path, 6)
    (tmp_path / "2.png").unlink()
    views = load_views(tmp_path, count=3)
    assert len(views.images) == 3
    assert "2.png" not in [file.name for file in views.files]
    assert "1 of 6 pictures are missing" in views.warnings[0]


def test_what_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"has no transforms\.json"):
        load_views(tmp_path)
    write(tmp_path, ["a.png", "b.png"])
    with pytest.raises(InvalidInput, match="has 0 view to use, expected 2 or more; 2 of 2 pictures are missing"):
        load_views(tmp_path)
    save_image(tmp_path / "a.png", smooth())
    with pytest.raises(InvalidInput, match="has 1 view to use"):
        load_views(tmp_path)
    save_image(tmp_path / "b.png", np.zeros((60, 80, 3)))
    with pytest.raises(InvalidImage, match=r"'a\.png' is 40×30 px, 'b\.png' is 80×60 px: expected views of one size"):
        load_views(tmp_path)
    save_image(tmp_path / "b.png", np.zeros((40, 40, 3)))
    with pytest.raises(InvalidCamera, match=r"'b\.png' has the shape of 40×40 px, its camera is for 40×30"):
        load_views(tmp_path)
    with pytest.raises(InvalidInput, match="1 view asked for"):
        load_views(tmp_path, count=1)


@needs_data
def test_the_real_fox_and_lego() -> None:
    fox = load_views(DATA / "fox_270x480", size=96, count=4)
    assert fox.images.shape == (4, 96, 54, 3)
    assert fox.masks is None
    assert 1 < fox.cameras[0].fx / (343.88 * 54 / 270) < 1.03
    lego = load_views(DATA / "lego_200", size=50, count=4)
    assert lego.images.shape == (4, 50, 50, 3)
    assert lego.masks is not None
    assert 0.1 < lego.masks.mean() < 0.6
    assert (lego.images[~lego.masks] > 0.4).mean() > 0.9
