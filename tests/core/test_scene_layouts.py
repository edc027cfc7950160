"""What scene files hold is held to the layout of their kind: no array of another size reaches a kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from practice_splat_files import cloud
from practice_views import photographs, standing_around

from weft.errors import InvalidInput
from weft.io.scene_files import KINDS as STORED
from weft.io.scene_files import SceneInfo, scene_bytes
from weft.scenes.frame import frame_of
from weft.scenes.kinds import KINDS, Beginning
from weft.scenes.layouts import LAYOUTS, check_layout
from weft.scenes.scene import TrainingViews
from weft.scenes.splats import SplatScene
from weft.tasks.scene_source import open_scene


@cache
def views() -> TrainingViews:
    cameras = standing_around(3, 24)
    frame = frame_of(cameras)
    return TrainingViews(photographs(cameras)[0], tuple(frame.into(camera) for camera in cameras))


@cache
def scene(kind: str, degree: int = Beginning().degree) -> Any:
    """After a step of its own, and one of an edit in which only some of it may change."""
    if kind == "splats":
        made: Any = SplatScene.from_splats(cloud(30, degree), np.zeros(3, np.float32))
    else:
        made = KINDS[kind].begin(views(), resolution=10, degree=degree)
    made.fit(views(), 0, 4, 0)
    some = np.arange(len(made.places())) % 2 == 0
    try:
        made.restart(trainable=some, anchor=0.5)
    except InvalidInput:  # its kind cannot
        made.restart()
    made.fit(views(), 1, 4, 0)
    return made


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("degree", [0, 2])
def test_every_array_of_every_kind_is_in_its_layout(kind: str, degree: int) -> None:
    """An array that is not named here would be used unchecked."""
    arrays = scene(kind, degree).arrays()
    check_layout(kind, arrays)
    named = {name.removesuffix("?") for name in LAYOUTS[kind]}
    assert set(arrays) <= named
    assert kind in STORED
    again = open_scene(scene_bytes(kind, arrays, SceneInfo(np.eye(4))))
    assert again.scene.kind == kind
    told = again.scene.arrays()
    assert all(np.array_equal(told[name], array) for name, array in arrays.items())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_arrays_of_other_sizes_and_types_are_refused_by_name(kind: str) -> None:
    arrays = scene(kind).arrays()
    for name, array in arrays.items():
        changes = [array.astype(np.float64 if array.dtype != np.float64 else np.float32), array[None]]
        if array.ndim:
            changes += [array[:-1], np.concatenate([array, array])]
        for changed in changes:
            with pytest.raises(InvalidInput, match="scene"):
                check_layout(kind, {**arrays, name: changed})
        optional = f"{name}?" in LAYOUTS[kind]
        if not optional:
            with pytest.raises(InvalidInput, match=f"a scene made of {kind} has no '{name}'"):
                check_layout(kind, {key: one for key, one in arrays.items() if key != name})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {"box": np.full_like(a["box"], np.inf)}, "stands for a box"),
        (lambda a: {"box": np.zeros_like(a["box"])}, "stands for a box"),
        (lambda a: {"resolution": np.array(10**9)}, "has 1000000000 vertices a side"),
        (lambda a: {"color": a["color"][..., :5], "color_moments": a["color"][..., :5]}, "color of a scene"),
    ],
)
def test_grids_that_cannot_be_are_refused(change: Callable[..., dict[str, np.ndarray]], message: str) -> None:
    arrays = scene("voxels").arrays()
    with pytest.raises(InvalidInput, match=message) as caught:
        open_scene(scene_bytes("voxels", {**arrays, **change(arrays)}, SceneInfo(np.eye(4))))
    assert "\n" not in str(caught.value)
