"""Sentences in the sidebar: Blender's labels do not wrap."""

from __future__ import annotations

from typing import Any

import blf
import bpy

__all__ = ["draw_text", "wrapped"]

# Pixels of the sidebar's width that are none of a text's: margins, the column of tabs, and an icon.
AROUND, ICON = 58, 26
LEAST = 60  # pixels, however narrow the sidebar
FONT = 0  # Blender's own


def draw_text(layout: Any, message: str, hint: str = "", *, icon: str = "NONE", inset: int = 0) -> None:
    """`message` and `hint` broken into lines that fit the sidebar, less `inset` pixels of a box around them."""
    region, scale = bpy.context.region, bpy.context.preferences.system.ui_scale
    taken = AROUND + inset + (0 if icon == "NONE" else ICON)
    width = max((region.width if region else 300) - taken * scale, LEAST * scale)
    column = layout.column(align=True)
    column.scale_y = 0.8
    rest = "NONE" if icon == "NONE" else "BLANK1"
    for i, line in enumerate((*wrapped(sentence(message), width), *wrapped(sentence(hint), width))):
        column.label(text=line, icon=rest if i else icon)


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def wrapped(text: str, width: float) -> list[str]:
    """The text in lines of at most `width` pixels; words that are longer stand alone."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def width_of(text: str) -> float:
    """Pixels of the text on a label. Nothing without a window, where Blender has no fonts."""
    system, style = bpy.context.preferences.system, bpy.context.preferences.ui_styles[0]
    blf.size(FONT, style.widget.points * system.ui_scale)
    return blf.dimensions(FONT, text)[0]
