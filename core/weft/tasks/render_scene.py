"""Pictures of a scene, with opacity and depth, from cameras of the world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from weft.errors import InvalidCamera
from weft.geometry.camera import Camera
from weft.geometry.splats import Splats
from weft.scenes.scene import Rendering
from weft.tasks.events import Event, Preview, Progress, Result
from weft.tasks.painting import Clock
from weft.tasks.scene_source import background_of, open_scene

__all__ = ["render_scene"]


def render_scene(scene: np.ndarray | bytes | Splats, cameras: Sequence[Camera], *, background: str) -> Iterator[Event]:
    """Close the generator to cancel. `scene`: see `open_scene`; `cameras`, of one size, stand in its world.

    Yields a Preview of every view. The result has view.images f4 [N, H, W, 3] in [0, 1], view.opacities f4 [N, H, W]
    and view.depths f4 [N, H, W], along the viewing axis in world units, 0 where there is nothing. Raises WeftError
    before any work if something is wrong with the input.
    """
    torch.set_num_threads(1)
    clock = Clock()
    _check_cameras(cameras)
    wanted = None if background == "automatic" else np.array(background_of(background), np.float32)
    with clock.phase("load"):
        opened = open_scene(scene, background=background)
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
    seconds = clock.seconds | {"total": clock.elapsed()}
    yield Result(arrays, {"kind": opened.scene.kind, "views": len(cameras), "seconds": seconds})


def _over(seen: Rendering, behind: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
    """f4 [H, W, 3] in [0, 1], over the `wanted` background instead of what is `behind`."""
    image = seen.image if wanted is None else seen.image + (1 - seen.opacity)[..., None] * (wanted - behind)
    return image.clip(0, 1).astype(np.float32)


def _check_cameras(cameras: Sequence[Camera]) -> None:
    if not cameras:
        raise InvalidCamera("there are no cameras to render from", "give one or more")
    first = cameras[0]
    for i, camera in enumerate(cameras):
        if camera.orthographic:
            raise InvalidCamera(f"camera {i + 1} is orthographic, expected a perspective one", "use perspective")
        if (camera.width, camera.height) != (first.width, first.height):
            sizes = f"{camera.width}×{camera.height} px, the first {first.width}×{first.height}"
            raise InvalidCamera(f"camera {i + 1} is for {sizes}", "render sizes one by one")
