"""Paint what many views show in the style of a picture, consistently: photographs, renders, or textured meshes.

Coupled sampling's stylization task (CVPR 2026) with geometry that is known: the editor's views agree through it. Where
nothing but poses is known, depth is estimated. The result goes back into textures or splats.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from weft.tasks.events import Event, Result
from weft.tasks.network import Network
from weft.tasks.painting import Clock, choose_painter
from weft.tasks.stylize_editor import StyleEditor
from weft.tasks.views_editor import ViewEditor
from weft.tasks.views_job import ViewsJob
from weft.tasks.views_network import NetworkEditor
from weft.tasks.views_prior import NetworkPrior
from weft.tasks.views_report import report_of
from weft.tasks.views_scene import ViewScene, check_scene
from weft.tasks.views_stage import prepared, working_side
from weft.tasks.views_wanted import Wanted

__all__ = ["stylize"]


def stylize(
    scene: ViewScene,
    *,
    exemplar: np.ndarray | None,
    prompt: str,
    guide: str,
    fidelity: float,
    pattern_scale: float,
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
    """Close the generator to cancel. Events and results as those of `relight`.

    exemplar: f4 [h, w, 3] sRGB in [0, 1], the style; or words, of a built-in one. Other parameters as in
    `weft_wire.jobs.stylize`; networks that are not shown the views begin from them, the more noised the less
    `fidelity`. Raises WeftError before any work if something is wrong with the input. Sets torch to one thread.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = Clock()
    wanted = Wanted(way, coupling, coupling_lambda, reference, seed)
    check_scene(scene, wanted)
    if network is None:
        material, painter = choose_painter(prompt, exemplar, 1, 1.0)
        picture = painter.picture
    else:
        yield from network.load(clock, exemplar)
        material, picture = network.material(prompt), exemplar
    if prior is not None:
        yield from prior.load(clock, network)
    side, unit = working_side(size, network, prior)
    stage = yield from prepared(scene, clock, side=side, unit=unit, views=views, texture_size=texture_size)
    with clock.phase("style"):
        editor: ViewEditor
        if network is None:
            assert picture is not None
            editor = StyleEditor(
                stage.images, stage.geometry, stage.mask, picture, guide=guide, fidelity=fidelity,
                pattern_scale=pattern_scale, steps=steps,
            )  # fmt: skip
        else:
            editor = NetworkEditor(
                network, stage.images, prompt, steps, max(1 - fidelity, 1 / steps), stage.mask, stage.geometry,
                style=picture,
            )  # fmt: skip
    job = ViewsJob(stage, editor, wanted, clock, prior, prompt)
    yield from job.run()
    if network is not None:
        yield from network.warnings((prompt,))
    arrays = job.bake()
    info: dict[str, Any] = {"material": material}
    yield from report_of(job, arrays, info, report, guide=picture)
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})
