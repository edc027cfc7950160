"""What every scene can do, whatever it is made of: be rendered, and learn from pictures or from gradients of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera

__all__ = ["Rendering", "Scene", "TrainingViews"]


@dataclass(frozen=True, eq=False)
class Rendering:
    """What a camera sees of a scene."""

    image: np.ndarray  # f4 [H, W, 3] sRGB, over the scene's background, ≥ 0 and possibly above 1
    opacity: np.ndarray  # f4 [H, W] in [0, 1], 1 - transmittance
    depth: np.ndarray  # f4 [H, W], expected distance along the viewing axis in scene units; +inf where opacity < 0.5


@dataclass(frozen=True, eq=False)
class TrainingViews:
    """N pictures that a scene learns from, with cameras in the scene's own frame (`scenes.frame`)."""

    images: np.ndarray  # f4 [N, H, W, 3] sRGB in [0, 1]; what is transparent lies over the scene's background
    cameras: tuple[Camera, ...]  # pinholes of one size
    masks: np.ndarray | None = None  # bool [N, H, W], False: says nothing

    def __post_init__(self) -> None:
        shape = self.images.shape
        if len(shape) != 4 or shape[3] != 3 or shape[0] != len(self.cameras) or not shape[0]:
            raise InvalidInput(f"pictures {list(shape)} for {len(self.cameras)} cameras", "give [N, H, W, 3], one each")
        if any((camera.height, camera.width) != shape[1:3] for camera in self.cameras):
            raise InvalidInput("a camera's size is not its picture's", "scale the cameras with the pictures")
        if self.masks is not None and self.masks.shape != shape[:3]:
            raise InvalidInput(
                f"masks are {list(self.masks.shape)}, expected {list(shape[:3])}", "one for each picture"
            )


class Scene(Protocol):
    """A radiance field and its optimiser. All randomness of a step follows from (seed, step), so that a scene that is
    saved and loaded goes on bit for bit; the number of threads makes no difference either."""

    kind: str  # a name of `scenes.kinds.KINDS`

    @property
    def background(self) -> np.ndarray:
        """f4 [3], sRGB, behind everything."""
        ...

    def render(self, camera: Camera) -> Rendering:
        """What `camera`, in the scene's frame, sees."""
        ...

    def fit(self, views: TrainingViews, step: int, total: int, seed: int) -> float:
        """One step of the optimiser towards the pictures, and its loss. It picks what it looks at (a view, or rays of
        all views). `step` of `total` (from 0) sets the learning rates. Between two calls pictures may be replaced,
        cameras and masks may not."""
        ...

    def descend(self, cameras: Sequence[Camera], gradients: np.ndarray, step: int, total: int, seed: int) -> None:
        """One step of the optimiser along d loss / d image, `gradients` f4 [B, H, W, 3], of its renders."""
        ...

    def places(self) -> np.ndarray:
        """f4 [P, 3], where its parameters lie, in the scene's frame: the centres of splats, the corners of voxels."""
        ...

    def restart(
        self, *, geometry: bool = True, rate: float = 1.0, trainable: np.ndarray | None = None, anchor: float = 0.0
    ) -> None:
        """Forget the optimiser's state, as an edit must that begins with loaded parameters. From here on nothing is
        relocated, added or pruned, and without `geometry` only colours change; `rate` scales the learning rates.
        `trainable`: bool [P], the `places` whose parameters may change; the others keep their bytes. `anchor`: weight
        of the mean square distance of the parameters to what they are now, added to the loss (Chen et al. 2024,
        "GaussianEditor"). Raises InvalidInput for what its kind cannot do."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that it takes to go on: parameters, the optimiser's state, settings as numbers."""
        ...
