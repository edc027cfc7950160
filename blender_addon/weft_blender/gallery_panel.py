"""The gallery in the sidebar: variants side by side, and what can be done with the one that is worn."""

from __future__ import annotations

from typing import Any

import bpy

from weft_wire.jobs.variants import rho_range

from . import job
from .gallery import Gallery, Variant, correlation, galleries, gallery_called, shown
from .gallery_operators import count_of
from .panel import WeftPanel
from .thumbnails import icon_of

__all__ = ["CLASSES"]

UNIT = 20  # pixels of an icon of scale 1, at Blender's own interface scale
LEAST, MOST = 3.6, 8.0  # scale of a thumbnail
AROUND = 50  # pixels of the sidebar that are none of the strip's: margins, and the column of tabs


class WEFT_PT_gallery(WeftPanel, bpy.types.Panel):
    bl_label = "Gallery"
    bl_idname = "WEFT_PT_gallery"
    bl_parent_id = "WEFT_PT_texture"

    @classmethod
    def poll(cls, context: Any) -> bool:
        return on_view(context.scene) is not None

    def draw_rows(self, layout: Any, context: Any) -> None:
        layout.use_property_split = False
        gallery = on_view(context.scene)
        if gallery is None:
            return
        draw_choice(layout, gallery)
        draw_strip(layout, context, gallery)
        if gallery.own and not job.working():
            draw_likeness(layout, context, gallery)


def waiting() -> list[job.Job]:
    """The variants that are being made or will be."""
    return [one for one in job.DESK.running() if one.gallery]


def on_view(scene: Any) -> Gallery | None:
    """The chosen gallery, which may be the one that is being made, and have no variant of its own yet."""
    made = waiting()[0].gallery if waiting() else ""
    return gallery_called(made) if made and scene.weft_gallery == made else shown(scene)


def draw_choice(layout: Any, gallery: Gallery) -> None:
    """Which gallery this is, where there are several."""
    if len(galleries()) > 1 and gallery.own:
        layout.menu("WEFT_MT_galleries", text=gallery.name)


def draw_strip(layout: Any, context: Any, gallery: Gallery) -> None:
    """Thumbnails side by side, as many as fit; below each its button and its star."""
    to_come = {one.number: one for one in waiting() if one.gallery == gallery.id}
    cells: dict[int, Variant | job.Job] = {**to_come, **gallery.variants}
    columns, scale = layout_of(len(cells), context)
    worn = gallery.worn
    grid = layout.grid_flow(row_major=True, columns=columns, even_columns=True, even_rows=True, align=True)
    for number in sorted(cells):
        cell, cell_layout = cells[number], grid.column(align=True)
        if isinstance(cell, Variant):
            draw_variant(cell_layout, number, cell, scale, worn is not None and worn.job == cell.job)
        else:
            draw_coming(cell_layout, cell, scale)
    if not job.working() and len(gallery.own) > 1:
        layout.operator("weft.remove_others", icon="TRASH")


def layout_of(count: int, context: Any) -> tuple[int, float]:
    """(columns, scale of a thumbnail) that fill the sidebar's width."""
    region, scale = context.region, context.preferences.system.ui_scale or 1.0  # 0 without a window
    width = max((region.width if region else 300) / scale - AROUND, UNIT * LEAST) / UNIT
    columns = max(min(int(width / LEAST), count), 1)
    columns = -(-count // -(-count // columns))  # rows of equal length
    return columns, min(width / columns, MOST)


def draw_variant(layout: Any, number: int, variant: Variant, scale: float, worn: bool) -> None:
    """A finished variant. Blender draws large icons as labels only: what is clicked is the button below."""
    icon = icon_of(variant.items[0])
    if icon:
        layout.template_icon(icon_value=icon, scale=scale)
    row = layout.row(align=True)
    row.operator("weft.wear_variant", text=str(number), depress=worn).job = variant.job
    star = "SOLO_ON" if variant.favourite else "SOLO_OFF"
    row.operator("weft.star_variant", text="", icon=star, depress=variant.favourite).job = variant.job


def draw_coming(layout: Any, coming: job.Job, scale: float) -> None:
    """The place of a variant that is not there yet."""
    layout.template_icon(icon_value=icon_called("SORTTIME"), scale=scale)
    layout.label(text=f"{coming.number} …")


def icon_called(name: str) -> int:
    """The number of one of Blender's own icons."""
    return bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items[name].value


def draw_likeness(layout: Any, context: Any, gallery: Gallery) -> None:
    """How alike the next variants are to be, and the buttons that make them."""
    scene = context.scene
    count = count_of(gallery, scene)
    low, high = rho_range(count)
    rho = correlation(scene.weft_likeness, count)
    column = layout.column(align=True)
    column.prop(scene, "weft_likeness", slider=True)
    column.label(text=f"ρ = {rho:.2f} (from {low:.2f} to {high:g})")
    row = layout.row(align=True)
    row.operator("weft.more_like_this")
    row.operator("weft.more_different")


class WEFT_MT_galleries(bpy.types.Menu):
    bl_idname = "WEFT_MT_galleries"
    bl_label = "Gallery"
    bl_description = "The galleries of this file, the latest first"

    def draw(self, context: bpy.types.Context) -> None:
        for gallery in reversed(galleries().values()):
            icon = "SOLO_ON" if any(variant.favourite for variant in gallery.own) else "BLANK1"
            text = f"{gallery.name} × {len(gallery.variants)}"
            self.layout.operator("weft.show_gallery", text=text, icon=icon).gallery = gallery.id


CLASSES = (WEFT_MT_galleries, WEFT_PT_gallery)
