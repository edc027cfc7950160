"""Pictures keep every value on their way into Blender and back."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.blender


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_round_trip_through_a_blender_image(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.pixels import to_blender, to_wire

    picture = noise(20, 31)
    image = bpy.data.images.new("Picture", 31, 20)
    image.pixels.foreach_set(to_blender(picture))
    back = np.empty(20 * 31 * 4, np.float32)
    image.pixels.foreach_get(back)
    np.testing.assert_array_equal(to_wire(back, 31, 20, linear=False), picture)


@pytest.mark.parametrize("shape", [(1, 1), (33, 20), (64, 64)])
def test_png_is_what_blender_reads(bpy: Any, addon: ModuleType, tmp_path: Path, shape: tuple[int, int]) -> None:
    from weft_blender.pixels import encode_png, to_wire

    picture = noise(*shape)
    (tmp_path / "a.png").write_bytes(encode_png(picture))
    image = bpy.data.images.load(str(tmp_path / "a.png"))
    read = np.empty(shape[0] * shape[1] * 4, np.float32)
    image.pixels.foreach_get(read)
    np.testing.assert_array_equal(to_wire(read, shape[1], shape[0], linear=False), picture)


def test_shrinking_keeps_the_mean(addon: ModuleType) -> None:
    from weft_blender.pixels import shrink

    picture = noise(90, 120)
    small = shrink(picture, 40)
    assert small.shape == (30, 40, 3)
    assert small.mean() == pytest.approx(picture.mean(), abs=0.5)
    assert shrink(picture, 120) is picture


def test_linear_pictures_are_encoded_and_transparency_is_white(addon: ModuleType) -> None:
    from weft_blender.pixels import to_wire

    pixels = np.array([0.2158605, 0, 1, 1, 0, 0, 0, 0], np.float32)
    np.testing.assert_array_equal(to_wire(pixels, 2, 1, linear=True), [[[128, 0, 255], [255, 255, 255]]])


def test_reference_files(bpy: Any, addon: ModuleType, tmp_path: Path) -> None:
    from weft_blender.exemplar import read_file
    from weft_blender.pixels import encode_png

    picture = noise(40, 50)
    (tmp_path / "good.png").write_bytes(encode_png(picture))
    np.testing.assert_array_equal(read_file(str(tmp_path / "good.png")), picture)
    assert not bpy.data.images


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("absent.png", None, "unreadable_image"),
        ("text.png", b"no picture", "unreadable_image"),
        ("tiny.png", b"", "small_image"),
    ],
)
def test_bad_references_give_one_line(
    bpy: Any, addon: ModuleType, tmp_path: Path, name: str, content: bytes | None, code: str
) -> None:
    from weft_blender.errors import SceneError
    from weft_blender.exemplar import read_file
    from weft_blender.pixels import encode_png

    path = tmp_path / name
    if content is not None:
        path.write_bytes(content or encode_png(noise(4, 4)))
    with pytest.raises(SceneError) as caught:
        read_file(str(path))
    assert caught.value.code == code
    assert name in caught.value.message
    assert "\n" not in str(caught.value)
    assert not bpy.data.images
