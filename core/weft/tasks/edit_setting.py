"""What an edit of a scene works on: the scene, its pictures before the edit, and what of them may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weft.errors import InvalidCamera, InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.splats import Splats, check_splats
from weft.scenes.frame import frame_of
from weft.scenes.scene import Rendering, TrainingViews
from weft.scenes.splats import SplatScene
from weft.tasks.edit_region import Region, changing_pixels, changing_places
from weft.tasks.events import Warning
from weft.tasks.painting import VIEW_SIZE
from weft.tasks.scene_input import dataset
from weft.tasks.scene_results import splat_arrays
from weft.tasks.scene_source import OpenScene, open_scene, scene_array
from weft.tasks.splat_views import plan_cameras, turned_up

__all__ = ["EditSetting", "ShownViews", "edit_setting"]

_HOLD_OUT = 8  # every so many-th view is held out, as where scenes are fitted
_ASIDE = 11.25  # degrees by which automatic views that measure stand beside those that are edited
_VISIBLE = 0.5  # opacity from which a pixel shows the scene


@dataclass(frozen=True, eq=False)
class ShownViews:
    """N views of the scene before the edit."""

    views: TrainingViews  # photographs, or renders, in the scene's frame
    before: tuple[Rendering, ...]  # what the scene shows
    masks: np.ndarray | None  # bool [N, H, W], what may change; None: everything


@dataclass(frozen=True, eq=False)
class EditSetting:
    """A scene, views that it is to learn anew, and views that it is only measured by."""

    opened: OpenScene
    shown: ShownViews
    held_out: ShownViews | None
    photographs: bool
    trainable: np.ndarray | None  # bool [P], of the scene's places; None: all
    warnings: tuple[Warning, ...]

    def arrays(self, step: int, steps: int, seed: int) -> dict[str, np.ndarray]:
        """The scene as it is now, as results hold it."""
        opened = self.opened
        height, width = self.shown.views.images.shape[1:3]
        info = replace(opened.info, step=step, steps=steps, seed=seed, size=(width, height))
        splats = opened.splats()
        return {"scene": scene_array(opened.scene, info)} | ({} if splats is None else splat_arrays(splats))


def edit_setting(
    source: np.ndarray | bytes | Splats,
    images: np.ndarray | None,
    cameras: Sequence[Camera],
    masks: np.ndarray | None,
    region: Region,
    *,
    size: int,
    views: int,
    up: str,
) -> EditSetting:
    """`source`: see `open_scene`. images f4 [N, H, W, 3] in [0, 1], photographs from `cameras` of the world, of which
    `masks` bool [N, H, W] tell what counts; every eighth is held out. Without them the scene's own renders take their
    place, and without cameras splats get `views` automatic ones, on rings around `up`. `size`: px of the longer side
    (0: what the scene learned from, or 256 px). Raises WeftError for what cannot be edited."""
    if images is not None and not cameras:
        raise InvalidCamera(f"{len(images)} pictures come without poses", "give the cameras that they were taken from")
    opened = _opened(source, cameras, views, up)
    cameras = list(cameras) or opened.info.cameras
    warnings: tuple[Warning, ...] = ()
    if images is None:
        side = size or max(opened.info.size) or VIEW_SIZE
        _check_alike(cameras)
        planned = [camera.of_side(side) for camera in cameras] or _planned(opened, side, views, up)
        aside = [] if cameras else _planned(opened, side, views, up, _ASIDE)[::_HOLD_OUT]
        training, held_out = _rendered(opened, planned), _rendered(opened, aside) if aside else None
    else:
        found = dataset(
            images, cameras, masks, size=size or max(opened.info.size), hold_out=_HOLD_OUT, background="automatic",
            opened=opened,
        )  # fmt: skip
        training, held_out, warnings = found.training, found.held_out, found.warnings
    trainable = changing_places(region, opened.scene, opened.frame)
    shown = _shown(opened, training, region, trainable)
    if shown.masks is not None and not shown.masks.any():
        raise InvalidInput("no view shows what may change", "give cameras that look at it, or a larger region")
    return EditSetting(
        opened, shown, None if held_out is None else _shown(opened, held_out, region, trainable), images is not None,
        trainable, warnings,
    )  # fmt: skip


def _shown(opened: OpenScene, views: TrainingViews, region: Region, trainable: np.ndarray | None) -> ShownViews:
    before = tuple(opened.scene.render(camera) for camera in views.cameras)
    may = np.stack([seen.opacity for seen in before]) >= _VISIBLE
    if views.masks is not None:
        may &= views.masks
    if trainable is not None:
        splats = opened.scene.splats() if isinstance(opened.scene, SplatScene) else None
        may &= changing_pixels(region, trainable, splats, opened.scene, opened.frame, views.cameras)
    return ShownViews(views, before, None if may.all() else may)


def _opened(source: np.ndarray | bytes | Splats, cameras: Sequence[Camera], views: int, up: str) -> OpenScene:
    """The scene; splats get the frame of the cameras, for their learning rates are told in it."""
    if not isinstance(source, Splats):
        return open_scene(source)
    check_splats(source)
    return open_scene(source, frame=frame_of(list(cameras) or _around(source, VIEW_SIZE, views, up)))


def _rendered(opened: OpenScene, cameras: Sequence[Camera]) -> TrainingViews:
    """What cameras of the world see of the scene."""
    inside = tuple(opened.frame.into(camera) for camera in cameras)
    return TrainingViews(np.stack([opened.scene.render(camera).image for camera in inside]).clip(0, 1), inside)


def _planned(opened: OpenScene, size: int, views: int, up: str, aside: float = 0.0) -> list[Camera]:
    """Automatic cameras, in the world."""
    splats = opened.splats()
    if splats is None:
        raise InvalidInput(
            f"there are no views of a scene made of {opened.scene.kind}", "give the pictures or cameras of its fit"
        )
    return _around(splats, size, views, up, aside)


def _around(splats: Splats, size: int, views: int, up: str, aside: float = 0.0) -> list[Camera]:
    """Rings of cameras, turned by `aside` degrees around `up`."""
    upright, angle = turned_up(up), np.radians(aside)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned = upright.T @ turn @ upright
    beside = replace(splats, means=(splats.means @ turned.T).astype(np.float32))
    cameras = plan_cameras(beside, up=up, size=size, count=views, cameras_from="automatic", scene=())
    back = np.eye(4)
    back[:3, :3] = turned.T
    return [replace(camera, pose=back @ camera.pose) for camera in cameras]


def _check_alike(cameras: Sequence[Camera]) -> None:
    sizes = {(camera.width, camera.height) for camera in cameras}
    if len(sizes) > 1 or any(camera.orthographic for camera in cameras):
        found = f"of {len(sizes)} sizes" if len(sizes) > 1 else "with an orthographic one among them"
        raise InvalidCamera(f"cameras {found}, expected perspective ones of one size", "render them alike")
