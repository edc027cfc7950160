"""Splats of a file by the names of the wire."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["splat_arrays"]

OPAQUE = 80.0  # of a logit: its sigmoid is 1 in float32; files have infinity too, the wire has not
FLAT = -80.0  # of a log-scale: e^-80 is no size at all


def splat_arrays(splats: Any) -> dict[str, np.ndarray]:
    """What is infinite in the file becomes as good as infinite."""
    return {
        "splats.means": splats.means,
        "splats.quaternions": splats.quaternions,
        "splats.log_scales": np.maximum(splats.log_scales, np.float32(FLAT)),
        "splats.logits": np.clip(splats.logits, np.float32(-OPAQUE), np.float32(OPAQUE)),
        "splats.dc": np.ascontiguousarray(splats.sh[:, 0]),
    }
