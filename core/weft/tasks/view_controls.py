"""Control pictures of views that are edited: edges of the pictures themselves, depth and normals of what they show.

Paintings of a bare shape take their edges from a shaded one (`control_encoding`). Pictures show more: patterns, and
borders of matter that geometry does not have. Their edges are what keeps them in place while everything else changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.geometry.canny import canny
from weft.spaces.view_geometry import ViewGeometry
from weft.tasks.control_encoding import Shown, check_kinds, control_pictures, nearness

__all__ = ["view_controls"]

# Thresholds 100 and 200 of the ControlNet's own demonstration, of the 4 · 255 that Sobel answers to the highest step.
_WEAK, _STRONG = 100 / 1020, 200 / 1020
_CLIPPED = 0.005  # of the pixels at each end of depths that are no mesh's: these have outliers
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def view_controls(kinds: Sequence[str], images: np.ndarray, geometry: ViewGeometry | None = None) -> dict[str, Tensor]:
    """[N, 3, H, W] in [0, 1] for each of `kinds` ("depth", "normal", "canny"); `images` f4 [N, H, W, 3] in [0, 1].

    Raises UnknownName for another kind, InvalidInput for depth and normals of what has no geometry.
    """
    check_kinds(kinds)
    shape = [kind for kind in kinds if kind != "canny"]
    if shape and geometry is None:
        raise InvalidInput(
            f"there is no geometry to draw the control {shape[0]!r} from",
            "pictures give canny; or send depth or meshes",
        )
    pictures = {} if geometry is None or not shape else control_pictures(shape, _shown(geometry))
    if "canny" in kinds:
        edges = torch.from_numpy(canny(images @ _GREY, _WEAK, _STRONG)).float()
        pictures["canny"] = edges[:, None].repeat(1, 3, 1, 1)
    return pictures


def _shown(geometry: ViewGeometry) -> Shown:
    clipped = 0.0 if geometry.kind == "mesh" else _CLIPPED
    near = nearness(geometry.depth, geometry.mask, geometry.cameras, clipped)
    return Shown(geometry.mask, near, lambda: _view_normals(geometry))


def _view_normals(geometry: ViewGeometry) -> np.ndarray:
    """f4 [N, 3, H, W]: right, up, towards the viewer; 0 where nothing is known."""
    axes = np.stack([camera.pose[:3, :3] for camera in geometry.cameras]).astype(np.float32)
    return np.ascontiguousarray(np.einsum("nhwk,nkc->nchw", geometry.normal, axes, optimize=True), np.float32)
