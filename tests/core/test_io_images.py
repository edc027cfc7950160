"""Images through files: what is written comes back, what cannot be read says why."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from weft.errors import InvalidImage, InvalidInput, WeftError
from weft.io import from_bytes, load_image, save_gif, save_image, to_bytes


@pytest.fixture
def picture() -> np.ndarray:
    """f4 [24, 36, 3] in steps of 1/255."""
    return from_bytes(np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8))


@given(arrays.arrays(np.uint8, (3, 4, 3)))
def test_bytes_come_back(data: np.ndarray) -> None:
    assert np.array_equal(to_bytes(from_bytes(data)), data)


@given(st.floats(-2, 3))
def test_to_bytes_rounds_to_nearest_and_clamps(value: float) -> None:
    byte = int(to_bytes(np.array([value]))[0])
    assert abs(byte / 255 - min(max(value, 0), 1)) <= 0.5 / 255 + 1e-9


def test_nan_is_refused() -> None:
    with pytest.raises(InvalidImage, match="NaN"):
        to_bytes(np.array([np.nan]))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".PNG"])
def test_lossless_formats_round_trip(tmp_path: Path, picture: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"deep/er/picture{suffix}"
    save_image(path, picture)
    assert np.array_equal(load_image(path), picture)
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing partial is left


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_are_close(tmp_path: Path, suffix: str) -> None:
    y, x = np.mgrid[:32, :48] / 48
    smooth = np.stack([x, y, 1 - x], -1).astype(np.float32)
    save_image(tmp_path / f"a{suffix}", smooth)
    assert np.abs(load_image(tmp_path / f"a{suffix}") - smooth).mean() < 0.02


def test_what_shows_nothing_is_refused(tmp_path: Path) -> None:
    Image.new("RGBA", (24, 24), (200, 30, 30, 0)).save(tmp_path / "clear.png")
    with pytest.raises(InvalidImage, match=r"clear\.png.*transparent everywhere"):
        load_image(tmp_path / "clear.png")


def test_alpha_is_laid_over_white(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[..., 0] = 255
    pixels[0, :, 3] = 51
    pixels[1, :, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = load_image(tmp_path / "a.png")
    assert image[0] == pytest.approx(np.array([[1, 0.8, 0.8]] * 3), abs=1e-6)
    assert image[1] == pytest.approx(np.array([[1, 0, 0]] * 3), abs=1e-6)


def test_sixteen_bits_grey_palette_and_cmyk(tmp_path: Path) -> None:
    grey = np.linspace(0, 65535, 12).astype(np.uint16).reshape(3, 4)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    assert load_image(tmp_path / "deep.png")[..., 1] == pytest.approx(grey / 65535, abs=1e-6)
    flat = Image.new("RGB", (5, 4), (200, 100, 50))
    for mode, suffix in (("L", "png"), ("P", "png"), ("CMYK", "jpg"), ("1", "png")):
        flat.convert(mode).save(tmp_path / f"{mode}.{suffix}")
        assert load_image(tmp_path / f"{mode}.{suffix}").shape == (4, 5, 3)


def test_exif_orientation_turns_the_photograph(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[274] = 6  # the camera was held a quarter turn clockwise
    image.save(tmp_path / "a.jpg", exif=exif)
    loaded = load_image(tmp_path / "a.jpg")
    assert loaded.shape == (40, 20, 3)
    assert loaded[:18].max() < 0.1
    assert loaded[22:].min() > 0.9


def truncated_png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()[:3000]


@pytest.mark.parametrize("data", [b"", b"not an image at all", truncated_png(), b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_unreadable_images_say_so_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    with pytest.raises(InvalidImage) as caught:
        load_image(path)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert "photo.png" in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(InvalidInput) as caught:
            load_image(path)
        assert caught.value.hint


def test_what_cannot_be_written_says_so(tmp_path: Path, picture: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="image format"):
        save_image(tmp_path / "a.docx", picture)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeftError, match="cannot write"):
        save_image(tmp_path / "file" / "a.png", picture)
    with pytest.raises(InvalidImage, match="shape"):
        save_image(tmp_path / "a.png", picture[..., :2])


def test_gif_keeps_frames_and_time(tmp_path: Path) -> None:
    frames = [np.full((16, 20, 3), level, np.float32) for level in (0.0, 0.5, 1.0)]
    save_gif(frames, tmp_path / "turn.gif", fps=10)
    with Image.open(tmp_path / "turn.gif") as gif:
        assert gif.info["duration"] == 100
        assert gif.info["loop"] == 0
        shown = []
        for number in range(getattr(gif, "n_frames", 1)):
            gif.seek(number)
            shown.append(np.asarray(gif.convert("RGB")).mean() / 255)
    assert shown == pytest.approx([0, 0.5, 1], abs=0.03)
    with pytest.raises(InvalidImage):
        save_gif([], tmp_path / "none.gif")
    with pytest.raises(InvalidInput):
        save_gif(frames, tmp_path / "fast.gif", fps=1000)
