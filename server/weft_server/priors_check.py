"""What a multi-view prior is shown when it is checked: a grey sphere from as few cameras as it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weft.models.networks.multi_view import MultiViewConditioning
    from weft.models.prior_cards import PriorCard

__all__ = ["grey_views"]

VIEWS = 3  # where the prior takes any number
DISTANCE = 2.9  # of the cameras, in radii


def grey_views(card: PriorCard, side: int) -> MultiViewConditioning:
    """Views of `side`² px, the first of which is known."""
    import numpy as np
    import torch

    from weft.geometry.camera import Camera, orbit
    from weft.models.networks.multi_view import GeometryPictures, MultiViewConditioning
    from weft.models.networks.mv_adapter_views import cube_cameras

    grey = torch.zeros(1, 3, side, side)
    if not card.geometry:
        cameras = tuple(
            Camera(orbit(360 * view / VIEWS, 0, DISTANCE), side, side, side, side, side / 2, side / 2)
            for view in range(VIEWS)
        )
        return MultiViewConditioning(cameras, (0,), grey)
    cameras = cube_cameras(np.array([[-1.0, -1, -1], [1, 1, 1]]), side)
    mask = torch.zeros(len(cameras), 1, side, side)
    mask[:, :, side // 4 : -side // 4, side // 4 : -side // 4] = 1
    normals = torch.from_numpy(np.stack([-camera.forward for camera in cameras]).astype(np.float32))
    normals = normals[:, :, None, None].expand(-1, -1, side, side)
    return MultiViewConditioning(cameras, (0,), grey, geometry=GeometryPictures(normals, normals, mask))
