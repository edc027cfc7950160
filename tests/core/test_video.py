"""Videos and folders of frames: what is written comes back, what cannot be read says why."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weft.errors import InvalidImage, InvalidInput, WeftError
from weft.io.video import load_frames, save_video
from weft.metrics import psnr

av = pytest.importorskip("av", reason="PyAV is not installed")


def moving(count: int = 8, height: int = 48, width: int = 64) -> np.ndarray:
    """u1 [count, height, width, 3]: strong colours that drift, none like its mirror image."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    frames = [np.stack([0.8 * x + 0.02 * k, y, 1 - x], -1) for k in range(count)]
    return np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)


def encoded(path: Path, frames: np.ndarray, times: Sequence[int] | None = None, turned: int = 0, size: int = 0) -> Path:
    """An MP4 as others write it: times in ms, turned by so many degrees; `size`: the width of the last frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if turned:
            stream.set_display_rotation(turned)
        for k, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = times[k] if times else 40 * k, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def near(a: np.ndarray, b: np.ndarray) -> float:
    return psnr(a[0] / 255, b[0] / 255)


# MP4


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25)])
def test_frames_rate_and_colours_come_back(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    frames = moving()
    assert save_video(tmp_path / f"deep/a{suffix}", frames, rate) == ()
    read = load_frames(tmp_path / f"deep/a{suffix}")
    assert (read.rate, read.warnings, read.images.shape) == (rate, (), frames.shape)
    assert min(psnr(a / 255, b / 255) for a, b in zip(read.images, frames, strict=True)) > 38
    assert [path.name for path in (tmp_path / "deep").iterdir()] == [f"a{suffix}"]  # nothing partial is left


def test_colours_do_not_darken_from_generation_to_generation(tmp_path: Path) -> None:
    colours = np.array([(200, 90, 40), (30, 160, 210), (128, 128, 128), (240, 240, 10)], np.uint8)
    frames = first = np.repeat(colours.repeat(32, 0)[None, None], 32, 1).repeat(2, 0)
    for k in range(4):
        save_video(tmp_path / f"{k}.mp4", frames, 25)
        frames = load_frames(tmp_path / f"{k}.mp4").images
    inner = [slice(32 * i + 8, 32 * i + 24) for i in range(4)]  # away from borders, whose chroma is shared
    drift = [frames[0][:, part].mean((0, 1)) - first[0][:, part].mean((0, 1)) for part in inner]
    assert np.abs(drift).max() <= 2.5


def test_the_file_says_which_colours_it_has(tmp_path: Path) -> None:
    save_video(tmp_path / "a.mp4", moving(2), 25)
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)


def test_odd_sides_grow_by_a_pixel_and_it_is_told(tmp_path: Path) -> None:
    frames = moving(3, 47, 63)
    (told,) = save_video(tmp_path / "a.mp4", frames, 25)
    assert "63×47 px became 64×48" in told
    assert psnr(load_frames(tmp_path / "a.mp4").images[1, :47, :63] / 255, frames[1] / 255) > 38


@pytest.mark.parametrize("turned", [90, 180, -90])
def test_videos_of_telephones_stand_upright(tmp_path: Path, turned: int) -> None:
    frames = moving(2)
    read = load_frames(encoded(tmp_path / "a.mp4", frames, turned=turned))
    assert near(read.images, np.rot90(frames, turned // 90, (1, 2))) > 38


def test_a_part_is_read_and_smaller(tmp_path: Path) -> None:
    frames = moving(9)
    save_video(tmp_path / "a.mp4", frames, 25)
    read = load_frames(tmp_path / "a.mp4", first=3, count=4)
    assert read.names == ("0004", "0005", "0006", "0007")
    assert all(psnr(a / 255, b / 255) > 38 for a, b in zip(read.images, frames[3:7], strict=True))
    small = load_frames(tmp_path / "a.mp4", size=32, first=7)
    assert small.images.shape == (2, 24, 32, 3)
    assert load_frames(tmp_path / "a.mp4", size=500).images.shape == frames.shape  # never larger than it is
    with pytest.raises(InvalidInput, match="9 frames, none from frame 9"):
        load_frames(tmp_path / "a.mp4", first=9)


def test_uneven_frames_are_brought_to_the_rate_of_most_and_it_is_told(tmp_path: Path) -> None:
    """30 a second, the fourth of which stays for three; and one that comes too early is left out."""
    frames = moving(7)
    times = [0, 33, 67, 100, 200, 233, 240]
    read = load_frames(encoded(tmp_path / "a.mp4", frames, times))
    assert read.rate == 30
    (told,) = read.warnings
    assert "constant 30 a second" in told
    assert "repeats 2" in told
    assert "leaves out 1" in told
    assert len(read.images) == 8
    shown = [0, 1, 2, 3, 3, 3, 4, 6]
    assert all(psnr(a / 255, frames[k] / 255) > 38 for a, k in zip(read.images, shown, strict=True))


def test_clocks_that_tremble_are_no_uneven_frames(tmp_path: Path) -> None:
    times = [0, 36, 64, 102, 131, 168, 199, 233]
    read = load_frames(encoded(tmp_path / "a.mp4", moving(), times))
    assert (read.rate, read.warnings, len(read.images)) == (30, (), 8)


def test_sound_is_told_of_and_alone_refused(tmp_path: Path) -> None:
    for name, pictures in (("both.mp4", True), ("sound.m4a", False)):
        with av.open(str(tmp_path / name), "w", format="mp4") as container:
            shown = container.add_stream("libx264", rate=25) if pictures else None
            sound = container.add_stream("aac", rate=8000, layout="mono")
            if shown is not None:
                shown.height, shown.width, shown.pix_fmt = 48, 64, "yuv420p"
                for frame in moving(3):
                    container.mux(shown.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
                container.mux(shown.encode())
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            samples.sample_rate = 8000
            container.mux(sound.encode(samples))
            container.mux(sound.encode())
    (told,) = load_frames(tmp_path / "both.mp4").warnings
    assert "sound" in told
    with pytest.raises(InvalidInput, match="sound but no pictures"):
        load_frames(tmp_path / "sound.m4a")


def test_what_is_no_whole_video_says_so_in_one_line(tmp_path: Path) -> None:
    grain = np.random.default_rng(1).integers(0, 60, (12, 48, 64, 3), dtype=np.uint8)
    save_video(tmp_path / "whole.mp4", moving(12) // 2 + grain, 25)
    whole = (tmp_path / "whole.mp4").read_bytes()
    noise = np.random.default_rng(0).bytes(3000)  # over the beginnings of frames
    broken = {
        "empty": b"",
        "text": b"this is no video\n" * 50,
        "cut": whole[: len(whole) * 6 // 10],
        "frayed": whole[:-40],
        "holed": whole[: len(whole) // 2] + noise + whole[len(whole) // 2 + 3000 :],
    }
    for name, data in broken.items():
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(data)
        with pytest.raises(WeftError) as caught:
            load_frames(path)
        assert caught.value.hint
        assert "\n" not in str(caught.value)
        assert f"{name}.mp4" in str(caught.value)
    with pytest.raises(InvalidImage, match=r"of 12 frames (\d+) can be read") as caught:
        load_frames(tmp_path / "frayed.mp4")
    kept = int(str(caught.value).split("frames ")[1].split()[0])
    assert len(load_frames(tmp_path / "frayed.mp4", count=kept).images) == kept  # the hint is true


def test_more_than_memory_holds_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.io.video_decoding.MOST_BYTES", 48 * 64 * 3 * 6)
    save_video(tmp_path / "a.mp4", moving(), 25)
    save_video(tmp_path / "a", moving(), None)
    for path in (tmp_path / "a.mp4", tmp_path / "a"):
        with pytest.raises(InvalidInput, match="8 frames of 64×48 px"):
            load_frames(path)
        assert len(load_frames(path, count=6).images) == 6
        assert len(load_frames(path, size=32).images) == 8


# Folders


def test_folders_come_back_exactly_and_in_natural_order(tmp_path: Path) -> None:
    frames = moving(12)
    save_video(tmp_path / "a", frames, None, names=tuple(f"shot {k}" for k in range(12)))
    (tmp_path / "a" / "notes.txt").write_text("no frame")
    read = load_frames(tmp_path / "a")
    assert np.array_equal(read.images, frames)
    assert read.names[9:] == ("shot 9", "shot 10", "shot 11")
    assert (read.rate, read.warnings) == (None, ())
    assert load_frames(tmp_path / "a", size=32, first=2, count=3).images.shape == (3, 24, 32, 3)
    (tmp_path / "a" / "shot 3.png").unlink()
    (told,) = load_frames(tmp_path / "a").warnings
    assert "1 frames are missing" in told
    assert "number 3" in told


def test_frames_of_a_folder_become_a_video_at_a_usual_rate_and_it_is_told(tmp_path: Path) -> None:
    (told,) = save_video(tmp_path / "a.mp4", moving(2), None)
    assert "24 a second" in told
    assert load_frames(tmp_path / "a.mp4").rate == 24


def test_folders_that_are_no_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no pictures"):
        load_frames(tmp_path)
    Image.fromarray(moving(1)[0]).save(tmp_path / "1.png")
    Image.fromarray(moving(1)[0, :40]).save(tmp_path / "2.png")
    with pytest.raises(InvalidImage, match=r"2\.png.*64×40 px, the first frame 64×48"):
        load_frames(tmp_path)
    Image.fromarray(moving(1)[0]).save(tmp_path / "2.jpg")
    with pytest.raises(InvalidInput, match="one frame twice"):
        load_frames(tmp_path)
    with pytest.raises(InvalidInput, match="no file"):
        load_frames(tmp_path / "absent.mp4")


def test_what_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no video format"):
        save_video(tmp_path / "a.avi", moving(2), 25)
    with pytest.raises(InvalidInput, match="0 frames a second"):
        save_video(tmp_path / "a.mp4", moving(2), 0.0)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidInput, match="cannot write"):
        save_video(tmp_path / "file" / "a.mp4", moving(2), 25)
    with pytest.raises(InvalidImage, match="one or more"):
        save_video(tmp_path / "a.mp4", moving(1)[:0], 25)
