"""A plain rasteriser of splats in double precision: every splat at every pixel, by gsplat's formulas."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from weft.geometry.camera import Camera
from weft.geometry.splats import Splats, quaternion_matrices

__all__ = ["oracle"]

KNIFE_EDGE = 1e-4  # relative: α and T nearer to their limits than this may fall to either side


def oracle(splats: Splats, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(W [H·W, S], T [H·W], bool [H·W] pixels where a decision hangs on rounding), all splats at all pixels."""
    rotation, shift = camera.view_matrix[:, :3], camera.view_matrix[:, 3]
    flip = np.diag([1.0, -1.0, 1.0])
    x, y, z = flip @ (rotation @ splats.means.astype(np.float64).T + shift[:, None])
    axes = quaternion_matrices(splats.quaternions) * np.exp(splats.log_scales.astype(np.float64))[:, None]
    sigma = (flip @ rotation) @ (axes @ axes.transpose(0, 2, 1)) @ (flip @ rotation).T
    opacity = expit(splats.logits.astype(np.float64))
    rows, columns = np.mgrid[: camera.height, : camera.width].reshape(2, -1) + 0.5
    weights = np.zeros((len(rows), splats.count))
    through, doubtful = np.ones(len(rows)), np.zeros(len(rows), bool)
    finished = np.zeros(len(rows), bool)
    wide, high = camera.width / camera.fx, camera.height / camera.fy
    for n in np.argsort(z.astype(np.float32), kind="stable"):
        if z[n] < camera.near and not camera.orthographic:
            continue
        jacobian = np.array([[camera.fx, 0, 0], [0, camera.fy, 0]], np.float64)
        centre = np.array([camera.fx * x[n], camera.fy * y[n]])
        if not camera.orthographic:
            slope_x = np.clip(x[n] / z[n], -camera.cx / camera.fx - 0.15 * wide, (1.15 * wide - camera.cx / camera.fx))
            slope_y = np.clip(y[n] / z[n], -camera.cy / camera.fy - 0.15 * high, (1.15 * high - camera.cy / camera.fy))
            jacobian = np.array([[camera.fx, 0, -camera.fx * slope_x], [0, camera.fy, -camera.fy * slope_y]]) / z[n]
            centre = centre / z[n]
        inverse = np.linalg.inv(jacobian @ sigma[n] @ jacobian.T + 0.3 * np.eye(2))
        d = np.stack([columns - camera.cx - centre[0], rows - camera.cy - centre[1]])
        alpha = np.minimum(0.999, opacity[n] * np.exp(-0.5 * np.einsum("in,ij,jn->n", d, inverse, d)))
        doubtful |= ~finished & (np.abs(alpha * 255 - 1) < KNIFE_EDGE)
        drawn = ~finished & (alpha >= 1 / 255)
        behind = through * (1 - alpha)
        doubtful |= drawn & (np.abs(behind / 1e-4 - 1) < 100 * KNIFE_EDGE)
        finished |= drawn & (behind <= 1e-4)
        drawn &= ~finished
        weights[drawn, n] = (alpha * through)[drawn]
        through[drawn] = behind[drawn]
    return weights, through, doubtful
