"""Pictures of a scene, with opacity and depth, from cameras of the world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from weft.errors import InvalidCamera
from weft.geometry.camera import Camera, frame_object, packed
from weft.geometry.splats import Splats
from weft.scenes.scene import Rendering
from weft.tasks.events import Event, Preview, Progress, Result
from weft.tasks.painting import Clock
from weft.tasks.scene_source import OpenScene, background_of, open_scene
from weft.tasks.splat_views import FILL, core_points, turned_up

__all__ = ["render_scene"]

_SIZE = 512  # px


def render_scene(
    scene: np.ndarray | bytes | Splats,
    cameras: Sequence[Camera] = (),
    *,
    background: str,
    views: int,
    size: int,
    up: str,
) -> Iterator[Event]:
    """Close the generator to cancel. `scene`: see `open_scene`; `cameras`, of one size, stand in its world.

    Without cameras splats are looked at from all around `up`, and a scene that was fitted along the way that its
    pictures were taken; `views` of them. `size`: px of the longer side (0: as the cameras are; 512 around splats).
    Yields a Preview of every view. The result has view.images f4 [N, H, W, 3] in [0, 1], view.opacities f4 [N, H, W]
    and view.depths f4 [N, H, W], along the viewing axis in world units, 0 where there is nothing, and the cameras.
    Raises WeftError before any work if something is wrong with the input.
    """
    torch.set_num_threads(1)
    clock = Clock()
    _check_cameras(cameras)
    wanted = None if background == "automatic" else np.array(background_of(background), np.float32)
    with clock.phase("load"):
        opened = open_scene(scene, background=background)
        cameras = list(cameras) or _planned(opened, views, up)
        cameras = [camera.of_side(size) for camera in cameras] if size else cameras
    images, opacities, depths = [], [], []
    for i, camera in enumerate(cameras):
        with clock.phase("render"):
            seen = opened.scene.render(opened.frame.into(camera))
        images.append(_over(seen, opened.scene.background, wanted))
        opacities.append(seen.opacity)
        depths.append(np.where(np.isfinite(seen.depth), seen.depth / opened.frame.scale, 0).astype(np.float32))
        yield Preview(0, images[-1], i + 1, len(cameras))
        yield Progress("render", i + 1, len(cameras))
    arrays = {"view.images": np.stack(images), "view.opacities": np.stack(opacities), "view.depths": np.stack(depths)}
    arrays["camera.poses"], arrays["camera.intrinsics"] = packed(cameras)
    seconds = clock.seconds | {"total": clock.elapsed()}
    yield Result(arrays, {"kind": opened.scene.kind, "views": len(cameras), "seconds": seconds})


def _over(seen: Rendering, behind: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
    """f4 [H, W, 3] in [0, 1], over the `wanted` background instead of what is `behind`."""
    image = seen.image if wanted is None else seen.image + (1 - seen.opacity)[..., None] * (wanted - behind)
    return image.clip(0, 1).astype(np.float32)


def _planned(opened: OpenScene, views: int, up: str) -> list[Camera]:
    """Cameras in the world: around given splats, or of the pictures that a scene learned from."""
    if opened.given is None:
        own = opened.info.cameras
        if not own:
            raise InvalidCamera("nothing tells from where to look at the scene", "give cameras")
        some = np.linspace(0, len(own) - 1, min(views, len(own))).round().astype(int)
        return [own[i] for i in some]
    around = frame_object(core_points(opened.given, up), [(360 * k / views, 10.0) for k in range(views)], _SIZE, FILL)
    pose = np.eye(4)
    pose[:3, :3] = turned_up(up).T
    return [replace(camera, pose=pose @ camera.pose) for camera in around]


def _check_cameras(cameras: Sequence[Camera]) -> None:
    for i, camera in enumerate(cameras):
        if camera.orthographic:
            raise InvalidCamera(f"camera {i + 1} is orthographic, expected a perspective one", "use perspective")
        first = cameras[0]
        if (camera.width, camera.height) != (first.width, first.height):
            sizes = f"{camera.width}×{camera.height} px, the first {first.width}×{first.height}"
            raise InvalidCamera(f"camera {i + 1} is for {sizes}", "render sizes one by one")
