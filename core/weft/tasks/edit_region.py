"""Where a scene may change: volumes of the world, or splats that were selected; and which pixels show that place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.inside import inside_box, inside_mesh
from weft.geometry.mesh import Mesh
from weft.geometry.splat_weights import render_splats
from weft.geometry.splats import Splats
from weft.scenes.frame import SceneFrame
from weft.scenes.scene import Scene
from weft.spaces.view_geometry import unprojected

__all__ = ["Region", "changing_pixels", "changing_places"]

_SHARE = 0.5  # of a pixel, beyond which it shows splats that may change


@dataclass(frozen=True, eq=False)
class Region:
    """What lies in the box, in one of the meshes and among the selected: in each of these that is given."""

    box: np.ndarray | None = None  # f4 [2, 3], opposite corners, in the world
    meshes: tuple[Mesh, ...] = ()  # closed, in the world
    selected: np.ndarray | None = None  # bool [S], of splats in their order

    @property
    def is_everything(self) -> bool:
        return self.box is None and not self.meshes and self.selected is None

    def holds(self, points: np.ndarray) -> np.ndarray:
        """bool [P]: which `points` f4 [P, 3] of the world its volumes hold."""
        inside = np.ones(len(points), bool)
        if self.box is not None:
            inside &= inside_box(points, self.box)
        if self.meshes:
            inside &= np.any([inside_mesh(points, mesh) for mesh in self.meshes], axis=0)
        return inside


def changing_places(region: Region, scene: Scene, frame: SceneFrame) -> np.ndarray | None:
    """bool [P], which `places` of the scene lie in the region; None where it is everything. Raises InvalidInput for
    regions without any, and for selections that are not of this scene."""
    if region.is_everything:
        return None
    places = scene.places()
    inside = region.holds(frame.out_of_points(places))
    if region.selected is not None:
        if scene.kind != "splats":
            raise InvalidInput(f"splats are selected in a scene made of {scene.kind}", "give a box or a closed mesh")
        if len(region.selected) != len(places):
            raise InvalidInput(
                f"{len(region.selected)} splats are told selected or not, the scene has {len(places)}",
                "give one number for each splat",
            )
        inside &= region.selected
    if not inside.any():
        raise InvalidInput("nothing of the scene lies in the region", "move the box or mesh, or select splats")
    return inside


def changing_pixels(
    region: Region, changing: np.ndarray, splats: Splats | None, scene: Scene, frame: SceneFrame,
    cameras: Sequence[Camera],
) -> np.ndarray:  # fmt: skip
    """bool [N, H, W], what `cameras`, in the scene's frame, see of the region. `changing`: its `changing_places`.

    Of `splats`, those of the scene in its frame: pixels of which more than half are splats of the region. Elsewhere
    pixels at whose expected depth it is.
    """
    if splats is not None:
        shown = changing.astype(np.float32)[:, None].repeat(3, 1)
        return np.stack([render_splats(splats, camera, shown, 0.0)[..., 0] > _SHARE for camera in cameras])
    return np.stack([_at_depth(region, scene.render(camera).depth, frame, camera) for camera in cameras])


def _at_depth(region: Region, depth: np.ndarray, frame: SceneFrame, camera: Camera) -> np.ndarray:
    """bool [H, W]: whether what lies at `depth` f4 [H, W], along the viewing axis, is in the region."""
    inside = np.isfinite(depth)
    inside[inside] = region.holds(frame.out_of_points(unprojected(camera, depth)[inside]))
    return inside
