"""Edit video: the frames of an image sequence or a movie are changed as one, into a new sequence beside the .blend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs import EDIT_VIDEO, EditVideoParams

from .clips import clip_of, frames_of, is_moving
from .distillation_rows import FOR_EMBEDDED, MORE, ROWS, UNHEEDED
from .errors import SceneError
from .masks import check_white, mask_of
from .picture import RESULT, Picture, keep_result, opened, show_picture, wear_picture, wears_picture
from .sequences import place_for, show_sequence, write_frames
from .task import REFERENCE, Collected, SceneTask

__all__ = ["EditVideoTask"]

SOURCES = (
    ("IMAGE", "Image", "An image sequence or movie that an Image Editor has opened"),
    ("CLIP", "Clip", "A movie clip of the Movie Clip Editor"),
    ("STRIP", "Strip", "The active strip of the Video Sequencer"),
)


@dataclass(frozen=True)
class NewFrames:
    """A sequence to be written into the folder `place`, for the scene `scene`."""

    name: str
    scene: str
    place: str

    @property
    def label(self) -> str:
        return self.name

    @property
    def picture(self) -> Picture:
        return Picture(self.name, self.scene)


class EditVideoTask(SceneTask):
    declaration = EDIT_VIDEO
    label, icon = "Edit Video", "FILE_MOVIE"
    about = "Change an image sequence or a movie by words or a picture, into new files; the old ones stay"
    target = NewFrames
    extras = {  # noqa: RUF012
        "exemplar": REFERENCE,
        "source": bpy.props.EnumProperty(name="Source", items=SOURCES, description="What is edited"),
        "image": bpy.props.PointerProperty(
            name="Frames", type=bpy.types.Image, poll=is_moving, description="An image sequence or a movie"
        ),
        "clip": bpy.props.PointerProperty(name="Clip", type=bpy.types.MovieClip, description="A movie clip"),
        "first": bpy.props.IntProperty(name="First", default=1, min=1, description="Number of the first frame, from 1"),
        "count": bpy.props.IntProperty(name="Frames", default=0, min=0, max=1000, description="How many; 0: all"),
        "mask": bpy.props.PointerProperty(
            name="Mask",
            type=bpy.types.Image,
            description="White may change: one image for all frames, or a sequence as long",
        ),
        "result": RESULT,
    }
    rows = (("first", "First"), ("count", "Frames"), *ROWS, ("size", "Size"))
    more = (("mask", "Mask"), *MORE, ("batch", "Together"))
    unheeded = UNHEEDED
    for_embedded = FOR_EMBEDDED

    def has_geometry(self, settings: Any) -> bool:
        return False

    def draw(self, layout: Any, settings: Any) -> None:
        layout.row().prop(settings, "source", expand=True)
        match settings.source:
            case "IMAGE":
                layout.template_ID(settings, "image", open="image.open", text="")
            case "CLIP":
                layout.template_ID(settings, "clip", open="clip.open", text="")
            case "STRIP":
                strip = active_strip(settings.id_data)
                layout.label(text=strip.name if strip else "No strip is active", icon="SEQUENCE")
        super().draw(layout, settings)

    def button(self, context: Any) -> str:
        return "Edit Video"

    def show(self, context: Any) -> None:
        """It comes in the Image Editors."""

    def chosen(self, context: Any) -> dict[str, Any]:
        settings = self.settings_of(context.scene)
        sources = {"IMAGE": settings.image, "CLIP": settings.clip, "STRIP": active_strip(context.scene)}
        usual = {name: value for name, value in super().chosen(context).items() if name != "objects"}
        named = {name: getattr(settings, name) for name in ("first", "count", "mask")}
        return {**usual, **named, "source": sources[settings.source]}

    def collect(
        self,
        params: EditVideoParams,
        *,
        source: Any,
        first: int = 1,
        count: int = 0,
        exemplar: np.ndarray | None = None,
        mask: bpy.types.Image | None = None,
        scene: bpy.types.Scene | None = None,
    ) -> Collected:
        """`count` frames (0: all) from number `first` on of `source`: an image sequence, a movie, a clip or a strip."""
        place: Any = scene or bpy.context.scene
        clip = clip_of(source)
        arrays = {} if exemplar is None else {"exemplar": exemplar}
        self.declaration.check(params, frozenset({*arrays, "frames"}))
        arrays["frames"] = frames_of(clip, first, count)
        if mask is not None:
            arrays["masks"] = masks_of(mask, arrays["frames"], first, count)
        folder, warning = place_for(clip.name)
        return Collected(arrays, [NewFrames("Video", place.name, folder)], [warning] if warning else [])

    def keep(self, targets: Sequence[NewFrames]) -> list[str]:
        return [target.place for target in targets]

    def prepare_preview(self, image: np.ndarray, kept: str) -> Any:
        return super().prepare_preview(image, None)

    def prepare_result(self, arrays: Mapping[str, np.ndarray], kept: Sequence[str]) -> list[list[str]]:
        """The files, which are written here: that takes a while."""
        return [write_frames(kept[0], arrays["frames"])]

    def show_preview(self, job_id: str, index: int, target: NewFrames, prepared: Any) -> bool:
        show_picture(job_id, index, target.picture, prepared)
        return True

    def show_result(
        self, job_id: str, index: int, target: NewFrames, prepared: list[str], parameters: dict[str, Any]
    ) -> str:
        image = opened(job_id, index, target.picture)
        show_sequence(image, prepared, {**parameters, "object": target.name})
        keep_result(image, target.scene, self.settings)
        return ""

    def wear(self, job_id: str, index: int, target: NewFrames) -> bool:
        return wear_picture(job_id, index, target.picture, self.settings) is not None

    def wears(self, job_id: str, index: int, target: NewFrames) -> bool:
        return wears_picture(job_id, index, target.picture, self.settings)


def active_strip(scene: bpy.types.Scene) -> Any:
    """The Video Sequencer's active strip, or None."""
    return scene.sequence_editor.active_strip if scene.sequence_editor is not None else None


def masks_of(mask: bpy.types.Image, frames: np.ndarray, first: int, count: int) -> np.ndarray:
    """u1 [N, H, W] for `frames`. Raises SceneError for a mask of another size or length, and for a black one."""
    if mask.source not in ("SEQUENCE", "MOVIE"):
        height, width = frames.shape[1:3]
        return np.repeat(mask_of(mask, height, width, "a frame")[None], len(frames), axis=0)
    values = frames_of(clip_of(mask), first, count).max(axis=3)
    if values.shape != frames.shape[:3]:
        told = [f"{len(v)} frames of {v.shape[2]} × {v.shape[1]} px" for v in (values, frames)]
        raise SceneError("mask_size", f"the mask '{mask.name}' has {told[0]}, the video {told[1]}", "render it alike")
    check_white(values, mask.name)
    return values
