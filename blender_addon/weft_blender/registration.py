"""What Blender has to know: classes, the scene's settings, handlers, the timer."""

from __future__ import annotations

import atexit

import bpy

from . import handlers, operators, panel, preferences, properties, server_process
from .link import LINK

__all__ = ["register", "unregister"]

CLASSES = (properties.WeftSettings, preferences.WeftPreferences, *operators.CLASSES, *panel.CLASSES)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.weft = bpy.props.PointerProperty(type=properties.WeftSettings)
    bpy.types.WindowManager.weft_progress = properties.PROGRESS
    handlers.register()
    atexit.register(leave)


def unregister() -> None:
    atexit.unregister(leave)
    leave()
    handlers.unregister()
    del bpy.types.Scene.weft, bpy.types.WindowManager.weft_progress
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)


def leave() -> None:
    """Close the connection and stop the server that this Blender started; its jobs stay in the server's store."""
    LINK.close()
    server_process.stop()
