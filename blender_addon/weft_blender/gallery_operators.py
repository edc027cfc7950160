"""The gallery's buttons: wear a variant, keep a favourite, remove the others, go on from the one that is worn."""

from __future__ import annotations

from typing import Any

import bpy

from . import handlers, job
from .errors import SceneError
from .gallery import Gallery, correlation, keep_only, set_favourite, shown, variant_of
from .operators import WeftOperator
from .variant_ids import gallery_of

__all__ = ["CLASSES", "count_of"]

VARIANT = {"job": bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})}


class WEFT_OT_wear_variant(WeftOperator):
    """Show this variant in the place of the others; while more are being made, they then form in the background"""

    bl_idname = "weft.wear_variant"
    bl_label = "Wear Variant"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012
    __annotations__ = VARIANT

    def act(self, context: bpy.types.Context) -> None:
        values: Any = self.properties
        job.choose(values.job)


class WEFT_OT_star_variant(WeftOperator):
    """Keep this variant when the others are removed, or keep it no longer"""

    bl_idname = "weft.star_variant"
    bl_label = "Favourite"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012
    __annotations__ = VARIANT

    def act(self, context: bpy.types.Context) -> None:
        values: Any = self.properties
        variant = variant_of(values.job)
        set_favourite(variant, not variant.favourite)


class WEFT_OT_remove_others(WeftOperator):
    """Remove the variants of this gallery that are neither favourites nor worn, nor used by anything else"""

    bl_idname = "weft.remove_others"
    bl_label = "Remove Others"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return not job.working()

    def act(self, context: bpy.types.Context) -> None:
        removed = keep_only(shown_gallery(context))
        self.report({"INFO"}, f"{removed} variants removed" if removed != 1 else "1 variant removed")


class WEFT_OT_show_gallery(WeftOperator):
    """Show this gallery"""

    bl_idname = "weft.show_gallery"
    bl_label = "Show Gallery"
    bl_options = {"INTERNAL"}  # noqa: RUF012
    __annotations__ = {"gallery": bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})}

    def act(self, context: bpy.types.Context) -> None:
        values: Any = self.properties
        context.scene.weft_gallery = values.gallery


class LikeOperator(WeftOperator):
    """Starts a gallery that goes on from the variant that is worn."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return not job.working()

    def likeness(self, context: Any) -> float:
        raise AssertionError("every button has its own")

    def act(self, context: bpy.types.Context) -> None:
        gallery = shown_gallery(context)
        variant = gallery.worn
        if variant is None:
            raise SceneError("none_worn", "no variant of this gallery is worn", "click the one to go on from")
        handlers.connect()
        count = count_of(gallery, context.scene)
        rho = correlation(self.likeness(context), count)
        known = gallery_of(variant.job) in job.DESK.inputs
        job.start_like(variant, count, rho, **({} if known else variant.task.chosen(context)))
        handlers.remember()
        variant.task.show(context)


class WEFT_OT_more_like_this(LikeOperator):
    """Make new variants of the one that is worn, as alike as the slider says; it becomes number 1 of them"""

    bl_idname = "weft.more_like_this"
    bl_label = "More Like This"

    def likeness(self, context: Any) -> float:
        return context.scene.weft_likeness


class WEFT_OT_more_different(LikeOperator):
    """Make new variants that differ from the one that is worn, and from each other, as much as so many can"""

    bl_idname = "weft.more_different"
    bl_label = "More Different"

    def likeness(self, context: Any) -> float:
        return 0.0


def shown_gallery(context: Any) -> Gallery:
    gallery = shown(context.scene)
    if gallery is None:
        raise SceneError("no_gallery", "there is no gallery", "set Variants to 2 or more and press the button above")
    return gallery


def count_of(gallery: Gallery, scene: bpy.types.Scene) -> int:
    """How many variants the next gallery has: as the panel of its task says, or as many as this one."""
    wanted = gallery.own[0].task.settings_of(scene).variants
    return wanted if wanted > 1 else gallery.size


CLASSES = (
    WEFT_OT_wear_variant,
    WEFT_OT_star_variant,
    WEFT_OT_remove_others,
    WEFT_OT_show_gallery,
    WEFT_OT_more_like_this,
    WEFT_OT_more_different,
)
