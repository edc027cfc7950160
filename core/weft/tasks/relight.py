"""Put what many views show under another light, consistently: photographs, renders, or textured meshes.

Coupled sampling's relighting task (CVPR 2026) with geometry that is known: the editor's views agree through it. Where
nothing but poses is known, depth is estimated. The result goes back into textures or splats.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.geometry.environment import Environment
from weft.geometry.lights import light_named
from weft.tasks.events import Event, Result
from weft.tasks.network import Network
from weft.tasks.painting import Clock
from weft.tasks.relight_editor import RelightEditor
from weft.tasks.views_editor import ViewEditor
from weft.tasks.views_job import BAKE_EXPONENT, ViewsJob
from weft.tasks.views_network import NetworkEditor
from weft.tasks.views_prior import NetworkPrior
from weft.tasks.views_report import report_of
from weft.tasks.views_scene import ViewScene, check_scene
from weft.tasks.views_stage import Stage, prepared, working_side
from weft.tasks.views_wanted import Wanted

__all__ = ["relight"]

AUTOMATIC, NONE = "automatic", "none"
FLAT = np.ones((2, 4, 3), np.float32)  # of textures that hold no light: as white paper looks in even light


def relight(
    scene: ViewScene,
    *,
    environment: np.ndarray | None,
    old_environment: np.ndarray | None,
    light: str,
    rotation: float,
    exposure: float,
    old_light: str,
    shadows: bool,
    prompt: str,
    way: str,
    coupling: float,
    coupling_lambda: float,
    reference: int,
    views: int,
    size: int,
    texture_size: int,
    steps: int,
    seed: int,
    report: bool,
    network: Network | None = None,
    prior: NetworkPrior | None = None,
) -> Iterator[Event]:
    """Close the generator to cancel. The last event is the Result: `view.images` f4 [N, H, W, 3] in [0, 1] with
    `camera.poses` and `camera.intrinsics`, and what the geometry allows: `texture.<i>` (and `mesh.<i>.uv` that were
    made) or `splats.dc`; with `report` also `contact_sheet` and `turntable`. Previews show the views side by side.

    environment: f4 [h, 2h, 3] linear radiance, +Z up, the middle looks to +X; or a `light` by name; turned by
    `rotation` degrees and brightened by `exposure` stops. The old light is `old_environment`, or `old_light` by name;
    "none" for textures that hold no light, "automatic" is that for views drawn of textures and fitted for others.
    Other parameters as in `weft_wire.jobs.relight`. Raises WeftError before any work if something is wrong with the
    input. Sets torch to one thread.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = Clock()
    wanted = Wanted(way, coupling, coupling_lambda, reference, seed)
    check_scene(scene, wanted)
    new = _new_light(environment, light, rotation, exposure, prompt, network)
    old = _old_light(old_environment, old_light, drawn=scene.images is None)
    if network is not None:
        yield from network.load(clock, None)
    if prior is not None:
        yield from prior.load(clock, network)
    side, unit = working_side(size, network, prior)
    stage = yield from prepared(scene, clock, side=side, unit=unit, views=views, texture_size=texture_size)
    occluders = None
    if shadows and stage.surface is not None:
        occluders = (stage.surface.vertices, stage.surface.faces)
    with clock.phase("light"):
        editor: ViewEditor
        if network is None:
            assert new is not None
            editor = RelightEditor(
                stage.images, stage.geometry, stage.mask, new, old, steps=steps, seed=seed, occluders=occluders
            )
        else:
            editor = NetworkEditor(
                network, stage.images, prompt, steps, mask=stage.mask, geometry=stage.geometry,
                environment=new,
            )  # fmt: skip
    job = ViewsJob(stage, editor, wanted, clock, prior, prompt)
    yield from job.run()
    if network is not None:
        yield from network.warnings((prompt,))
    cells = None
    if stage.old is not None and isinstance(editor, RelightEditor):
        cells = _on_cells(stage, editor, job.x0)
    arrays = job.bake(cells)
    own = {"name": light or "environment map", "asked": light, "exact": True, "note": ""}
    info: dict[str, Any] = {"material": own if network is None else network.material(prompt)}
    yield from report_of(job, arrays, info, report)
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


def _on_cells(stage: Stage, editor: RelightEditor, x0: Tensor) -> Tensor:
    """The old texture under the new light, texel by texel: only the quotient of light goes through the views, so that
    nothing of the texture's detail is lost."""
    assert stage.old is not None
    space, geometry = stage.geometry.space(BAKE_EXPONENT), stage.geometry
    quotient = space.aggregate(space.rows_of(x0))
    shadows = editor.visibility_at(geometry.cell_position, geometry.cell_normal)
    return torch.from_numpy(editor.recoloured(quotient, stage.old.numpy() / 2 + 0.5, shadows)) * 2 - 1


def _new_light(
    environment: np.ndarray | None, light: str, rotation: float, exposure: float, prompt: str, network: Network | None
) -> Environment | None:
    if environment is None and not light.strip():
        if network is None:
            what = "words are for models with trained weights" if prompt.strip() else "there is no light"
            raise InvalidInput(
                f"{what}: the embedded denoiser needs a light", "send an environment map or name a light"
            )
        return None
    chosen = light_named(light) if environment is None else Environment(environment)
    return chosen.rotated(rotation).exposed(exposure)


def _old_light(environment: np.ndarray | None, name: str, *, drawn: bool) -> Environment | None:
    """None: to be fitted."""
    if environment is not None:
        return Environment(environment)
    if name == NONE or (name == AUTOMATIC and drawn):
        return Environment(FLAT)
    return None if name == AUTOMATIC else light_named(name)
