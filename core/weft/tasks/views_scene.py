"""What a job on views is given: pictures with cameras, and what is known of the objects in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from weft.errors import InvalidCamera, InvalidImage, InvalidInput, InvalidMesh
from weft.geometry.camera import Camera
from weft.geometry.mesh import Mesh, check_mesh
from weft.geometry.splats import Splats, check_splats
from weft.tasks.views_wanted import Wanted

__all__ = ["ViewScene", "check_scene"]

FEWEST, MOST = 2, 64
SIDES = (32, 2048)  # px


@dataclass(frozen=True, eq=False)
class ViewScene:
    """Views of one size, and meshes, splats or depth where these are known. Without `images` the meshes' textures are
    what is edited, and views of them are drawn unlit.

    images: f4 [N, H, W, 3] sRGB in [0, 1]. masks: bool [N, H, W], what may change. depths: f4 [N, H, W] along the
    viewing axis, infinite where unknown. textures: f4 [h, w, 3] or None, one a mesh. splats: in the cameras' frame.
    """

    images: np.ndarray | None = None
    cameras: Sequence[Camera] = ()
    masks: np.ndarray | None = None
    depths: np.ndarray | None = None
    meshes: Sequence[Mesh] = ()
    textures: Sequence[np.ndarray | None] = field(default_factory=tuple)
    splats: Splats | None = None


def check_scene(scene: ViewScene, wanted: Wanted | None = None) -> None:
    """Raise what cannot be worked on, or not in the wanted way, in one line."""
    if scene.images is None:
        _check_drawable(scene)
    else:
        _check_views(scene, scene.images)
        if wanted is not None:
            wanted.check_count(len(scene.images))
    if scene.meshes and scene.splats is not None:
        raise InvalidInput("there are both meshes and splats", "send one of them")
    for mesh in scene.meshes:
        check_mesh(mesh)
    if scene.splats is not None:
        check_splats(scene.splats)


def _check_drawable(scene: ViewScene) -> None:
    """Without pictures there must be something to take them of."""
    if not scene.meshes:
        raise InvalidInput("there are neither views nor meshes to take views of", "give a folder of views or a mesh")
    for mesh, texture in zip(scene.meshes, scene.textures, strict=True):
        if texture is None:
            raise InvalidImage(
                f"{mesh.name!r} has no texture, and there are no views of it", "give it a texture, or rendered views"
            )
        if mesh.corner_uv is None:
            raise InvalidMesh(f"{mesh.name!r} has no UVs, so its texture has no place", "unwrap it, or send views")


def _check_views(scene: ViewScene, images: np.ndarray) -> None:
    count, height, width = images.shape[:3]
    if not (np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1):
        raise InvalidImage("the views hold NaN or values outside 0 to 1", "convert them to sRGB with 8 bits a channel")
    if count < FEWEST:
        raise InvalidInput(
            f"{count} view is nothing to be consistent with", f"give {FEWEST} or more views of the scene"
        )
    if count > MOST:
        raise InvalidInput(f"{count} views are more than {MOST}", "choose some that together see everything")
    if not all(SIDES[0] <= side <= SIDES[1] for side in (height, width)):
        raise InvalidImage(f"the views are {width}×{height} px, expected {SIDES[0]} to {SIDES[1]} a side", "scale them")
    if not scene.cameras:
        raise InvalidCamera(f"{count} views come without poses", "add transforms.json, or take them in Blender")
    if len(scene.cameras) != count:
        raise InvalidCamera(f"{len(scene.cameras)} cameras for {count} views", "give one camera a view, in order")
    for i, camera in enumerate(scene.cameras):
        if (camera.height, camera.width) != (height, width):
            raise InvalidCamera(
                f"the camera of view {i + 1} is for {camera.width}×{camera.height} px, the view is {width}×{height}",
                "give the intrinsics for the size of the views",
            )
    for what, maps in (("masks", scene.masks), ("depth maps", scene.depths)):
        if maps is not None and maps.shape != images.shape[:3]:
            raise InvalidImage(
                f"{what} of shape {list(maps.shape)} for views of {list(images.shape[:3])}",
                "give one a view, of its size",
            )
    if scene.masks is not None and not scene.masks.any():
        raise InvalidInput("the masks are empty: nothing may change", "paint what may change white")
