"""What the worker can do: task names to generators of the science. Imported inside the worker only.

Arrays and parameters come from the wire, already checked against their declaration; results go back as it says.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch

from weft.geometry.camera import Camera
from weft.geometry.mesh import Mesh
from weft.io.images import from_bytes, to_bytes
from weft.models.materials import MATERIALS
from weft.tasks import texture
from weft.tasks.events import Event, Result
from weft_wire.jobs import TEXTURE

__all__ = ["RUNNERS", "capabilities", "warm_up"]


def run_texture(
    params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]
) -> Generator[Event, None, None]:
    """One texture job; see weft.tasks.texture."""
    events = texture.texture(
        meshes_of(arrays, labels),
        exemplar=from_bytes(arrays["exemplar"]) if "exemplar" in arrays else None,
        cameras=cameras_of(arrays),
        cameras_from=params["cameras"],
        **{name: value for name, value in params.items() if name != "cameras"},
    )
    with closing(cast(Generator[Event, None, None], events)):
        for event in events:
            yield replace(event, arrays=as_declared(event.arrays)) if isinstance(event, Result) else event


def meshes_of(arrays: dict[str, np.ndarray], labels: list[str]) -> list[Mesh]:
    """The objects, in order, called by their labels."""
    meshes = []
    while f"mesh.{len(meshes)}.vertices" in arrays:
        i = len(meshes)
        name = labels[i] if i < len(labels) else f"object {i}"
        meshes.append(Mesh(name, arrays[f"mesh.{i}.vertices"], arrays[f"mesh.{i}.faces"], arrays.get(f"mesh.{i}.uv")))
    return meshes


def cameras_of(arrays: dict[str, np.ndarray]) -> list[Camera]:
    """The scene's cameras; intrinsics are fx fy cx cy width height, in pixels."""
    if "camera.poses" not in arrays:
        return []
    return [
        Camera(pose, round(float(width)), round(float(height)), float(fx), float(fy), float(cx), float(cy))
        for pose, (fx, fy, cx, cy, width, height) in zip(
            arrays["camera.poses"], arrays["camera.intrinsics"], strict=True
        )
    ]


def as_declared(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Results in the types that the task declares: images as bytes."""
    declared = {}
    for name, array in arrays.items():
        spec = next(spec for spec in TEXTURE.results if spec.matches(name))
        declared[name] = to_bytes(array) if spec.dtype == "u1" else array.astype(f"<{spec.dtype}", copy=False)
    return declared


def capabilities() -> dict[str, Any]:
    """What the server announces: models, materials, the device that computes."""
    if torch.cuda.is_available():
        device = f"cuda: {torch.cuda.get_device_name(0)}"
    else:
        device = f"cpu: {torch.get_num_threads()} threads"
    return {"models": ["exemplar"], "materials": list(MATERIALS), "device": device}


def warm_up() -> None:
    """Load what would make the first job slow."""
    if hasattr(texture, "warm_up"):
        texture.warm_up()


RUNNERS = {TEXTURE.name: run_texture}
