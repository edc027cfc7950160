"""Depth maps: what is written comes back, larger stays farther, and what cannot be used is refused in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weft.errors import InvalidImage, InvalidInput, MissingDependency, WeftError
from weft.io.depth import check_distances, load_depth


def ramp(height: int = 8, width: int = 16) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.5, 40, (height, width)).astype(np.float32)


def write_exr(path: Path, **channels: np.ndarray) -> Path:
    OpenEXR = pytest.importorskip("OpenEXR", reason="pip install OpenEXR")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    named = {name.replace("__", "."): np.ascontiguousarray(pixels) for name, pixels in channels.items()}
    with OpenEXR.File(header, named) as file:
        file.write(str(path))
    return path


@pytest.mark.parametrize("channel", ["Z", "Y", "R", "V", "ViewLayer__Depth__Z", "depth"])
def test_an_exr_comes_back_exactly(tmp_path, channel):
    depth = ramp()
    depth[2, 3] = np.inf
    assert np.array_equal(load_depth(write_exr(tmp_path / "d.exr", **{channel: depth})), depth)


def test_half_floats_are_read(tmp_path):
    depth = ramp().astype(np.float16)
    assert np.array_equal(load_depth(write_exr(tmp_path / "d.exr", Z=depth)), depth.astype(np.float32))


def test_the_depth_among_colours_is_found(tmp_path):
    colour = {name: np.zeros((8, 16), np.float32) for name in ("R", "G", "B", "A")}
    path = write_exr(tmp_path / "d.exr", **colour, View__Z=ramp())
    assert np.array_equal(load_depth(path), ramp())


def test_blenders_far_away_is_sky(tmp_path):
    depth = ramp()
    depth[0] = 1e10
    assert np.isinf(load_depth(write_exr(tmp_path / "d.exr", Z=depth))[0]).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_levels_of_a_png_are_distances(tmp_path, dtype):
    levels = np.random.default_rng(1).integers(1, np.iinfo(dtype).max, (8, 16)).astype(dtype)
    Image.fromarray(levels).save(tmp_path / "d.png")
    assert np.array_equal(load_depth(tmp_path / "d.png"), levels.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_with_black_is_relative_and_its_order_is_kept(tmp_path, dtype):
    """Never modulo 256: a ramp over all levels stays a ramp."""
    levels = np.linspace(0, np.iinfo(dtype).max - 1, 300).astype(dtype).reshape(1, -1).repeat(4, 0)
    Image.fromarray(levels).save(tmp_path / "d.png")
    depth = load_depth(tmp_path / "d.png")
    assert (np.diff(depth[0]) >= 0).all()
    assert depth.min() > 0
    assert np.isclose(depth.max() / depth.min(), 8, rtol=1e-3)


def test_much_full_white_is_sky_and_little_is_far(tmp_path):
    levels = np.arange(200, dtype=np.uint8).reshape(10, 20) + 1
    for count, sky in ((1, 0), (40, 40)):
        changed = levels.copy()
        changed.reshape(-1)[:count] = 255
        Image.fromarray(changed).save(tmp_path / "d.png")
        assert np.isinf(load_depth(tmp_path / "d.png")).sum() == sky


def test_grey_saved_as_colour_is_read_and_colour_is_refused(tmp_path):
    grey = np.arange(1, 129, dtype=np.uint8).reshape(8, 16)
    Image.fromarray(np.repeat(grey[..., None], 3, -1)).save(tmp_path / "grey.png")
    assert np.array_equal(load_depth(tmp_path / "grey.png"), grey.astype(np.float32))
    colour = np.stack([grey, grey[::-1], grey], -1)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    with pytest.raises(InvalidImage, match="coloured"):
        load_depth(tmp_path / "colour.png")


@pytest.mark.parametrize(
    ("depth", "what"),
    [
        (np.full((4, 8), 3.0), "everywhere"),
        (np.full((4, 8), np.inf), "nothing but sky"),
        (np.zeros((4, 8)), "nothing but sky"),
        (np.where(np.eye(4, 8), np.nan, 1.0), "4 NaN"),
        (np.zeros((0, 8)), "shape"),
        (np.ones((4, 8, 3)), "shape"),
    ],
)
def test_maps_without_a_meaning_are_refused(depth, what):
    with pytest.raises(InvalidInput, match=what) as caught:
        check_distances(depth)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_sky_on_one_distance_is_a_map():
    depth = np.full((4, 8), 2.0)
    depth[0] = -1
    assert np.isinf(check_distances(depth)[0]).all()


def test_nan_in_a_file_is_refused_by_its_name(tmp_path):
    depth = ramp()
    depth[1, 1] = np.nan
    with pytest.raises(InvalidInput, match=r"d\.exr.*1 NaN"):
        load_depth(write_exr(tmp_path / "d.exr", Z=depth))


def test_files_that_cannot_be_read_are_one_clear_line(tmp_path, capfd):
    (tmp_path / "noise.exr").write_bytes(bytes(range(200)))
    (tmp_path / "noise.png").write_bytes(bytes(range(200)))
    (tmp_path / "empty.png").write_bytes(b"")
    whole = write_exr(tmp_path / "whole.exr", Z=ramp(64, 64)).read_bytes()
    (tmp_path / "half.exr").write_bytes(whole[: len(whole) // 2])
    for name in ("noise.exr", "noise.png", "empty.png", "half.exr", "missing.exr", "missing.png"):
        with pytest.raises(WeftError, match=name.partition(".")[0]) as caught:
            load_depth(tmp_path / name)
        assert "\n" not in str(caught.value)
    print("heard again")
    assert capfd.readouterr() == ("heard again\n", "")  # nor does a library complain past Python


def test_without_depth_among_its_channels_an_exr_is_refused(tmp_path):
    path = write_exr(tmp_path / "d.exr", U=ramp(), W=ramp())
    with pytest.raises(InvalidImage, match="no depth channel"):
        load_depth(path)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "d.exr").write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(MissingDependency, match="OpenEXR") as caught:
        load_depth(tmp_path / "d.exr")
    assert "pip install OpenEXR" in caught.value.hint
