"""Preferences: which server, which keys, how to start one here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy

__all__ = ["Choice", "WeftPreferences", "preferences"]


@dataclass(frozen=True)
class Choice:
    """The preferences as plain values; the defaults serve where the add-on is not enabled (scripts)."""

    address: str = ""
    key_dir: str = ""
    server_command: str = ""


class WeftPreferences(bpy.types.AddonPreferences):
    bl_idname = __package__ or "weft_blender"

    # Blender wants real property objects here; postponed evaluation would make strings of ordinary annotations.
    __annotations__ = {
        "address": bpy.props.StringProperty(
            name="Server",
            description="HOST:PORT of a Weft server, #KEY added for one elsewhere; empty: this machine",
        ),
        "key_dir": bpy.props.StringProperty(
            name="Keys", subtype="DIR_PATH", description="Folder with this user's keys; empty: .weft/keys in your home"
        ),
        "server_command": bpy.props.StringProperty(
            name="Server Command",
            subtype="FILE_PATH",
            description="The program `weft` that Start Local Server runs; empty: the one that your system finds",
        ),
    }

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        layout.use_property_split = True
        column = layout.column()
        column.prop(self, "address", **placeholder("this machine"))
        column.prop(self, "key_dir", **placeholder("~/.weft/keys"))
        column.prop(self, "server_command", **placeholder("weft"))


def placeholder(text: str) -> dict[str, str]:
    """The grey text in an empty field, where Blender knows such a thing (≥ 4.1)."""
    return {"placeholder": text} if bpy.app.version >= (4, 1) else {}


def preferences() -> Choice:
    """What the user has set."""
    addon = bpy.context.preferences.addons.get(WeftPreferences.bl_idname)
    if addon is None or addon.preferences is None:
        return Choice()
    values: Any = addon.preferences
    path = bpy.path.abspath
    return Choice(values.address.strip(), path(values.key_dir), path(values.server_command).strip())
