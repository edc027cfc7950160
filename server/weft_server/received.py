"""The arrays of a job as the science takes them: objects, images in [0, 1], cameras, splats.

Bytes become float32, masks and selections booleans; what was not sent is None, or an empty list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weft.geometry.camera import Camera
from weft.geometry.mesh import Mesh
from weft.geometry.splats import Splats
from weft.io.images import from_bytes
from weft.tasks.compositional import Region as PanoramaRegion
from weft.tasks.edit_region import Region
from weft.tasks.views_scene import ViewScene
from weft_wire.jobs.edit_panorama import REGIONS

__all__ = ["Received"]

EXEMPLARS = 3  # that an illusion has room for


@dataclass(frozen=True, slots=True)
class Received:
    """Arrays by the names of the task's declaration, and what the client calls its objects."""

    arrays: dict[str, np.ndarray]
    labels: list[str]

    def meshes(self) -> list[Mesh]:
        """The objects, in order, called by their labels."""
        return [
            Mesh(
                self.labels[i] if i < len(self.labels) else f"object {i}",
                self.arrays[f"mesh.{i}.vertices"],
                self.arrays[f"mesh.{i}.faces"],
                self.arrays.get(f"mesh.{i}.uv"),
            )
            for i in range(self._objects())
        ]

    def textures(self) -> list[np.ndarray]:
        """f4 [H, W, 3] of every object."""
        return [from_bytes(self.arrays[f"mesh.{i}.texture"]) for i in range(self._objects())]

    def masks(self) -> list[np.ndarray | None]:
        """bool [H, W] of every object: where its texture may change."""
        return [self._flags(f"mesh.{i}.mask") for i in range(self._objects())]

    def selections(self) -> list[np.ndarray | None]:
        """bool [F] of every object: the faces whose texels may change."""
        return [self._flags(f"mesh.{i}.selected") for i in range(self._objects())]

    def exemplar(self) -> np.ndarray | None:
        """f4 [H, W, 3]."""
        return self._image("exemplar")

    def exemplars(self) -> list[np.ndarray | None]:
        """One f4 [H, W, 3] or None for every view of an illusion."""
        return [self._image(f"exemplar.{i}.image") for i in range(EXEMPLARS)]

    def depth(self) -> np.ndarray | None:
        """f4 [H, W]; the wire's 0 or less, which stands for the sky, is +infinity here."""
        depth = self.arrays.get("depth")
        return None if depth is None else np.where(depth > 0, depth, np.float32(np.inf))

    def viewpoint(self) -> np.ndarray | None:
        return self.arrays.get("viewpoint")

    def cameras(self) -> list[Camera]:
        """The scene's cameras; intrinsics are fx fy cx cy width height, in pixels."""
        if "camera.poses" not in self.arrays:
            return []
        return [
            Camera(pose, round(float(width)), round(float(height)), float(fx), float(fy), float(cx), float(cy))
            for pose, (fx, fy, cx, cy, width, height) in zip(
                self.arrays["camera.poses"], self.arrays["camera.intrinsics"], strict=True
            )
        ]

    def splats(self) -> Splats:
        """The splats with harmonics of degree 0: their colours so far, or grey where these were not sent."""
        means, quaternions, log_scales, logits = (
            self.arrays[f"splats.{name}"] for name in ("means", "quaternions", "log_scales", "logits")
        )
        dc = self.arrays.get("splats.dc", np.zeros((len(means), 3), np.float32))
        return Splats(means, quaternions, log_scales, logits, dc[:, None])

    def image(self) -> np.ndarray:
        """f4 [H, W, 3] in [0, 1]."""
        return from_bytes(self.arrays["image"])

    def mask(self) -> np.ndarray | None:
        """bool [H, W]."""
        return self._flags("mask")

    def regions(self) -> list[PanoramaRegion | None]:
        """Each with its mask, and with a picture of what it should look like, if there is one; None where it is not."""
        masks = [self._flags(f"region.{i}.mask") for i in range(REGIONS)]
        return [
            None if mask is None else PanoramaRegion(mask, self._image(f"region.{i}.exemplar"))
            for i, mask in enumerate(masks)
        ]

    def frames(self) -> np.ndarray:
        """u1 [N, H, W, 3]: a video in floats would be four times as large."""
        return self.arrays["frames"]

    def frame_masks(self) -> np.ndarray | None:
        """bool [N, H, W]."""
        return self._flags("masks")

    def scene(self) -> np.ndarray | Splats:
        """The bytes of a scene file, u1 [B], or splats with all their harmonics."""
        if "scene" in self.arrays:
            return self.arrays["scene"]
        names = ("means", "quaternions", "log_scales", "logits", "sh")
        return Splats(*(self.arrays[f"splats.{name}"] for name in names))

    def scene_file(self) -> np.ndarray | None:
        """The bytes of a scene file, u1 [B]."""
        return self.arrays.get("scene")

    def region(self) -> Region:
        """Where a scene may change."""
        return Region(self.arrays.get("region.box"), tuple(self.meshes()), self._flags("region.selected"))

    def photographs(self) -> np.ndarray:
        """f4 [N, H, W, 3] in [0, 1]."""
        return from_bytes(self.arrays["view.images"])

    def known_photographs(self) -> np.ndarray | None:
        """f4 [N, H, W, 3] in [0, 1]."""
        return self._image("view.images")

    def view_masks(self) -> np.ndarray | None:
        """bool [N, H, W]: what of the views counts."""
        return self._flags("view.masks")

    def points(self) -> np.ndarray | None:
        """f4 [P, 3]."""
        return self.arrays.get("points.positions")

    def point_colors(self) -> np.ndarray | None:
        """f4 [P, 3] in [0, 1]."""
        return self._image("points.colors")

    def view_scene(self) -> ViewScene:
        """Views, and what is known of what they show; the wire's 0 or less, an unknown depth, is +infinity here."""
        depths = self.arrays.get("view.depths")
        return ViewScene(
            images=self._image("view.images"),
            cameras=self.cameras(),
            masks=self._flags("view.masks"),
            depths=None if depths is None else np.where(depths > 0, depths, np.float32(np.inf)),
            meshes=self.meshes(),
            textures=[self._image(f"mesh.{i}.texture") for i in range(self._objects())],
            splats=self.splats() if "splats.means" in self.arrays else None,
        )

    def environment(self) -> np.ndarray | None:
        """f4 [H, W, 3], linear radiance."""
        return self.arrays.get("environment")

    def old_environment(self) -> np.ndarray | None:
        """f4 [H, W, 3], linear radiance."""
        return self.arrays.get("old_environment")

    def object_masks(self) -> np.ndarray | None:
        """bool [N, H, W]: where the object is that moves."""
        return self._flags("object.masks")

    def transform(self) -> np.ndarray:
        """f8 [4, 4], a rigid motion of the world."""
        return self.arrays["object.transform"].astype(np.float64)

    def _objects(self) -> int:
        count = 0
        while f"mesh.{count}.vertices" in self.arrays:
            count += 1
        return count

    def _image(self, name: str) -> np.ndarray | None:
        return from_bytes(self.arrays[name]) if name in self.arrays else None

    def _flags(self, name: str) -> np.ndarray | None:
        return self.arrays[name] > 0 if name in self.arrays else None
