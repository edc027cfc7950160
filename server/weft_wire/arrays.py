"""Arrays as the wire sees them: a dtype from a short list, a shape in Python integers, a hash, raw bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft_wire.errors import WireError
from weft_wire.parameters import param

__all__ = ["DTYPES", "ArrayRef", "ArraySpec", "check_block", "dtype_name", "nbytes_of", "raw_bytes"]

DTYPES = ("f4", "f2", "u1", "u2", "i4", "u4")
LARGEST_SIDE = 2**40  # of one dimension; products stay exact because they are Python integers


@dataclass(frozen=True, slots=True)
class ArrayRef:
    """One array of a job: what it is called, how its bytes are read, and the hash by which they are stored."""

    name: str = param(minimum=1, maximum=80, help="as the task's declaration says, e.g. mesh.0.vertices")
    dtype: str = param(choices=DTYPES, help="little-endian numpy type")
    shape: tuple[int, ...] = param(maximum=4, help="row-major; no dimension is negative")
    sha256: str = param(minimum=64, maximum=64, help="of the raw bytes, 64 lower-case hex digits")

    @property
    def nbytes(self) -> int:
        return nbytes_of(self.dtype, self.shape)


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """What a task expects under a name. `<i>` in the name counts objects from 0; texts in `shape` are dimensions that
    must agree between all arrays of one group (the name up to its last dot)."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    help: str
    required: bool = False
    index_of: str = ""  # values are indices below this dimension

    def matches(self, name: str) -> bool:
        """Whether `name` is one of this declaration's names."""
        pattern, parts = self.name.split("."), name.split(".")
        return len(pattern) == len(parts) and all(
            p == q or (p == "<i>" and q.isascii() and q.isdecimal() and q == str(int(q)))
            for p, q in zip(pattern, parts, strict=True)
        )


def nbytes_of(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of such an array, in Python integers, which do not overflow."""
    total = int(dtype[1])
    for side in shape:
        if not 0 <= side <= LARGEST_SIDE:
            raise WireError("invalid_array", f"a dimension must be between 0 and {LARGEST_SIDE}, not {side}")
        total *= side
    return total


def dtype_name(array: np.ndarray) -> str:
    """The wire's name of the array's type ("f4"); other types raise."""
    name = f"{array.dtype.kind}{array.dtype.itemsize}"
    if name not in DTYPES:
        raise WireError(
            "invalid_array", f"arrays of {array.dtype} are not sent", f"convert to one of {', '.join(DTYPES)} first"
        )
    return name


def raw_bytes(array: np.ndarray) -> memoryview:
    """The array's bytes, little-endian and row-major; no copy where it is so already."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data


def check_block(ref: ArrayRef, spec: ArraySpec, dimensions: Mapping[str, int], block: Any) -> None:
    """Refuse NaN, infinities and indices out of range in some whole elements of the array. Large arrays are checked a
    block at a time: what fits the cache is read once for the check and the hash together."""
    values = np.frombuffer(block, dtype=f"<{ref.dtype}")
    if ref.dtype.startswith("f") and not np.isfinite(values).all():
        raise WireError("invalid_array", f"{ref.name} holds NaN or infinite values", "repair its source and try again")
    limit = dimensions.get(spec.index_of, 0)
    if spec.index_of and values.size and (int(values.min()) < 0 or int(values.max()) >= limit):
        bad = int(values.min()) if int(values.min()) < 0 else int(values.max())
        raise WireError(
            "invalid_array",
            f"{ref.name} holds the index {bad}; indices must lie between 0 and {limit - 1}",
            "the mesh is damaged: Mesh > Clean Up, or validate() it, and try again",
        )
