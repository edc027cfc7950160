"""What Blender has to know: classes, the scene's settings, handlers, the timer."""

from __future__ import annotations

import atexit
from collections.abc import Callable

import bpy

from . import (
    actions,
    gallery_operators,
    gallery_panel,
    handlers,
    illusion_plane,
    model_operators,
    model_rows,
    operators,
    panel,
    photo_operators,
    preferences,
    properties,
    server_process,
    splat_operators,
    thumbnails,
)
from .link import LINK

__all__ = ["register", "unregister"]

CLASSES = (
    *properties.SETTINGS.values(),
    preferences.WeftPreferences,
    *operators.CLASSES,
    *actions.CLASSES,
    *illusion_plane.CLASSES,
    *splat_operators.CLASSES,
    *photo_operators.CLASSES,
    *model_operators.CLASSES,
    *model_rows.CLASSES,
    *gallery_operators.CLASSES,
    *panel.CLASSES,
    *gallery_panel.CLASSES,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    for name, cls in properties.SETTINGS.items():
        setattr(bpy.types.Scene, name, bpy.props.PointerProperty(type=cls))
    bpy.types.Scene.weft_task = properties.TASK
    bpy.types.Scene.weft_gallery = properties.SHOWN_GALLERY
    bpy.types.Scene.weft_likeness = properties.LIKENESS
    bpy.types.WindowManager.weft_progress = properties.PROGRESS
    splat_operators.add_to_menus()
    photo_operators.add_to_menus()
    handlers.register()
    atexit.register(at_exit())


def at_exit() -> Callable[[], None]:
    """What to do when the process ends. The module `bpy` 4.5 hangs on exit while anything is registered; the
    application frees its data before Python ends, and must not be asked to unregister then."""
    return unregister if getattr(bpy.app, "module", False) else leave


def unregister() -> None:
    atexit.unregister(at_exit())
    leave()
    thumbnails.clear()
    handlers.unregister()
    photo_operators.remove_from_menus()
    splat_operators.remove_from_menus()
    for name in (*properties.SETTINGS, "weft_task", "weft_gallery", "weft_likeness"):
        delattr(bpy.types.Scene, name)
    del bpy.types.WindowManager.weft_progress
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)


def leave() -> None:
    """Close the connection and stop the server that this Blender started; its jobs stay in the server's store."""
    LINK.close()
    server_process.stop()
