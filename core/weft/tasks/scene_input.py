"""Photographs with poses, checked, scaled and divided into those that a scene learns from and those it is measured by.

Everything that would make minutes of training worthless is found here: poses of another convention, the same pose
twice, cameras that never moved. What is transparent has come over white with masks (`io.view_folder`): such pictures
show an object and nothing else, and are learned from as a whole. Other masks say what to leave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from weft.errors import InvalidCamera, InvalidImage, InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.pose_checks import check_poses
from weft.geometry.view_choice import focus
from weft.scenes.frame import SceneFrame, frame_of
from weft.scenes.scene import TrainingViews
from weft.tasks.events import Warning
from weft.tasks.scene_source import OpenScene, background_of

__all__ = ["Dataset", "dataset"]

WORKING = (192, 1600)  # px of the longer side, without and with a GPU, unless more or less is asked for
FEWEST = 2
SMALLEST = 16  # px of a side
_ENOUGH_HELD = 3  # views that a mean PSNR says something of
_WHITE, _CUT_OUT = 0.98, 0.8  # so much of what masks leave out is so bright: the pictures were transparent there
_SAME = 1e-4  # of the rig's extent, and in the entries of rotations: one pose twice


@dataclass(frozen=True, eq=False)
class Dataset:
    """Views of one size in the scene's frame."""

    training: TrainingViews
    held_out: TrainingViews | None  # None where there are too few views to spare one
    held: tuple[int, ...]  # which of the given views these are
    frame: SceneFrame
    points: np.ndarray | None  # f4 [P, 3] of structure from motion, in the scene's frame
    bounded: bool  # an object before `background`; else a place, which goes on for ever
    background: tuple[float, ...]  # sRGB, three
    warnings: tuple[Warning, ...]


def dataset(
    images: np.ndarray,
    cameras: Sequence[Camera],
    masks: np.ndarray | None = None,
    points: np.ndarray | None = None,
    *,
    size: int,
    hold_out: int,
    background: str,
    opened: OpenScene | None = None,
) -> Dataset:
    """images: f4 [N, H, W, 3] sRGB in [0, 1]; masks: bool [N, H, W], True counts; points: f4 [P, 3]. Cameras and points
    stand in one world. `size`: px of the longer side at most (0: what suits the device). Every `hold_out`-th view, from
    the first on, is held out. `opened`: the scene that learns on; frame and background are its own.

    Raises WeftError, before any work, for what cannot become a scene.
    """
    cameras = list(cameras)
    _check_arrays(images, cameras, masks)
    if problem := check_poses(images, cameras):  # first: inverses of poses often stand in one place
        told, _, remedy = problem.partition(": ")
        raise InvalidCamera(told, remedy)
    warnings = _check_places(images, cameras)
    if points is None and focus(cameras) is None:
        warnings.append(
            Warning(
                "the cameras do not look at one place: how far things are away is guessed from how far they moved",
                "give COLMAP's points with them, if you have any",
            )
        )
    cut_out = masks is not None and _is_cut_out(images, masks)
    behind = background_of(background, "white" if cut_out else "grey")
    if opened is not None:
        behind = tuple(map(float, opened.scene.background))
    images, masks, cameras = _scaled(images, masks, cameras, size)
    if cut_out:
        assert masks is not None
        if any(value != 1 for value in behind):
            images = np.where(masks[..., None], images, np.array(behind, np.float32))
        masks = None
    frame = frame_of(cameras, points) if opened is None else opened.frame
    inside = [frame.into(camera) for camera in cameras]
    held = _held_out(len(cameras), hold_out)
    kept = [i for i in range(len(cameras)) if i not in held]
    if len(held) < _ENOUGH_HELD:
        warnings.append(_few_held(len(held), len(cameras), hold_out))
    return Dataset(
        _views(images, inside, masks, kept), _views(images, inside, masks, held) if held else None, tuple(held), frame,
        None if points is None else frame.into_points(points), cut_out, behind, tuple(warnings),
    )  # fmt: skip


def _check_arrays(images: np.ndarray, cameras: list[Camera], masks: np.ndarray | None) -> None:
    count = len(images)
    if images.ndim != 4 or images.shape[3] != 3 or min(images.shape[1:3]) < SMALLEST:
        raise InvalidImage(
            f"the pictures are {list(images.shape)}, expected [N, height, width, 3] of {SMALLEST} px a side or more"
        )
    height, width = images.shape[1:3]
    if count < FEWEST:
        raise InvalidInput(f"{count} view shows no depth, expected {FEWEST} or more, better 20", "take more pictures")
    if not (np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1):
        raise InvalidImage("the pictures hold NaN or values outside 0 to 1", "convert them to sRGB with 8 bits")
    if len(cameras) != count:
        raise InvalidCamera(f"{len(cameras)} cameras for {count} pictures", "give one camera a picture, in order")
    for i, camera in enumerate(cameras):
        if camera.orthographic:
            raise InvalidCamera(f"camera {i + 1} is orthographic, expected a perspective one", "use perspective")
        if (camera.height, camera.width) != (height, width):
            raise InvalidCamera(
                f"camera {i + 1} is for {camera.width}×{camera.height} px, its picture is {width}×{height}",
                "give the intrinsics for the size of the pictures",
            )
    if masks is not None and masks.shape != images.shape[:3]:
        raise InvalidImage(
            f"masks are {list(masks.shape)}, the pictures {list(images.shape[:3])}", "give one a picture, of its size"
        )
    if masks is not None and not masks.any():
        raise InvalidInput("the masks leave nothing of the pictures", "paint white what is to count")


def _check_places(images: np.ndarray, cameras: list[Camera]) -> list[Warning]:
    """Whether the cameras ever moved, and a line on poses that are there twice."""
    poses = np.stack([camera.pose[:3] for camera in cameras])
    centers = poses[:, :, 3]
    extent = float(np.linalg.norm(np.ptp(centers, axis=0)))
    distance = max(float(np.abs(centers).max()), 1e-12)
    if extent <= 1e-6 * distance:
        raise InvalidCamera(
            f"all {len(cameras)} cameras stand in one place, which shows no depth",
            "move between pictures; check that transform_matrix holds translations",
        )
    poses[:, :, 3] /= extent
    apart = np.abs(poses[:, None] - poses[None]).max((2, 3))
    pairs = np.argwhere(np.triu(apart < _SAME, 1))
    if not len(pairs):
        return []
    first, second = pairs[0]
    if len(cameras) - len(set(pairs[:, 1])) < FEWEST:
        raise InvalidCamera(f"all {len(cameras)} views have the same pose", "give each picture its own pose")
    differ = float(np.abs(images[first] - images[second]).mean()) > 0.02
    told = f"views {first + 1} and {second + 1} have the same pose"
    more = f", and {len(pairs) - 1} more pairs" if len(pairs) > 1 else ""
    return [
        Warning(
            f"{told}{more}" + (", but differ: one of the poses is wrong" if differ else ""),
            "give each its own pose, or leave one out",
        )
    ]


def _is_cut_out(images: np.ndarray, masks: np.ndarray) -> bool:
    """Whether what the masks leave out is white, but for the rim that scaling makes."""
    outside = ~masks
    if not outside.any():
        return False
    return float((images[outside] > _WHITE).all(-1).mean()) >= _CUT_OUT


def _scaled(
    images: np.ndarray, masks: np.ndarray | None, cameras: list[Camera], size: int
) -> tuple[np.ndarray, np.ndarray | None, list[Camera]]:
    """Pictures, masks and cameras with a longer side of `size` px at most."""
    wanted = size or WORKING[torch.cuda.is_available()]
    height, width = images.shape[1:3]
    if wanted >= max(height, width):
        return np.ascontiguousarray(images, np.float32), masks, cameras
    smaller = [camera.of_side(wanted) for camera in cameras]
    rows, columns = smaller[0].height, smaller[0].width
    images = _smaller(images, rows, columns).clip(0, 1)
    if masks is not None:
        masks = _smaller(masks[..., None], rows, columns)[..., 0] > 0.5
    return images, masks, smaller


def _smaller(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """f4 [N, height, width, C], without aliases."""
    planes = torch.from_numpy(np.ascontiguousarray(images, np.float32)).permute(0, 3, 1, 2)
    planes = functional.interpolate(planes, (height, width), mode="bilinear", antialias=True, align_corners=False)
    return planes.permute(0, 2, 3, 1).contiguous().numpy()


def _held_out(count: int, every: int) -> list[int]:
    """Numbers of the views to measure by; none where too few would be left to learn from."""
    held = list(range(0, count, every))
    return held if count - len(held) >= FEWEST else []


def _few_held(held: int, count: int, every: int) -> Warning:
    if not held:
        return Warning(f"{count} views are too few to hold one out", "PSNR is that of the training views")
    many = "1 view is" if held == 1 else f"{held} views are"
    return Warning(
        f"{many} held out of {count}: PSNR says little", f"hold out more often than every {every}th, or add pictures"
    )


def _views(images: np.ndarray, cameras: list[Camera], masks: np.ndarray | None, chosen: Sequence[int]) -> TrainingViews:
    some = list(chosen)
    return TrainingViews(
        np.ascontiguousarray(images[some]), tuple(cameras[i] for i in some), None if masks is None else masks[some]
    )
