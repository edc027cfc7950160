"""Rigid motions of the world: rotations and translations, as a matrix or as angles about a pivot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weft.errors import InvalidInput

__all__ = ["Rigid"]

_TOLERANCE = 1e-3  # of a rotation's columns: matrices come in single precision, through files
_REMEDY = "apply the object's scale first, and move or turn it only"


@dataclass(frozen=True, eq=False)
class Rigid:
    """x ↦ R x + t. `matrix` [4, 4] is that of points as columns; what rounding left in R of scale and shear is taken
    out. Raises InvalidInput for anything but a rotation and a translation."""

    matrix: np.ndarray  # f8 [4, 4]

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, np.float64)
        _check(matrix)
        left, _, right = np.linalg.svd(matrix[:3, :3])
        matrix[:3, :3] = left @ right
        matrix[3] = 0, 0, 0, 1
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def of(
        cls,
        translate: Sequence[float] = (0, 0, 0),
        rotate: Sequence[float] = (0, 0, 0),
        pivot: Sequence[float] = (0, 0, 0),
    ) -> Rigid:
        """Turned about `pivot` by Euler angles in degrees, about the world's X first, then Y, then Z (Blender's "XYZ"),
        then shifted by `translate`, in world units."""
        given = {"translate": translate, "rotate": rotate, "pivot": pivot}
        for name, values in given.items():
            if np.shape(values) != (3,) or not np.isfinite(values).all():
                raise InvalidInput(f"{name} = {values!r} is not three finite numbers", "give X, Y and Z")
        x, y, z = (_about(axis, angle) for axis, angle in enumerate(np.radians(rotate)))
        matrix = np.eye(4)
        matrix[:3, :3] = z @ y @ x
        middle = np.asarray(pivot, np.float64)
        matrix[:3, 3] = middle - matrix[:3, :3] @ middle + translate
        return cls(matrix)

    @property
    def rotation(self) -> np.ndarray:
        """f8 [3, 3]"""
        return self.matrix[:3, :3]

    @property
    def translation(self) -> np.ndarray:
        """f8 [3]"""
        return self.matrix[:3, 3]

    @cached_property
    def inverse(self) -> Rigid:
        back = np.eye(4)
        back[:3, :3] = self.rotation.T
        back[:3, 3] = -self.rotation.T @ self.translation
        return Rigid(back)

    def __matmul__(self, first: Rigid) -> Rigid:
        """This motion after `first`."""
        return Rigid(self.matrix @ first.matrix)

    def points(self, points: np.ndarray) -> np.ndarray:
        """Positions f4 [..., 3] after the motion."""
        return (np.asarray(points, np.float64) @ self.rotation.T + self.translation).astype(np.float32)

    def directions(self, vectors: np.ndarray) -> np.ndarray:
        """Normals and other directions f4 [..., 3] after the motion: turned, not shifted."""
        return (np.asarray(vectors, np.float64) @ self.rotation.T).astype(np.float32)

    def reach(self, points: np.ndarray) -> float:
        """How far the motion takes the farthest-moved of `points` [P, 3], world units."""
        moved = np.asarray(points, np.float64) @ (self.rotation - np.eye(3)).T + self.translation
        return float(np.linalg.norm(moved, axis=1).max(initial=0))


def _about(axis: int, angle: float) -> np.ndarray:
    """The rotation f8 [3, 3] by `angle`, in radians, about a world axis."""
    one, two = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[one, one] = turn[two, two] = np.cos(angle)
    turn[two, one], turn[one, two] = np.sin(angle), -np.sin(angle)
    return turn


def _check(matrix: np.ndarray) -> None:
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise InvalidInput(f"the motion is {list(matrix.shape)}, expected 4 × 4 finite numbers", "rows of a matrix")
    if np.abs(matrix[3] - [0, 0, 0, 1]).max() > _TOLERANCE:
        raise InvalidInput(f"the motion's last row is {matrix[3].tolist()}, expected 0 0 0 1", "rows of a matrix")
    rotation = matrix[:3, :3]
    scales = np.linalg.norm(rotation, axis=0)
    if np.abs(scales - 1).max() > _TOLERANCE:
        raise InvalidInput(f"the motion scales by {' '.join(f'{s:.3g}' for s in scales)}, expected 1 1 1", _REMEDY)
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > 2 * _TOLERANCE:
        raise InvalidInput("the motion shears, expected a rotation and a translation", _REMEDY)
    if np.linalg.det(rotation) < 0:
        raise InvalidInput("the motion mirrors, expected a rotation and a translation", _REMEDY)
