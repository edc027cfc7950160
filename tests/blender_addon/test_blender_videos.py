"""Videos in Blender: sequences, movies, clips and strips are read, and become new sequences beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weft_wire.errors import WireError
from weft_wire.jobs import EditVideoParams

pytestmark = pytest.mark.blender

VIDEO = EditVideoParams(prompt="snow", iterations=2)


def run(practice: Any, **sources: Any) -> Any:
    from weft_blender.job import run

    return run("edit_video", VIDEO, key_dir=practice.key_dir, previews=True, **sources)


def make_frames(folder: Path, count: int = 4) -> np.ndarray:
    from weft_blender.pixels import encode_png

    frames = np.random.default_rng(1).integers(0, 256, (count, 40, 48, 3), dtype=np.uint8)
    for number, frame in enumerate(frames, 7):
        (folder / f"shot_{number:03d}.png").write_bytes(encode_png(frame))
    return frames


@pytest.fixture
def shot(bpy: Any, tmp_path: Path) -> tuple[Any, np.ndarray]:
    """An image sequence in Blender, and its frames."""
    frames = make_frames(tmp_path)
    image = bpy.data.images.load(str(tmp_path / "shot_007.png"))
    image.source = "SEQUENCE"
    return image, frames


def test_video_becomes_a_new_sequence(
    bpy: Any, link: Any, practice: Any, shot: tuple[Any, np.ndarray], tmp_path: Path
) -> None:
    from weft_blender.clips import clip_of, frames_of
    from weft_blender.editors import editors, showing

    for space in list(editors())[1:]:
        space.use_image_pin = True
    image, frames = shot
    files = {path.name: path.read_bytes() for path in tmp_path.glob("shot_*.png")}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "film.blend"))
    for folder in ("weft_shot_007", "weft_shot_007_2"):
        job = run(practice, source=image, first=2, count=2)
        assert job.warnings == ["this is practice (nothing is at stake)"]
        result = bpy.context.scene.weft_edit_video.result
        assert (result.source, result.filepath) == ("SEQUENCE", f"//{folder}/{folder}_0001.png")
        np.testing.assert_array_equal(frames_of(clip_of(result)), 255 - frames[1:3])
        users = [space.image_user for space in showing(result)]
        assert [(user.frame_duration, user.frame_start) for user in users] == [(2, 1)], "what an editor plays"
    assert {path.name: path.read_bytes() for path in tmp_path.glob("shot_*.png")} == files


def test_video_of_a_scene_that_was_never_saved(
    bpy: Any, link: Any, practice: Any, shot: tuple[Any, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    job = run(practice, source=shot[0])
    assert any("the scene was never saved" in warning for warning in job.warnings)
    assert len(list((tmp_path / "weft" / "weft_shot_007").iterdir())) == 4


def test_masks_of_a_video(bpy: Any, link: Any, practice: Any, shot: tuple[Any, np.ndarray], tmp_path: Path) -> None:
    from weft_blender.clips import clip_of, frames_of

    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "film.blend"))
    image, frames = shot
    mask = bpy.data.images.new("Mask", 48, 40)
    pixels = np.zeros((40, 48, 4), np.float32)
    pixels[..., 3] = 1
    with pytest.raises(WireError, match="the mask 'Mask' is black"):
        run(practice, source=image, mask=mask)
    pixels[:10] = 1  # Blender's first rows are the bottom
    mask.pixels.foreach_set(pixels.ravel())
    run(practice, source=image, mask=mask)
    edited = frames_of(clip_of(bpy.context.scene.weft_edit_video.result))
    np.testing.assert_array_equal(edited[:, :30], frames[:, :30])
    np.testing.assert_array_equal(edited[:, 30:], 255 - frames[:, 30:])
    mask.scale(24, 40)
    with pytest.raises(WireError, match="'Mask' has 24 × 40 pixels, a frame has 48 × 40"):
        run(practice, source=image, mask=mask)


def test_movie_shows_its_frames(bpy: Any, addon: Any, tmp_path: Path) -> None:
    """A movie that Blender itself has rendered, of even greys."""
    from weft_blender.clips import clip_of, frames_of
    from weft_blender.pixels import encode_png

    for number in range(1, 6):
        grey = np.full((64, 96, 3), 40 * number, np.uint8)
        (tmp_path / f"grey_{number}.png").write_bytes(encode_png(grey))
    scene = bpy.data.scenes.new("Film")
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image("Greys", str(tmp_path / "grey_1.png"), 1, 1)
    for number in range(2, 6):
        strip.elements.append(f"grey_{number}.png")
    assert [Path(path).name for path in clip_of(strip).files] == [f"grey_{number}.png" for number in range(1, 6)]
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 96, 64, 100
    scene.frame_start, scene.frame_end, scene.view_settings.view_transform = 1, 5, "Standard"
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.constant_rate_factor = "MPEG4", "H264", "PERC_LOSSLESS"
    render.filepath = str(tmp_path / "film.mp4")
    bpy.ops.render.render(scene=scene.name, animation=True)
    scenes = len(bpy.data.scenes)
    for source in (
        bpy.data.images.load(str(tmp_path / "film.mp4")),
        bpy.data.movieclips.load(str(tmp_path / "film.mp4")),
        strips.new_movie("Film", str(tmp_path / "film.mp4"), 2, 1),
    ):
        frames = frames_of(clip_of(source), 2, 3)
        assert frames.shape == (3, 64, 96, 3)
        np.testing.assert_allclose(frames.mean(axis=(1, 2)), [[80] * 3, [120] * 3, [160] * 3], atol=2)
    assert len(bpy.data.scenes) == scenes


def test_clips_without_frames_are_refused(bpy: Any, link: Any, shot: tuple[Any, np.ndarray], tmp_path: Path) -> None:
    from weft_blender import job
    from weft_blender.pixels import encode_png

    image, _ = shot
    still = bpy.data.images.new("Still", 48, 40)
    (tmp_path / "broken.mp4").write_bytes(b"no movie")
    broken = bpy.data.images.load(str(tmp_path / "broken.mp4"))
    broken.source = "MOVIE"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"source": None}, "no image sequence or movie is chosen"),
        ({"source": still}, "'Still' is neither an image sequence nor a movie"),
        ({"source": broken}, r"broken\.mp4' cannot be read"),
        ({"source": image, "first": 5}, r"'shot_007\.png' has no frames from number 5 on, expected 2 to 1000"),
        ({"source": image, "count": 1}, "has 1 frame, expected 2 to 1000"),
    ]
    for sources, part in cases:
        with pytest.raises(WireError, match=part) as caught:
            job.start("edit_video", VIDEO, **sources)
        assert caught.value.hint
        assert "\n" not in str(caught.value)
    (tmp_path / "shot_009.png").write_bytes(encode_png(np.zeros((40, 52, 3), np.uint8)))
    with pytest.raises(WireError, match=r"begins with 48 × 40 px, shot_009\.png has 52 × 40"):
        job.start("edit_video", VIDEO, source=image)
    (tmp_path / "shot_008.png").write_bytes(b"no picture")
    with pytest.raises(WireError, match=r"shot_008\.png' cannot be read"):
        job.start("edit_video", VIDEO, source=image)
    assert job.DESK.job is None
