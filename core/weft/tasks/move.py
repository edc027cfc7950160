"""Move an object that many views show, consistently: as the geometry says, and painted anew where nothing was seen.

Coupled sampling's spatial editing task (CVPR 2026) with geometry that is known: what the views say of the object's
surface is carried along (`spaces.carried`), what its old place hid is painted, and the views' paintings agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from weft.errors import InvalidImage, InvalidInput, UnknownName
from weft.geometry.rigid import Rigid
from weft.spaces.carried import CoarseEdit, coarse_edit
from weft.spaces.mesh_texture import MeshTextureSpace
from weft.spaces.moved import (
    Moved,
    check_moved,
    members_masked,
    members_named,
    moved_depth,
    moved_mesh,
    moved_splats,
)
from weft.tasks.events import Event, Progress, Result
from weft.tasks.move_editor import MoveEditor
from weft.tasks.network import Network
from weft.tasks.painting import Clock
from weft.tasks.views_editor import ViewEditor
from weft.tasks.views_job import ViewsJob
from weft.tasks.views_network import NetworkEditor
from weft.tasks.views_prior import NetworkPrior
from weft.tasks.views_report import report_of
from weft.tasks.views_scene import ViewScene, check_scene
from weft.tasks.views_stage import Stage, nearest_maps, prepared, working_side
from weft.tasks.views_wanted import Wanted

__all__ = ["move"]


def move(
    scene: ViewScene,
    *,
    object_masks: np.ndarray | None,
    transform: np.ndarray,
    object: str,
    strength: float,
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
    """Close the generator to cancel. Events and results as those of `relight`, but for the bake: textures and splats
    are what they were, at another place. Also `view.holes` f4 [N, H, W], 1 where nothing was known.

    object: the name of the mesh that moves; or object_masks: bool [N, H, W], where views show what moves. transform:
    f8 [4, 4], the rigid motion in the world. strength: in [0, 1], how much is painted anew of what the views know.
    Other parameters as in `weft_wire.jobs.move`. Raises WeftError before any work if something is wrong with the
    input. Sets torch to one thread.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = Clock()
    wanted = Wanted(way, coupling, coupling_lambda, reference, seed)
    check_scene(scene, wanted)
    rigid = Rigid(transform)
    _check_object(scene, object, object_masks)
    if network is not None:
        yield from network.load(clock, None)
    if prior is not None:
        yield from prior.load(clock, network)
    side, unit = working_side(size, network, prior)
    stage = yield from prepared(scene, clock, side=side, unit=unit, views=views, texture_size=texture_size)
    with clock.phase("moving"):
        moved = _moved(stage, object, object_masks, rigid)
        check_moved(moved)
        coarse = coarse_edit(moved, stage.images)
    yield Progress("moving", 1, 1, "carrying the object along")
    after = replace(stage, images=coarse.images, mask=np.ones_like(stage.mask), geometry=moved.after)
    editor = _editor(after, moved, coarse, stage.images, strength, prompt, steps, network)
    job = ViewsJob(after, editor, wanted, clock, prior, prompt)
    yield from job.run()
    if network is not None:
        yield from network.warnings((prompt,))
    arrays = {name: array for name, array in job.bake().items() if name.startswith(("view.", "camera."))}
    arrays["view.holes"] = coarse.holes.astype(np.float32)
    info: dict[str, Any] = {
        "material": {} if network is None else network.material(prompt),
        "holes": round(float(coarse.holes.mean()), 4),
    }
    yield from report_of(job, arrays, info, report, before=stage.images)
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


def _check_object(scene: ViewScene, name: str, masks: np.ndarray | None) -> None:
    if masks is None:
        names = [mesh.name for mesh in scene.meshes]
        if name not in names:
            known = f"meshes: {', '.join(names)}" if names else "there are no meshes: send masks of the object"
            raise UnknownName(f"no mesh is called {name!r}", known)
        return
    if scene.images is None:
        raise InvalidImage("masks of the object belong to views, and there are none", "name the mesh that moves")
    if masks.shape != scene.images.shape[:3]:
        expected = list(scene.images.shape[:3])
        raise InvalidImage(f"masks of shape {list(masks.shape)} for views of {expected}", "give one a view")
    if not masks.any():
        raise InvalidInput("the masks of the object are empty", "paint the object white in the views that show it")


def _moved(stage: Stage, name: str, masks: np.ndarray | None, rigid: Rigid) -> Moved:
    """The geometry before and after."""
    geometry, source = stage.geometry, stage.source
    if masks is None:
        assert isinstance(source, MeshTextureSpace)
        return moved_mesh(source, members_named(source.surface, name), rigid)
    members = members_masked(geometry, nearest_maps(masks, *geometry.shape[1:]))
    if isinstance(source, MeshTextureSpace):
        return moved_mesh(source, members, rigid)
    return moved_depth(geometry, members, rigid) if source is None else moved_splats(source, geometry, members, rigid)


def _editor(
    stage: Stage, moved: Moved, coarse: CoarseEdit, before: np.ndarray, strength: float, prompt: str, steps: int,
    network: Network | None,
) -> ViewEditor:  # fmt: skip
    """Networks paint the holes; those that are told of no mask go over what moved as well."""
    if network is None:
        return MoveEditor(moved, coarse, strength=strength, steps=steps)
    may = coarse.holes if "mask" in network.card.needs else ~coarse.kept
    return NetworkEditor(
        network, coarse.images, prompt, steps, max(strength, 1 / steps), mask=may, geometry=moved.after, before=before
    )  # fmt: skip
