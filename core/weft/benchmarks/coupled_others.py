"""The other tasks: objects moved, against a render of the moved scene; views restyled, for which there is no truth."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from weft.benchmarks.coupled_rows import Recipe, Row, consistency, edit, sharpnesses
from weft.benchmarks.coupled_scenes import LitScene, Shot, Thing
from weft.benchmarks.torus import torus
from weft.geometry.environment import Environment
from weft.geometry.rigid import Rigid
from weft.geometry.stereo import estimate_depths
from weft.io.view_folder import load_views
from weft.metrics import patch_distance, psnr, sharpness
from weft.metrics.ssim import ssim
from weft.spaces.carried import coarse_edit
from weft.spaces.depth_points import depth_geometry
from weft.spaces.moved import members_named, moved_mesh
from weft.spaces.view_geometry import ViewGeometry
from weft.tasks.move_editor import MoveEditor
from weft.tasks.stylize_editor import StyleEditor

__all__ = ["MOVED_COLUMNS", "STYLE_COLUMNS", "move_shots", "moved_rows", "photographs", "styled_rows"]

MOVED_COLUMNS = {
    "psnr": "PSNR",
    "ssim": "SSIM",
    "object": "PSNR, object",
    "sharpness": "sharpness",
    "seconds": "seconds",
}
STYLE_COLUMNS = {
    "patch": "patch distance", "consistency": "consistency", "sharpness": "sharpness", "seconds": "seconds",
}  # fmt: skip
BEFORE, AFTER = "before", "after"
RING_AT = np.array([-2.9, 0.4, -0.4], np.float32)  # beside the monkey, which hides some of it from the right
MOTION = Rigid.of(translate=(-1.0, -1.6, 0.2), rotate=(0, 0, 40))  # in front of the ring
STRENGTHS = (0.0, 0.3)  # how much is painted anew beyond the holes


def move_shots(monkey: Thing, light: Environment) -> tuple[list[Thing], dict[str, Shot]]:
    """Things and shots of the scene that is changed: the monkey beside a ring, and moved in front of it."""
    lying = torus()
    ring = Thing(replace(lying, vertices=lying.vertices + RING_AT))
    return [ring, monkey], {BEFORE: Shot(light), AFTER: Shot(light, MOTION.matrix)}


def moved_rows(scene: LitScene, recipes: Sequence[Recipe], steps: int) -> Iterator[tuple[Row, np.ndarray]]:
    """The coarse edit, and what the editor makes of it, against the rendered motion. PSNR and SSIM over all objects
    and over what moved; light does not move with an object, which no editor here knows."""
    members = members_named(scene.space.surface, scene.space.surface.meshes[-1].name)
    moved = moved_mesh(scene.space, members, MOTION)
    images, truth = scene.views[BEFORE], scene.views[AFTER]
    began = time.perf_counter()
    coarse = coarse_edit(moved, images)

    def row(name: str, label: str, found: np.ndarray) -> Row:
        every, own = (
            list(zip(found, truth, masks, strict=True)) for masks in (moved.after.mask, moved.now & moved.after.mask)
        )
        numbers = {
            "psnr": float(np.mean([psnr(*pair) for pair in every])),
            "ssim": float(np.mean([ssim(*pair) for pair in every])),
            "object": float(np.mean([psnr(*pair) for pair in own if pair[2].any()])),
            "sharpness": sharpnesses(found, moved.after.mask) / sharpnesses(truth, moved.after.mask),
            "seconds": time.perf_counter() - began,
        }
        return Row(name, f"{scene.name}, moved", label, numbers)

    yield row("", "coarse edit", coarse.images), coarse.images
    for strength in STRENGTHS:
        editor = MoveEditor(moved, coarse, strength=strength, steps=steps)
        for recipe in recipes:
            began = time.perf_counter()
            found = edit(coarse.images, moved.after, editor.open, editor, recipe)
            yield row(f"move {strength:g}", recipe.label, found), found


def photographs(folder: Path, *, size: int, count: int) -> tuple[np.ndarray, ViewGeometry]:
    """Views f4 [N, H, W, 3] of a folder with transforms.json, and the geometry that they tell themselves."""
    views = load_views(folder, size=size, count=count)
    depths = views.depths if views.depths is not None else estimate_depths(views.images, views.cameras)[0]
    return views.images, depth_geometry(depths, views.cameras)


def styled_rows(
    name: str, images: np.ndarray, geometry: ViewGeometry, mask: np.ndarray, style: np.ndarray,
    recipes: Sequence[Recipe], steps: int,
) -> Iterator[tuple[Row, np.ndarray]]:  # fmt: skip
    """Patch distance to the style (0 is best), consistency in dB, sharpness over the style's."""
    editor = StyleEditor(images, geometry, mask, style, steps=steps)
    for recipe in recipes:
        began = time.perf_counter()
        found = edit(images, geometry, mask, editor, recipe)
        seconds = time.perf_counter() - began
        numbers = {
            "patch": patch_distance(list(found), [editor.style], list(mask)),
            "consistency": consistency(geometry, found),
            "sharpness": sharpnesses(found, mask) / sharpness(editor.style),
            "seconds": seconds,
        }
        yield Row("style", name, recipe.label, numbers), found
