"""Photographs with poses that scenes learn from, by the names of the wire."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from weft_server.job_files import camera_arrays
from weft_server.terminal import say
from weft_wire.errors import WireError
from weft_wire.jobs.scenes import DIMENSIONS

__all__ = ["view_arrays"]

MOST = DIMENSIONS["N"][1]
LARGEST = DIMENSIONS["width"][1]


def view_arrays(folder: Path, size: int = 0, *, points: bool = False) -> dict[str, np.ndarray]:
    """Pictures, masks and cameras of a folder with a transforms.json or a COLMAP model, undistorted; `size` px of the
    longer side at most (0: as they are). With `points`, those of structure from motion too, where there are any."""
    from weft.io.images import to_bytes
    from weft.io.view_folder import load_views

    if not folder.exists():
        raise WireError("invalid_input", f"there is no {folder}", "name a folder with transforms.json, or COLMAP's")
    found = load_views(folder, size=min(size or LARGEST, LARGEST))
    for warning in found.warnings:
        say(f"note: {warning}")
    if len(found.images) > MOST:
        message = f"{str(folder)!r} has {len(found.images)} views, expected at most {MOST}"
        raise WireError("invalid_input", message, "leave some out of the file")
    arrays = {"view.images": to_bytes(found.images), **camera_arrays(found.cameras)}
    if found.masks is not None:
        arrays["view.masks"] = found.masks.astype(np.uint8)
    if points and found.points is not None and len(found.points):
        assert found.point_colors is not None
        arrays |= {"points.positions": found.points, "points.colors": found.point_colors}
    return arrays
