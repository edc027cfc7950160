"""Gaussian splats as plain arrays: checks, colours, covariances, rigid and similarity transforms.

The parameters are those of Kerbl et al., *3D Gaussian Splatting for Real-Time Radiance Field Rendering* (SIGGRAPH
2023), before their activations: opacity = sigmoid(logit), scale = exp(log-scale), quaternions of any length. Splats
stand in the frame of their file; captures usually have +Y down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.harmonics import SH_C0, degree_of, evaluate_sh, sh_basis, sh_rotation

__all__ = [
    "Splats",
    "check_splats",
    "covariances",
    "evaluate_sh",
    "f_dc_of",
    "flipped",
    "quaternion_matrices",
    "rgb_of",
    "transformed",
]

_LARGEST_LOG_SCALE = 44.0  # exp(2·44) is near the largest float32: a greater one has no covariance


@dataclass(frozen=True, eq=False)
class Splats:
    """One cloud of N Gaussians. `check_splats` tells whether the arrays make sense.

    A logit of ±infinity (opacity 0 or 1) and a log-scale of -infinity (flat) are sound; files hold them.
    """

    means: np.ndarray  # f4 [N, 3]
    quaternions: np.ndarray  # f4 [N, 4], w x y z, of any length but 0
    log_scales: np.ndarray  # f4 [N, 3], natural logarithm of the standard deviations along the rotated axes
    logits: np.ndarray  # f4 [N], opacity before the sigmoid
    sh: np.ndarray  # f4 [N, K, 3], K = (degree + 1)²; sh[:, 0] is f_dc

    @property
    def count(self) -> int:
        return len(self.means)

    @property
    def degree(self) -> int:
        """Of the harmonics, 0 to 3."""
        return degree_of(self.sh.shape[1])

    @property
    def opacity(self) -> np.ndarray:
        """f4 [N] in [0, 1]."""
        tail = np.exp(-np.abs(self.logits.astype(np.float64)))  # never overflows
        return (np.where(self.logits >= 0, 1.0, tail) / (1 + tail)).astype(np.float32)

    @property
    def scales(self) -> np.ndarray:
        """f4 [N, 3], standard deviations in the file's unit."""
        return np.exp(self.log_scales)

    @property
    def colors(self) -> np.ndarray:
        """f4 [N, 3], sRGB without the view-dependent bands, at least 0 and possibly above 1."""
        return np.maximum(rgb_of(self.sh[:, 0]), 0)


def check_splats(splats: Splats) -> None:
    """Raise `InvalidInput` unless there are splats, all of sound shape, finite, with a rotation and a finite size."""
    n = splats.count
    if n == 0:
        raise InvalidInput("there are 0 splats, expected at least one", "export the splats again")
    expected = {"means": (3,), "quaternions": (4,), "log_scales": (3,), "logits": (), "sh": (*splats.sh.shape[1:2], 3)}
    for name, tail in expected.items():
        array = getattr(splats, name)
        if array.dtype != np.float32 or array.shape != (n, *tail):
            raise InvalidInput(f"{name} is {array.dtype} {list(array.shape)}, expected float32 {[n, *tail]}")
    degree_of(splats.sh.shape[1])
    _refuse(~np.isfinite(splats.means).all(1), "a position at NaN or infinity")
    _refuse(~np.isfinite(splats.sh).all((1, 2)), "a colour at NaN or infinity")
    _refuse(np.isnan(splats.logits), "an opacity at NaN")
    _refuse(~np.isfinite(splats.quaternions).all(1), "a rotation at NaN or infinity")
    _refuse(~splats.quaternions.any(1), "a rotation of length 0")
    _refuse(~(splats.log_scales <= _LARGEST_LOG_SCALE).all(1), f"a log-scale at NaN or above {_LARGEST_LOG_SCALE:g}")


def _refuse(broken: np.ndarray, what: str) -> None:
    if broken.any():
        first = int(broken.argmax())
        message = f"{int(broken.sum())} of {len(broken)} splats have {what}, the first is number {first}"
        raise InvalidInput(message, "delete these splats in a splat editor")


def rgb_of(f_dc: np.ndarray) -> np.ndarray:
    """f4 [..., 3], the colour of band 0: 0.5 + f_dc·√(1/4π), not clamped."""
    return (0.5 + SH_C0 * np.asarray(f_dc, np.float64)).astype(np.float32)


def f_dc_of(rgb: np.ndarray) -> np.ndarray:
    """f4 [..., 3], the band 0 that shows `rgb` [..., 3]: the inverse of `rgb_of`."""
    return ((np.asarray(rgb, np.float64) - 0.5) / SH_C0).astype(np.float32)


def quaternion_matrices(quaternions: np.ndarray) -> np.ndarray:
    """f8 [N, 3, 3], the rotations of `quaternions` [N, 4] (w x y z, of any length but 0)."""
    q = np.asarray(quaternions, np.float64)
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def covariances(splats: Splats) -> np.ndarray:
    """f4 [N, 6], the upper triangle xx xy xz yy yz zz of Σ = R S² Rᵀ (Kerbl et al. 2023, Eq. 6)."""
    axes = quaternion_matrices(splats.quaternions) * np.exp(splats.log_scales.astype(np.float64))[:, None, :]
    sigma = axes @ axes.transpose(0, 2, 1)
    rows, columns = np.triu_indices(3)
    return sigma[:, rows, columns].astype(np.float32)


def transformed(splats: Splats, matrix: np.ndarray) -> Splats:
    """The splats moved by `matrix` [4, 4], a rotation or mirror times one scale, then a translation.

    Moves the means, turns the quaternions and every band of the harmonics, adds log(scale) to the log-scales.
    Opacities and f_dc stay bit-identical. Raises `InvalidInput` for shear or different scales.
    """
    turn, scale, shift = _similarity(np.asarray(matrix, np.float64))
    # A Gaussian is its own mirror image at its center, so that -turn turns it just as turn does.
    proper = turn * np.sign(np.linalg.det(turn))
    sh = splats.sh.copy()
    mixing = sh_rotation(turn, splats.degree)[1:, 1:]
    sh[:, 1:] = np.einsum("jk,nkc->njc", mixing, splats.sh[:, 1:])
    return Splats(
        (scale * splats.means.astype(np.float64) @ turn.T + shift).astype(np.float32),
        _product(_quaternion_of(proper), splats.quaternions.astype(np.float64)).astype(np.float32),
        (splats.log_scales.astype(np.float64) + math.log(scale)).astype(np.float32),
        splats.logits,
        sh,
    )


def flipped(splats: Splats, signs: tuple[int, int, int]) -> Splats:
    """The splats with every axis times its sign, 1 or -1: `transformed` by that diagonal, exact to the last bit.

    The axes of each Gaussian turn with the frame (F R F), so that its scales keep their order.
    """
    sign = np.array(signs, np.float32)
    vector = sign[[1, 0, 0]] * sign[[2, 2, 1]]
    sample = np.array([0.36, 0.48, 0.8])  # where no function up to degree 3 is 0
    bands = np.sign(sh_basis(sample * sign, splats.degree) * sh_basis(sample, splats.degree)).astype(np.float32)
    turned = splats.quaternions * np.concatenate([[np.float32(1)], vector])
    return replace(splats, means=splats.means * sign, quaternions=turned, sh=splats.sh * bands[:, None])


def _similarity(matrix: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """The orthogonal part [3, 3], the scale and the translation [3] of a similarity."""
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise InvalidInput("the matrix is not a finite affine [4, 4] with 0 0 0 1 in its last row")
    scale = abs(np.linalg.det(matrix[:3, :3])) ** (1 / 3)
    turn = matrix[:3, :3] / max(scale, 1e-300)
    if scale <= 0 or np.abs(turn.T @ turn - np.eye(3)).max() > 1e-4:
        remedy = "give a rotation, one scale and a translation"
        raise InvalidInput("the matrix shears or scales its axes differently, which turns no harmonics", remedy)
    return turn, float(scale), matrix[:3, 3]


def _quaternion_of(rotation: np.ndarray) -> np.ndarray:
    """f8 [4], w x y z: the eigenvector of the greatest eigenvalue in Bar-Itzhack's matrix (2000), w ≥ 0."""
    (a, b, c), (d, e, f), (g, h, i) = rotation
    k = np.array([[a + e + i, 0, 0, 0], [h - f, a - e - i, 0, 0], [c - g, b + d, e - a - i, 0], [0] * 4])
    k[3] = [d - b, c + g, f + h, i - a - e]
    quaternion = np.linalg.eigh(k, UPLO="L")[1][:, 3]
    return -quaternion if quaternion[0] < 0 else quaternion


def _product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The Hamilton product p q of w x y z quaternions [4] and [N, 4]: q's rotation, then p's."""
    w, x, y, z = p
    left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return q @ left.T
