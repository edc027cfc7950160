"""What comes back of a scene, whatever made it: the file, splats in the world, pictures of it from all around."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from weft.geometry.camera import Camera, packed
from weft.geometry.splats import Splats
from weft.scenes.frame import SceneFrame
from weft.scenes.scene import Scene, TrainingViews
from weft.tasks.sheet import sheet

__all__ = ["beside", "comparison_sheet", "held_out_arrays", "splat_arrays", "turning"]

_FRAMES = 36
_SWING = 25.0  # degrees to either side, of a place that was not seen from all around
_SHOWN = 4  # views on a sheet
_GAP = 4  # px between two pictures


def splat_arrays(splats: Splats) -> dict[str, np.ndarray]:
    """Splats under the names of results."""
    names = ("means", "quaternions", "log_scales", "logits", "sh")
    return {f"splats.{name}": np.ascontiguousarray(getattr(splats, name)) for name in names}


def held_out_arrays(renders: np.ndarray, cameras: Sequence[Camera], frame: SceneFrame) -> dict[str, np.ndarray]:
    """`renders` f4 [N, H, W, 3] and the `cameras` that saw them, which stand in the scene's frame, in the world."""
    poses, lenses = packed([frame.out_of(camera) for camera in cameras])
    return {"view.images": renders, "camera.poses": poses, "camera.intrinsics": lenses}


def beside(render: np.ndarray, photograph: np.ndarray) -> np.ndarray:
    """f4 [H, 2 W + gap, 3]: a render, and what it should look like."""
    gap = np.ones((render.shape[0], _GAP, 3), np.float32)
    return np.concatenate([render.clip(0, 1), gap, photograph], 1).astype(np.float32)


def comparison_sheet(views: TrainingViews, renders: np.ndarray, told: str) -> np.ndarray:
    """f4 [H, W, 3]: some of the `views`, their `renders` f4 [N, H, W, 3] and the difference, three times as large."""
    some = np.linspace(0, len(renders) - 1, min(_SHOWN, len(renders))).round().astype(int)
    differences = 0.5 + 1.5 * (renders - views.images)
    return sheet(
        [
            [(f"photograph {i + 1}", views.images[i]) for i in some],
            [(f"scene, {told}" if k == 0 else "scene", renders[i]) for k, i in enumerate(some)],
            [("three times the difference" if k == 0 else "", differences[i].clip(0, 1)) for k, i in enumerate(some)],
        ]
    )


def turning(scene: Scene, cameras: Sequence[Camera], *, around: bool) -> Iterator[np.ndarray]:
    """36 pictures f4 [H, W, 3] of the scene from an orbit of the camera in the middle of `cameras`, about the point
    that they look at: all `around`, or to both sides and back. Cameras stand in the scene's frame."""
    up = np.mean([camera.pose[:3, 1] for camera in cameras], 0)
    length = np.linalg.norm(up)
    up = up / length if length > 1e-6 else np.array([0.0, 0.0, 1.0])
    centers = np.stack([camera.center for camera in cameras])
    first = cameras[int(np.linalg.norm(centers - centers.mean(0), axis=1).argmin())]
    for k in range(_FRAMES):
        turn = 2 * np.pi * k / _FRAMES
        angle = turn if around else np.radians(_SWING) * np.sin(turn)
        pose = np.eye(4)
        pose[:3] = _rotation(up, angle) @ first.pose[:3]
        yield scene.render(replace(first, pose=pose)).image.clip(0, 1)


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """f8 [3, 3], about the unit `axis` (Rodrigues)."""
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew
