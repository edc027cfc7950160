"""Pictures that Blender renders on the side: a scene that passes, one file at a time, and nothing is left of either.

The user's scene is never changed: `passing_scene` copies it, or makes an empty one, and takes it away again, also when
a render fails or Esc ends it. Rendering holds Blender's main thread; it is a few small pictures before a job begins.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import bpy
import numpy as np

from .errors import SceneError
from .images import read_bytes

__all__ = ["look_plain", "passing", "passing_scene", "rendered_bytes", "rendered_light", "use_engine"]

RESULT = "Render Result"  # the image in which Blender keeps what it has rendered
MOST_SAMPLES = 64
IMPORTANCE = 512  # px of the map by which Cycles samples a sky


@contextmanager
def passing_scene(world: bpy.types.World | None, source: bpy.types.Scene | None = None) -> Iterator[bpy.types.Scene]:
    """A copy of `source` with the same objects, or an empty scene, in a copy of `world`."""
    had_result = RESULT in bpy.data.images
    scene = bpy.data.scenes.new("Weft") if source is None else source.copy()
    items: list[Any] = [scene]
    try:
        scene.world = None if world is None else world.copy()
        if scene.world is not None:
            items.append(scene.world)
            sample_quickly(scene.world)
        scene.timeline_markers.clear()  # they may say which camera renders
        yield scene
    finally:
        bpy.data.batch_remove(items)
        if not had_result and RESULT in bpy.data.images:
            bpy.data.images.remove(bpy.data.images[RESULT])


def sample_quickly(world: Any) -> None:
    """Cycles would look at a procedural sky for seconds before every picture."""
    settings = getattr(world, "cycles", None)
    if settings is not None and settings.sampling_method == "AUTOMATIC":
        settings.sampling_method, settings.sample_map_resolution = "MANUAL", IMPORTANCE


@contextmanager
def passing(*items: Any) -> Iterator[None]:
    """Remove these datablocks at the end."""
    try:
        yield
    finally:
        bpy.data.batch_remove(items)


def use_engine(scene: bpy.types.Scene, engine: str) -> None:
    """`engine` with few samples, the same noise every time. Raises SceneError where it is switched off."""
    try:
        scene.render.engine = engine
    except TypeError:
        raise SceneError(
            "no_engine", f"Blender has no render engine {engine.title()} now", "enable it in Preferences > Add-ons"
        ) from None
    settings: Any = scene
    if engine == "CYCLES":
        settings.cycles.samples = min(settings.cycles.samples, MOST_SAMPLES)
        settings.cycles.seed, settings.cycles.use_animated_seed, settings.cycles.time_limit = 0, False, 0
    else:
        settings.eevee.taa_render_samples = min(settings.eevee.taa_render_samples, MOST_SAMPLES)


def rendered_bytes(scene: bpy.types.Scene) -> np.ndarray:
    """u1 [H, W, 4], sRGB with straight alpha as the scene's camera sees it, whatever look the user likes."""
    look_plain(scene)
    with rendered(scene, "PNG", "RGBA", "8") as image:
        return read_bytes(image)


def rendered_light(scene: bpy.types.Scene) -> np.ndarray:
    """f4 [H, W, 3], linear light."""
    with rendered(scene, "OPEN_EXR", "RGB", "32") as image:
        width, height = image.size
        flat = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(flat)
    return np.ascontiguousarray(flat.reshape(height, width, 4)[::-1, :, :3])


def look_plain(scene: bpy.types.Scene) -> None:
    """Linear light to sRGB and nothing else."""
    view: Any = scene.view_settings
    with suppress(TypeError):  # a colour configuration of the user's own may lack these
        scene.display_settings.display_device = "sRGB"
        view.view_transform = "Standard"
        view.look = "None"
    view.exposure, view.gamma, view.use_curve_mapping = 0, 1, False
    if hasattr(view, "use_white_balance"):  # Blender ≥ 4.3
        view.use_white_balance = False
    scene.render.dither_intensity = 0


@contextmanager
def rendered(scene: bpy.types.Scene, kind: str, mode: str, depth: str) -> Iterator[bpy.types.Image]:
    """The image that the scene's camera sees, as long as it is looked at. Raises SceneError if there is none."""
    render: Any = scene.render
    render.use_sequencer = render.use_compositing = render.use_stamp = render.use_multiview = False
    render.use_border, render.use_motion_blur, render.use_file_extension = False, False, True
    settings = render.image_settings
    if hasattr(settings, "media_type"):  # Blender ≥ 5.0
        settings.media_type = "IMAGE"
    settings.file_format = kind
    settings.color_mode, settings.color_depth = mode, depth
    settings.color_management = "FOLLOW_SCENE"
    with tempfile.TemporaryDirectory(prefix="weft_") as folder:
        path = os.path.join(folder, "view")
        render.filepath = path
        path += render.file_extension
        run(scene)
        if not os.path.isfile(path):
            raise SceneError(
                "not_rendered", "rendering the views was stopped", "press the button again, and let it end"
            )
        image = bpy.data.images.load(path, check_existing=False)
        with passing(image):
            yield image


def run(scene: bpy.types.Scene) -> None:
    """Render to the scene's file path."""
    cycles: Any = getattr(scene, "cycles", None)
    try:
        bpy.ops.render.render(scene=scene.name, write_still=True)
    except RuntimeError as error:
        if cycles is not None and cycles.use_denoising:  # of which some builds have nothing but the setting
            cycles.use_denoising = False
            run(scene)
            return
        raise SceneError("not_rendered", str(error).strip().splitlines()[0].removeprefix("Error: ")) from error
