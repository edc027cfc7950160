"""Illusion: one picture that shows something else when it is turned, flipped, cut up or inverted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs import ILLUSION, IllusionParams

from .images import image_of, pack
from .picture import RESULT, Picture, finish_picture, show_picture, wear_picture, wears_picture
from .pixels import encode_png
from .task import REFERENCE, Collected, SceneTask, reference

__all__ = ["IllusionTask"]

SLOTS = (1, 2, 3)
THIRD = bpy.props.BoolProperty(name="Third View", description="Hide three pictures in the image instead of two")


class IllusionTask(SceneTask):
    declaration = ILLUSION
    label, icon = "Illusion", "HIDE_OFF"
    about = "Make an image that shows several pictures, depending on how one looks at it"
    target = Picture
    extras = {**{f"exemplar_{slot}": REFERENCE for slot in SLOTS}, "third": THIRD, "result": RESULT}  # noqa: RUF012
    rows = (("size", "Size"), ("steps", "Steps"), ("seed", "Seed"))
    more = (("case", "Case"),)
    # A network's views are words, and agree as images: what is turned or cut is no latent, and has no neighbours.
    unheeded = frozenset({"control", "style_scale", "synchronize", "view_attention"})
    for_embedded = frozenset({"case"})

    def has_geometry(self, settings: Any) -> bool:
        return False

    def has_reference(self, settings: Any) -> bool:
        return any(getattr(settings, f"exemplar_{slot}") for slot in SLOTS[: 2 + settings.third])

    def draw(self, layout: Any, settings: Any) -> None:
        for slot in SLOTS[: 2 + settings.third]:
            box = layout.box().column()
            row = box.split(factor=0.35)
            row.label(text=f"View {slot}")
            row.prop(settings, f"view_{slot}", text="")
            box.prop(settings, f"prompt_{slot}", text="", icon="GREASEPENCIL")
            box.template_ID(settings, f"exemplar_{slot}", open="image.open", text="")
        layout.prop(settings, "third")

    def draw_result(self, layout: Any, context: Any) -> None:
        if self.settings_of(context.scene).result is not None:
            layout.operator("weft.illusion_plane", icon="IMAGE_PLANE")

    def button(self, context: Any) -> str:
        return "Make Illusion"

    def show(self, context: Any) -> None:
        """It comes in the Image Editors."""

    def chosen(self, context: Any) -> dict[str, Any]:
        settings = self.settings_of(context.scene)
        pictures = [reference(getattr(settings, f"exemplar_{slot}")) for slot in SLOTS[: 2 + settings.third]]
        return {"exemplars": pictures}

    def parameters(self, settings: Any) -> IllusionParams:
        params = super().parameters(settings)
        return params if settings.third else replace(params, prompt_3="")

    def collect(
        self,
        params: IllusionParams,
        *,
        exemplars: Sequence[np.ndarray | None] = (),
        scene: bpy.types.Scene | None = None,
    ) -> Collected:
        """The pictures that the views show, where there are not only words."""
        pictures = {f"exemplar.{i}.image": picture for i, picture in enumerate(exemplars) if picture is not None}
        self.declaration.check(params, frozenset(pictures))
        place: Any = scene or bpy.context.scene
        return Collected(pictures, [Picture("Illusion", place.name)])

    def prepare_result(self, arrays: Mapping[str, np.ndarray], kept: Sequence[Any]) -> list[list[bytes]]:
        """The image, then all views of it."""
        views = sorted((name for name in arrays if name.startswith("view.")), key=lambda name: int(name[5:]))
        return [[encode_png(arrays[name]) for name in ("image", *views)]]

    def show_preview(self, job_id: str, index: int, target: Picture, prepared: Any) -> bool:
        show_picture(job_id, index, target, prepared)
        return True

    def show_result(
        self, job_id: str, index: int, target: Picture, prepared: list[bytes], parameters: dict[str, Any]
    ) -> str:
        finish_picture(job_id, index, target, prepared[0], parameters, self.settings)
        for number, png in enumerate(prepared[1:], 1):
            view = image_of(f"{target.name} View {number}", job_id, number)
            pack(view, png, {**parameters, "object": f"view {number}"})
            view.use_fake_user = True
        return ""

    def wear(self, job_id: str, index: int, target: Picture) -> bool:
        return wear_picture(job_id, index, target, self.settings) is not None

    def wears(self, job_id: str, index: int, target: Picture) -> bool:
        return wears_picture(job_id, index, target, self.settings)
