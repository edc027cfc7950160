"""Coupled sampling and what it is compared to, against path-traced truth (CVPR 2026, Tables 1-3, on our own scenes).

Two editors are the instruments. The *quotient* editor is the one that Weft ships with. The *sphere* editor redraws what
it relights, as networks do, so that its views really differ; on it the paper's trade shows (`coupled_spheres`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from weft.benchmarks.coupled_rows import Recipe, Row, measured
from weft.benchmarks.coupled_scenes import LitScene, shaded_scene
from weft.benchmarks.coupled_spheres import SphereEditor
from weft.benchmarks.coupled_steps import Cost, coupling_cost
from weft.geometry.environment import LUMINANCE, Environment
from weft.geometry.lights import light_named
from weft.io.images import save_image
from weft.tasks.relight_editor import RelightEditor
from weft.tasks.sheet import sheet
from weft.tasks.views_editor import ViewEditor

__all__ = [
    "EDITORS",
    "PAIRS",
    "Size",
    "cost_of",
    "editor_of",
    "lights_of",
    "markdown",
    "pairs_of",
    "quick_scene",
    "relit_rows",
]

# From which light to which: into every built-in one, and out of one with cast shadows.
PAIRS = (("overcast", "studio"), ("studio", "sunset"), ("studio", "noon"), ("studio", "neon"), ("noon", "overcast"))
SOURCE = "studio"  # of lights from files
LEVEL = 0.4  # mean luminance of a light: a white surface facing a low sun is then just not cut off
EDITORS: tuple[str, ...] = (
    "quotient",
    "fitted",
    "spheres",
)  # fitted: the quotient with an old light that nobody told it
SHOWN = ("per view", "averaging", "coupled, κ = 0.4", "synchronized")  # of the contact sheets


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    size: int = 160  # px of a view's side
    views: int = 8
    steps: int = 30
    samples: int = 128  # of the path tracer, a pixel


def lights_of(more: Mapping[str, Environment]) -> dict[str, Environment]:
    """The lights of PAIRS and `more`, all equally bright."""
    names = dict.fromkeys(name for pair in PAIRS for name in pair)
    return {name: _levelled(light) for name, light in ({n: light_named(n) for n in names} | dict(more)).items()}


def _levelled(light: Environment) -> Environment:
    return Environment(light.radiance * np.float32(LEVEL / (light.mean @ LUMINANCE)), light.name)


def pairs_of(scene: LitScene) -> list[tuple[str, str]]:
    """What a scene is relit from and to: PAIRS, and into every further light."""
    known = {name for pair in PAIRS for name in pair}
    return [*PAIRS, *((SOURCE, name) for name in scene.lights if name not in known)]


def quick_scene(size: Size, lights: Sequence[str] = ("studio", "sunset")) -> LitScene:
    """A painted torus, shaded by ourselves: for where there is no path tracer and no time."""
    return shaded_scene({name: _levelled(light_named(name)) for name in lights}, size=size.size, views=size.views)


def editor_of(name: str, scene: LitScene, lights: tuple[str, str], steps: int) -> ViewEditor:
    """One of EDITORS, bound to a scene under the first light and to the second."""
    images, geometry = scene.views[lights[0]], scene.geometry
    old, new = (scene.lights[light] for light in lights)
    if name == "spheres":
        return SphereEditor(images, geometry, old, new, steps=steps)
    known = old if name == "quotient" else None
    occluders = (scene.space.surface.vertices, scene.space.surface.faces) if scene.shadows else None
    return RelightEditor(images, geometry, geometry.mask, new, known, steps=steps, occluders=occluders)


def relit_rows(
    scene: LitScene, pairs: Sequence[tuple[str, str]], editors: Mapping[str, Sequence[Recipe]], steps: int, *,
    sheets: Path | None = None,
) -> Iterator[Row]:  # fmt: skip
    """A row for every pair of lights, editor and recipe; a contact sheet for every pair and editor in `sheets`."""
    for lights in pairs:
        for name, recipes in editors.items():
            shown = [("as it is", scene.views[lights[0]]), ("truth", scene.views[lights[1]])]
            editor = editor_of(name, scene, lights, steps)
            for row, images in measured(name, scene, lights, editor, recipes):
                yield row
                if row.recipe in SHOWN:
                    shown.append((f"{row.recipe}: {row.numbers['psnr']:.1f} dB", images))
            if sheets is not None and len(shown) > 2:
                title = f"{scene.name}-{lights[0]}-{lights[1]}-{name.replace(', ', '-').replace(' ', '-')}"
                save_image(sheets / f"{title}.jpg", _sheet(shown))


def cost_of(scene: LitScene, lights: tuple[str, str], name: str, steps: int) -> Cost:
    """What coupling costs one of EDITORS, whose edited view is taken to be the true one."""
    editor = editor_of(name, scene, lights, steps)
    edited = torch.from_numpy(scene.views[lights[1]][0] * np.float32(2) - np.float32(1)).permute(2, 0, 1)
    return coupling_cost(editor, edited.contiguous())


def _sheet(shown: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Rows of every second view."""
    return sheet([[(label if i == 0 else "", view) for i, view in enumerate(views[::2])] for label, views in shown])


def markdown(lines: Sequence[str]) -> str:
    """A table of our text tables, whose cells are two or more spaces apart, as Markdown."""
    rows = [[cell.strip() for cell in line.strip().split("  ") if cell.strip()] for line in lines]
    head = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return "\n".join(head + ["| " + " | ".join(row) + " |" for row in rows[1:]]) + "\n"
