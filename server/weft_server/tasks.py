"""What the worker can do: every task of the wire is one generator of the science. Imported inside the worker only.

Arrays and parameters come from the wire, already checked against their declaration; results go back as it says. Each
row of `RUNNERS` states how the arrays become arguments; the parameters become arguments of their own names.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch

from weft.io.images import to_bytes
from weft.models.materials import MATERIALS
from weft.tasks import (
    backgrounds,
    edit_panorama,
    edit_scene,
    edit_video,
    fit,
    illusion,
    move,
    panorama,
    relight,
    render_scene,
    retexture,
    splat_texture,
    stylize,
    text_to_3d,
    texture,
)
from weft.tasks.events import Checkpoint, Event, Result
from weft_server import variants
from weft_server.loaded_models import announced, unload
from weft_server.networks import NAMES, network_of, prior_of
from weft_server.received import Received
from weft_server.thumbnails import thumbnail_of
from weft_wire.jobs import (
    BACKGROUNDS,
    EDIT_PANORAMA,
    EDIT_SCENE,
    EDIT_VIDEO,
    FIT,
    ILLUSION,
    MOVE,
    PANORAMA,
    RELIGHT,
    RENDER,
    RETEXTURE,
    SPLAT_TEXTURE,
    STYLIZE,
    TEXT_TO_3D,
    TEXTURE,
    UNLOAD,
    Task,
)
from weft_wire.jobs.variants import rho_of

__all__ = ["RUNNERS", "Runner", "as_declared", "capabilities", "warm_up"]

RENAMED = {"cameras": "cameras_from"}  # parameters whose name the science gives to arrays


@dataclass(frozen=True, slots=True)
class Runner:
    """Does one task: `function` is its generator, `inputs` makes its arguments from the arrays. If it `takes_network`,
    what the parameters say of a model becomes one argument, `network`, and of a multi-view model `prior`."""

    task: Task
    function: Callable[..., Iterator[Event]]
    inputs: Mapping[str, Callable[[Received], Any]]
    takes_network: bool = True

    def __call__(
        self, params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]
    ) -> Generator[Event, None, None]:
        """The events of the job; the arrays of its result in the types that the wire declares."""
        received = Received(arrays, labels)
        given = {name: argument(received) for name, argument in self.inputs.items()}
        info: dict[str, Any] = {}
        if self.task.has_variants:
            seed = variants.seed_of(params, arrays)
            info = variants.told_of(params, seed, arrays)
            params = {name: value for name, value in params.items() if name not in variants.NAMES} | {"seed": seed}
        if self.takes_network:
            given["network"] = network_of(params, arrays)
            if "prior" in params:
                given["prior"] = prior_of(params)
            params = {name: value for name, value in params.items() if name not in NAMES and name != "prior"}
        if "correlation" in params:  # which has names on the wire, too
            params = params | {"correlation": rho_of(params["variants"], params["correlation"])}
        wished = {RENAMED.get(name, name): value for name, value in params.items()}
        events = self.function(**given, **wished)
        with closing(cast(Generator[Event, None, None], events)):
            for event in events:
                if isinstance(event, Result | Checkpoint):
                    made = as_declared(self.task, event.arrays)
                    if info and isinstance(event, Result):
                        made |= thumbnail_of(arrays, made, wished.get("up", ""))
                    event = replace(event, arrays=made, info=event.info | info)
                yield event


_EXEMPLAR = {"exemplar": Received.exemplar}
_CAMERAS = {"cameras": Received.cameras}
_SCENE = {"scene": Received.view_scene}
_ROWS = (
    Runner(TEXTURE, texture.texture, {"meshes": Received.meshes, **_EXEMPLAR, **_CAMERAS}),
    Runner(
        RETEXTURE,
        retexture.retexture,
        {
            "meshes": Received.meshes,
            "textures": Received.textures,
            "masks": Received.masks,
            "selections": Received.selections,
            **_EXEMPLAR,
            **_CAMERAS,
        },
    ),
    Runner(
        RELIGHT,
        relight.relight,
        {**_SCENE, "environment": Received.environment, "old_environment": Received.old_environment},
    ),
    Runner(STYLIZE, stylize.stylize, {**_SCENE, **_EXEMPLAR}),
    Runner(MOVE, move.move, {**_SCENE, "object_masks": Received.object_masks, "transform": Received.transform}),
    Runner(ILLUSION, illusion.illusion, {"exemplars": Received.exemplars}),
    Runner(
        PANORAMA,
        panorama.panorama,
        {**_EXEMPLAR, "depth": Received.depth, "meshes": Received.meshes, "viewpoint": Received.viewpoint},
    ),
    Runner(SPLAT_TEXTURE, splat_texture.splat_texture, {"splats": Received.splats, **_EXEMPLAR, **_CAMERAS}),
    Runner(
        EDIT_PANORAMA,
        edit_panorama.edit_panorama,
        {"image": Received.image, "mask": Received.mask, **_EXEMPLAR, "regions": Received.regions},
    ),
    Runner(EDIT_VIDEO, edit_video.edit_video, {"frames": Received.frames, "masks": Received.frame_masks, **_EXEMPLAR}),
    Runner(
        BACKGROUNDS,
        backgrounds.backgrounds,
        {"image": Received.image, "mask": Received.mask, **_EXEMPLAR},
    ),
    Runner(
        FIT,
        fit.fit,
        {
            "images": Received.photographs,
            **_CAMERAS,
            "masks": Received.view_masks,
            "points": Received.points,
            "point_colors": Received.point_colors,
            "scene": Received.scene_file,
        },
        takes_network=False,
    ),
    Runner(RENDER, render_scene.render_scene, {"scene": Received.scene, **_CAMERAS}, takes_network=False),
    Runner(
        EDIT_SCENE,
        edit_scene.edit_scene,
        {
            "scene": Received.scene,
            "images": Received.known_photographs,
            **_CAMERAS,
            "masks": Received.view_masks,
            **_EXEMPLAR,
            "region": Received.region,
        },
    ),
    Runner(TEXT_TO_3D, text_to_3d.text_to_3d, {"meshes": Received.meshes, **_EXEMPLAR}),
    Runner(UNLOAD, unload, {}, takes_network=False),
)
RUNNERS: dict[str, Runner] = {row.task.name: row for row in _ROWS}


def as_declared(task: Task, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Results in the types that the task declares: images as bytes."""
    declared = {}
    for name, array in arrays.items():
        spec = next(spec for spec in task.results if spec.matches(name))
        declared[name] = to_bytes(array) if spec.dtype == "u1" else array.astype(f"<{spec.dtype}", copy=False)
    return declared


def capabilities() -> dict[str, Any]:
    """What the server announces: models, materials, the device that computes."""
    if torch.cuda.is_available():
        device = f"cuda: {torch.cuda.get_device_name(0)}"
    else:
        device = f"cpu: {torch.get_num_threads()} threads"
    return {**announced(), "materials": list(MATERIALS), "device": device}


def warm_up() -> None:
    """Load what would make the first job slow."""
    texture.warm_up()
