"""Runs inside Blender's window: opens the panel of models with the mouse, chooses from the list, looks at the settings.

    blender --factory-startup -P window_models.py

Environment: as window_session.py. The server is the one of practice_addon.py. Leaves models.png, the panels of several
models side by side, and the_list.png.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

sys.path += [os.environ["WEFT_NUMPY"], str(Path(__file__).parent)]

import bpy
from window_hands import (
    OUT,
    REPORT,
    button_at,
    click,
    install,
    make_scene,
    move,
    open_tab,
    picture,
    play,
    region,
    until,
    watch_drawing,
)

# (task, model, whether there is a reference image)
SHOWN = (
    ("texture", "exemplar", False),
    ("texture", "sd15", True),
    ("texture", "sdxl", False),
    ("texture", "flux2-klein", True),
    ("retexture", "instruct-pix2pix", False),
    ("retexture", "ic-light-background", False),
    ("texture", "ic-light", False),
    ("panorama", "sd3.5-medium", False),
    ("illusion", "sd15", False),
    ("splat_texture", "sd15", False),
)


def session() -> Iterator[float]:
    install()
    bpy.context.preferences.view.show_splash = False
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    make_scene(window, area)
    yield 0.5
    from weft_blender import panel
    from weft_blender.link import LINK

    yield from until(lambda: LINK.connected and LINK.welcome.ready, 60, "the server did not answer")
    yield from open_tab(window, area, watch_drawing(panel))
    yield 1.0
    x, y = yield from open_models(window, area, panel)
    yield from choose_with_mouse(x, y + 30)
    yield from look_at_models(window, area)
    yield from unload(area)


def open_models(window: Any, area: Any, panel: Any) -> Generator[float, None, tuple[float, float]]:
    """Click down from the big button until the settings of models are drawn; where that was."""
    drawn, draw = [], panel.draw_choice

    def noted(layout: Any, settings: Any) -> None:
        drawn.append(settings.model)
        draw(layout, settings)

    panel.draw_choice = noted
    x, y = button_at(window, area)
    for below in range(38, 120, 12):
        click(x - 60, y + below)
        for _ in range(4):
            region(area, "UI").tag_redraw()
            yield 0.5
            if drawn:
                return x - 60, y + below
    raise TimeoutError("no click opened the settings of models")


def choose_with_mouse(x: float, y: float) -> Iterator[float]:
    """Open the list at (x, y), rest on its last row until the tooltip comes, click the second row."""
    click(x, y)
    for below in (10, 60, 110, 138, 136):  # a list is drawn as the mouse moves
        yield 0.8
        move(x, y + below)
    yield 3.0
    picture("the_list")
    for below in (90, 60, 45):
        move(x, y + below)
        yield 0.8
    click(x, y + 45)
    yield 1.0
    REPORT["chosen"] = bpy.context.scene.weft.model


def look_at_models(window: Any, area: Any) -> Iterator[float]:
    """The panels of SHOWN side by side."""
    from weft_blender.tasks import TASKS

    sidebar, pictures = region(area, "UI"), []
    top = window.height - (sidebar.y + sidebar.height)
    photo = bpy.data.images.new("Photo", 64, 64)
    for number, (name, model, reference) in enumerate(SHOWN):
        bpy.context.scene.weft_task = name
        settings = TASKS[name].settings_of(bpy.context.scene)
        settings.model = model
        if hasattr(settings, "exemplar"):
            settings.exemplar = photo if reference else None
        for _ in range(3):  # as in the tour of window_session.py
            sidebar.tag_redraw()
            yield 0.2
        pictures.append(str(picture(f"model_{number}")))
    crop = ["-crop", f"{sidebar.width - 20}x{sidebar.height}+{sidebar.x}+{top}", "+repage"]
    rows = [pictures[: len(pictures) // 2], pictures[len(pictures) // 2 :]]
    for row, files in enumerate(rows):
        command = ["convert", *files, *crop, "+append", str(OUT / f"models_{row}.png")]
        subprocess.run(command, check=True, timeout=60)


def unload(area: Any) -> Iterator[float]:
    """The button's answer, as it stands in the panel."""
    from weft_blender.unloading import UNLOADING

    bpy.ops.weft.unload_models()
    REPORT["unloading"] = UNLOADING.pending
    yield from until(lambda: not UNLOADING.pending, 20, "the server did not answer")
    REPORT["unloaded"] = str(UNLOADING.error or UNLOADING.message)
    region(area, "UI").tag_redraw()
    yield 1.0
    picture("unloaded")


play(session())
