"""Runs inside Blender's window: makes a gallery with the mouse, wears its variants, takes steps back, goes on from one.

    blender --factory-startup -P window_gallery.py

Environment: as window_session.py. Leaves first.png, while the second variant forms, and gallery.png.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path += [os.environ["WEFT_NUMPY"], str(Path(__file__).parent)]

import bpy
from window_hands import (
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


def session() -> Iterator[float]:
    install()
    bpy.context.preferences.view.show_splash = False
    bpy.context.preferences.view.ui_scale = 0.8  # or the strip would not be seen whole
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    make_scene(window, area)
    bpy.context.scene.weft.variants = 4
    bpy.context.scene.weft.texture_size = int(os.environ.get("WEFT_TEXTURE", "128"))
    yield 0.5
    from weft_blender import job, panel
    from weft_blender.link import LINK

    yield from until(lambda: LINK.connected and LINK.welcome.ready, 120, "the server did not answer")
    yield from open_tab(window, area, watch_drawing(panel))
    yield 1.0
    click(*button_at(window, area))
    yield from until(lambda: len(job.DESK.done) == 1, 200, "the first variant does not end")
    yield from redrawn(area)
    picture("first")
    yield from until(lambda: not job.working(), 400, "the gallery does not end")
    note("made")
    yield from wear_and_go_back(window, area)
    yield from redrawn(area)
    picture("gallery")
    yield from go_on(window, area, job)


def note(moment: str) -> None:
    """(numbers of the latest gallery, which of them is worn), and the images that there are."""
    from weft_blender.gallery import galleries

    found = list(galleries().values())
    worn = found[-1].worn if found else None
    REPORT[moment] = [list(found[-1].variants) if found else [], worn.number if worn else 0, len(bpy.data.images)]


def redrawn(area: Any) -> Iterator[float]:
    for _ in range(4):  # panels find their places, and icons their pictures, when they are drawn again
        area.tag_redraw()
        region(area, "UI").tag_redraw()
        yield 0.4


def wear_and_go_back(window: Any, area: Any) -> Iterator[float]:
    """Wear number 2, step back and forth, and make it a favourite."""
    from weft_blender.gallery import galleries

    with bpy.context.temp_override(window=window, area=area, region=region(area, "WINDOW")):
        bpy.ops.weft.wear_variant("EXEC_DEFAULT", True, job=job_of(2))
        note("worn")
        bpy.ops.ed.undo()
        yield 0.3
        note("after_undo")
        bpy.ops.ed.redo()
        yield 0.3
        note("after_redo")
        bpy.ops.weft.star_variant("EXEC_DEFAULT", True, job=job_of(2))
    REPORT["favourites"] = [v.number for g in galleries().values() for v in g.own if v.favourite]


def job_of(number: int) -> str:
    from weft_blender.gallery import galleries

    return list(galleries().values())[-1].variants[number].job


def go_on(window: Any, area: Any, job: Any) -> Iterator[float]:
    """A second gallery, from the one that is worn."""
    with bpy.context.temp_override(window=window, area=area, region=region(area, "WINDOW")):
        bpy.ops.weft.more_like_this()
    yield from until(lambda: not job.working(), 400, "the second gallery does not end")
    yield from redrawn(area)
    picture("more")
    note("more")


play(session())
