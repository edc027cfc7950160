"""Runs inside Blender's window: installs the zip, opens the tab, presses the button with the mouse, watches.

    blender --factory-startup -P window_session.py

Environment: WEFT_ZIP the add-on, WEFT_OUT the folder for pictures and report.json, WEFT_PROMPT, WEFT_STEPS, WEFT_SIZE,
WEFT_NUMPY a folder with NumPy for a Blender that comes without, WEFT_TOUR a file of splats: then all tasks follow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path += [os.environ["WEFT_NUMPY"], str(Path(__file__).parent)]

import bpy
import numpy as np
from window_hands import (
    OUT,
    REPORT,
    button_at,
    click,
    install,
    make_scene,
    open_tab,
    picture,
    play,
    region,
    until,
    watch_drawing,
)

EDITS = ("edit_panorama", "edit_video", "fit", "edit_scene")


def session() -> Iterator[float]:
    """Everything that happens, in order; each value is the pause until the next part, in seconds."""
    install()
    bpy.context.preferences.view.show_splash = False
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    obj = make_scene(window, area)
    yield 0.5
    from weft_blender import job, panel
    from weft_blender.link import LINK

    yield from until(lambda: LINK.connected and LINK.welcome.ready, 60, "the server did not answer")
    drawn = watch_drawing(panel)
    yield from open_tab(window, area, drawn)
    yield 1.0
    picture("panel")
    pumps = time_pumps(job)
    redraws = time_redraws(area)
    began = time.monotonic()
    yield from press_texture(window, area, job)
    REPORT["pressed_with_mouse"] = True
    mine = job.DESK.job
    assert mine is not None
    yield from until(lambda: "first_preview" in mine.seconds, 120, "no preview came")
    REPORT["first_preview"] = time.monotonic() - began
    shown = lambda: sum(computing > 0.002 for _, computing in pumps)  # noqa: E731
    yield from until(lambda: mine.ended or shown() >= 5, 200, "the job does not proceed")
    picture("forming")
    yield from until(lambda: mine.ended, 400, "the job does not end")
    REPORT.update(state=mine.state, error=str(mine.error or ""), seconds=mine.seconds)
    REPORT["longest_pump_ms"], REPORT["longest_pump_cpu_ms"] = (
        1000 * max(column) for column in zip(*pumps, strict=True)
    )
    REPORT["previews_shown"] = shown()
    REPORT["median_redraw_ms"] = 1000 * float(np.median(redraws)) if redraws else 0.0
    yield 1.5
    picture("done")
    REPORT["material"] = obj.material_slots[0].material.name
    yield from undo_and_redo(window, area)
    if "WEFT_TOUR" in os.environ:
        began = time.monotonic()
        yield from tour(window, area)
        REPORT["tour_seconds"] = time.monotonic() - began


def time_pumps(job: Any) -> list[tuple[float, float]]:
    """How long each call of the add-on's timer holds the main thread, by the clock and in computing, in seconds.

    On a busy machine the clock also counts the time that other programs take.
    """
    times, pump = [], job.pump

    def timed() -> bool:
        began = time.perf_counter(), time.thread_time()
        changed = pump()
        times.append((time.perf_counter() - began[0], time.thread_time() - began[1]))
        return changed

    job.pump = timed
    return times


def time_redraws(area: Any) -> list[float]:
    """How long Blender draws the viewport each time; without a graphics card that is longer than all else."""
    times: list[float] = []
    began = [0.0]
    space = type(area.spaces.active)
    space.draw_handler_add(lambda: began.__setitem__(0, time.perf_counter()), (), "WINDOW", "PRE_VIEW")
    space.draw_handler_add(lambda: times.append(time.perf_counter() - began[0]), (), "WINDOW", "POST_PIXEL")
    return times


def press_texture(window: Any, area: Any, job: Any) -> Iterator[float]:
    """Click the tallest button of the sidebar, which is Texture."""
    click(*button_at(window, area))
    yield from until(lambda: job.DESK.job is not None, 20, "the click on Texture started nothing")


def undo_and_redo(window: Any, area: Any) -> Iterator[float]:
    """One step back: the object as it was before. One step forward: the texture again."""
    with bpy.context.temp_override(window=window, area=area, region=region(area, "WINDOW")):
        bpy.ops.ed.undo()
    yield 0.5
    slots = bpy.data.objects["Suzanne"].material_slots
    REPORT["after_undo"] = [slot.material.name if slot.material else "" for slot in slots]
    with bpy.context.temp_override(window=window, area=area, region=region(area, "WINDOW")):
        bpy.ops.ed.redo()
    yield 0.5
    REPORT["after_redo"] = [slot.material.name for slot in bpy.data.objects["Suzanne"].material_slots]


def tour(window: Any, area: Any) -> Iterator[float]:
    """Every task's panel, side by side in one picture; then one small job of each task."""
    from weft_blender import job
    from weft_blender.tasks import TASKS

    sidebar, drawn, pictures = region(area, "UI"), [], []
    top = window.height - (sidebar.y + sidebar.height)
    job.DESK.put(None)  # the outcome of the job before
    scene = bpy.context.scene
    scene.weft_retexture.where = "MASK"
    for name, task in TASKS.items():
        scene.weft_task = name
        note_drawing(task, drawn)
        for _ in range(3):  # panels find their places when they are drawn again, as they are while the mouse moves
            sidebar.tag_redraw()
            yield 0.2
        pictures.append(str(picture(f"panel_{name}")))
        del task.draw
    crop = ["-crop", f"{sidebar.width}x{sidebar.height}+{sidebar.x}+{top}", "+repage"]
    subprocess.run(["convert", *pictures, *crop, "+append", str(OUT / "panels.png")], check=True, timeout=60)
    REPORT["panels"] = sorted(set(drawn))
    REPORT["tour"] = {}
    yield from look_at_a_strip(window, area)
    for name in TASKS:
        mine = start_small(name)
        yield from until(lambda mine=mine: mine.ended, 60, f"the task {name} does not end")
        REPORT["tour"][name] = str(mine.error or mine.state)
    nodes = bpy.data.objects["Suzanne"].material_slots[0].material.node_tree.nodes
    image = next(node.image for node in nodes if node.type == "TEX_IMAGE")
    REPORT["worn"] = json.loads(image["weft"])["task"]
    REPORT["world"] = scene.world.name
    splats = bpy.context.view_layer.objects.active
    REPORT["splats"] = splats.data.name
    bpy.ops.weft.export_splats(filepath=str(OUT / "splats.ply"))


def look_at_a_strip(window: Any, area: Any) -> Iterator[float]:
    """Have the viewport where the timeline was: it goes on being drawn, a tenth as large."""
    strip = next(other for other in window.screen.areas if other.type == "DOPESHEET_EDITOR")
    area.type, strip.type = "TEXT_EDITOR", "VIEW_3D"
    strip.spaces.active.shading.type = "SOLID"
    yield 0.2


def note_drawing(task: Any, drawn: list[str]) -> None:
    """Have the task's settings, when they are drawn, noted by its name."""
    draw = task.draw

    def noted(layout: Any, settings: Any) -> None:
        drawn.append(task.name)
        draw(layout, settings)

    task.draw = noted


def sources_of_edit(name: str) -> dict[str, Any]:
    """What there is to edit, small, and nothing that the other tasks look at."""
    from weft_blender.pixels import encode_png
    from weft_blender.splat_operators import import_splats

    if name == "edit_scene":
        return {"objects": [import_splats(os.environ["WEFT_TOUR"])]}
    folder = OUT / "frames"
    folder.mkdir(exist_ok=True)
    for number in range(1, 4):
        (folder / f"{number}.png").write_bytes(encode_png(np.full((64, 128, 3), 60 * number, np.uint8)))
    image = bpy.data.images.load(str(folder / "1.png"))
    if name == "edit_panorama":
        return {"image": image}
    if name == "edit_video":
        return {"source": bpy.data.movieclips.load(str(folder / "1.png"))}
    cameras = [bpy.data.objects.new("Photo", bpy.data.cameras.new("Photo")) for _ in range(2)]
    for camera in cameras:
        camera.data.background_images.new().image = image
        bpy.context.scene.collection.objects.link(camera)
    bpy.context.view_layer.update()
    return {"objects": cameras}


def start_small(name: str) -> Any:
    """A job of the task, as small as can be, with its usual sources."""
    from weft_blender import job
    from weft_blender.splat_operators import import_splats
    from weft_blender.tasks import TASKS

    scene, layer = bpy.context.scene, bpy.context.view_layer
    sources: dict[str, Any] = {}
    if name in ("texture", "retexture", "relight", "stylize", "move"):
        sources = {"objects": [bpy.data.objects["Suzanne"]]}
    elif name == "panorama":
        sources = {"around": True, "as_world": True}
    elif name == "splat_texture":
        obj = import_splats(os.environ["WEFT_TOUR"])
        layer.objects.active = obj
        sources = {"objects": [obj]}
    elif name in EDITS:
        sources = sources_of_edit(name)
    small = {"prompt": "stone", "prompt_1": "a duck", "prompt_2": "a rabbit", "steps": 4, "size": 64, "width": 256}
    small |= {"texture_size": 128, "views": 2, "light": "noon", "iterations": 2}
    if name == "relight":
        small["source"] = "BUILT_IN"
    if name == "move":
        sources["translate"] = (1, 0, 0)
    scene.render.engine, scene.cycles.samples = "CYCLES", 1  # the other draws for seconds without a graphics card
    settings = TASKS[name].settings_of(scene)
    for key, value in small.items():
        if hasattr(settings, key):
            setattr(settings, key, value)
    params = TASKS[name].parameters(settings)
    return job.start(name, replace(params, object="Suzanne") if name == "move" else params, **sources)


play(session())
