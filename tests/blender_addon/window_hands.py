"""What sessions in Blender's window share: installing, the mouse, pictures, waiting.

Environment: WEFT_ZIP the add-on, WEFT_OUT the folder for pictures and report.json, WEFT_PROMPT, WEFT_STEPS, WEFT_SIZE.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Euler

OUT = Path(os.environ["WEFT_OUT"])
REPORT: dict[str, Any] = {"blender": bpy.app.version_string, "error": ""}


def play(story: Iterator[float]) -> None:
    """Have Blender's timer play the story, whose values are the pauses between its parts, write the report and quit."""

    def advance() -> float | None:
        try:
            return next(story)
        except StopIteration:
            pass
        except Exception:
            REPORT["error"] = traceback.format_exc()
            picture("failed")
        (OUT / "report.json").write_text(json.dumps(REPORT, indent=1))
        bpy.ops.wm.quit_blender()
        return None

    bpy.app.timers.register(advance, first_interval=1.0, persistent=True)


def install() -> None:
    """The way a user installs a classic add-on."""
    bpy.ops.preferences.addon_install(filepath=os.environ["WEFT_ZIP"], overwrite=True)
    bpy.ops.preferences.addon_enable(module="weft_blender")


def make_scene(window: Any, area: Any) -> Any:
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.ops.mesh.primitive_monkey_add()
    bpy.ops.object.shade_smooth()
    obj = bpy.context.object
    obj.modifiers.new("Subdivision", "SUBSURF").levels = 2
    settings = bpy.context.scene.weft
    settings.prompt, settings.steps = os.environ["WEFT_PROMPT"], int(os.environ["WEFT_STEPS"])
    settings.size = int(os.environ["WEFT_SIZE"])
    # Without a graphics card a redraw takes half a second: one is enough after a change, not sixteen for smooth edges.
    bpy.context.scene.eevee.taa_samples = 1
    bpy.context.preferences.system.viewport_aa = "OFF"
    area.spaces.active.show_region_ui = True
    with bpy.context.temp_override(window=window, area=area, region=region(area, "WINDOW")):
        area.spaces.active.region_3d.view_rotation = Euler((1.25, 0.0, 0.5)).to_quaternion()
        bpy.ops.view3d.view_selected()
    bpy.ops.ed.undo_push(message="Scene is ready")
    return obj


def region(area: Any, kind: str) -> Any:
    return next(region for region in area.regions if region.type == kind)


def until(condition: Any, seconds: float, complaint: str) -> Iterator[float]:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        yield 0.05


def click(x: float, y: float) -> None:
    """Press the left mouse button at pixel (x, y), counted from the top left of the screen."""
    move(x, y)
    subprocess.run(["xdotool", "sleep", "0.1", "click", "1"], check=True, timeout=10)


def move(x: float, y: float) -> None:
    """Put the mouse on pixel (x, y)."""
    subprocess.run(["xdotool", "mousemove", str(int(x)), str(int(y))], check=True, timeout=10)


def picture(name: str) -> Path:
    path = OUT / f"{name}.png"
    subprocess.run(["import", "-window", "root", str(path)], check=True, timeout=30)
    return path


def watch_drawing(panel: Any) -> list[float]:
    """The times at which the tab's panel was drawn."""
    drawn, draw = [], panel.draw_server

    def noted(layout: Any) -> None:
        drawn.append(time.monotonic())
        draw(layout)

    panel.draw_server = noted
    return drawn


def open_tab(window: Any, area: Any, drawn: list[float]) -> Iterator[float]:
    """Click down the row of tabs until ours is drawn."""
    sidebar = region(area, "UI")
    for below in range(30, 400, 25):
        if drawn:
            return
        click(sidebar.x + sidebar.width - 10, window.height - (sidebar.y + sidebar.height) + below)
        yield 0.7
    if not drawn:
        raise TimeoutError("no click opened the tab Weft")


def column_at(window: Any, x: float) -> np.ndarray:
    """i8 [height, 3]: the colours of the screen's pixel column `x`, from the top."""
    image = bpy.data.images.load(str(picture("before_click")))
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    shape = (image.size[1], image.size[0], 4)
    bpy.data.images.remove(image)
    return np.rint(255 * pixels.reshape(shape)[::-1, int(x), :3]).astype(int)


def button_at(window: Any, area: Any) -> tuple[float, float]:
    """The place on the screen of the sidebar's tallest button, which starts the job."""
    sidebar = region(area, "UI")
    x = sidebar.x + sidebar.width - 46  # right of the buttons' texts, left of the tabs
    top, bottom = window.height - (sidebar.y + sidebar.height), window.height - sidebar.y
    return x, tallest_run(column_at(window, x), top, bottom)


def tallest_run(column: np.ndarray, top: int, bottom: int) -> float:
    """The middle of the longest run of one button-like colour (lighter than the panel) in the pixel column."""
    best, start = (0, 0), top
    for y in range(top + 1, bottom):
        if (column[y] != column[start]).any():
            length = y - start
            if 24 <= length <= 48 and column[start].mean() > 75 and length > best[0]:
                best = (length, start)
            start = y
    return best[1] + best[0] / 2
