"""What views of splats show, as control pictures, from the weights with which the splats make up each pixel.

A pixel's depth is the mean of its splats' by their compositing weights, of the object alone, without what shines
through from behind. Normals come from those depths: splats have no reliable ones. A few splats that float before the
object would take the range from the rest, so the nearest and farthest 0.5 % of the pixels may saturate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from weft.spaces.splat_colors import SplatColorSpace
from weft.spaces.splat_surface import Seen, see_surface
from weft.tasks.control_encoding import Shown, check_kinds, control_pictures, nearness

__all__ = ["splat_controls"]

_CLIPPED = 0.005
_FRAME = 2  # pixels next to the frame whose normals are unknown


def splat_controls(kinds: Sequence[str], space: SplatColorSpace, seen: Seen | None = None) -> dict[str, Tensor]:
    """[N, 3, H, W] in [0, 1] for each of `kinds` ("depth", "normal", "canny"), at the pixels of the `space`'s views.

    The object is where `space.mask` says. `seen`: its `see_surface`, where that is known. Raises UnknownName for
    another kind.
    """
    check_kinds(kinds)
    if not kinds:
        return {}
    seen = see_surface(space.cameras, space.projection, space.means, space.shape) if seen is None else seen
    near = nearness(seen.depth, seen.mask, space.cameras, _CLIPPED)
    return control_pictures(kinds, Shown(seen.mask, near, lambda: _view_normals(space, seen)))


def _view_normals(space: SplatColorSpace, seen: Seen) -> np.ndarray:
    """f4 [N, 3, H, W]: unit normals in camera axes, 0 off the mask. Along the frame those a little inside; where none
    is known, towards the viewer."""
    inside = slice(_FRAME, -_FRAME)
    widened = np.pad(seen.normal[:, inside, inside], ((0, 0), (_FRAME, _FRAME), (_FRAME, _FRAME), (0, 0)), "edge")
    axes = np.stack([camera.pose[:3, :3] for camera in space.cameras]).astype(np.float32)
    turned = np.einsum("nhwk,nkc->nchw", widened, axes, optimize=True)
    turned[:, 2][~turned.any(1)] = 1
    return np.ascontiguousarray(turned * seen.mask[:, None], np.float32)
