"""Which arrays a scene of each kind is made of, and of which shape: what files hold is held to it before it is used.

Kernels index without looking, so that an array that is smaller than another says would crash the process.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weft.errors import InvalidInput

__all__ = ["LAYOUTS", "check_layout"]

# Name → type and shape. Letters stand for sizes that are the same wherever they occur; ? marks what may be missing.
_ROWS = ("f4", ("N", "D"))
_GRID, _COLORS = ("f4", ("V", "V", "V")), ("f4", ("V", "V", "V", "C"))
_NUMBER, _FLAG, _COUNT = ("f8", ()), ("b1", ()), ("i8", ())
_BOX = {
    "box": ("f4", (2, 3)), "contracted": _FLAG, "background": ("f4", (3,)), "occupied": ("b1", ("M", "M", "M")),
    "resolution": _COUNT, "geometry": _FLAG, "rate": _NUMBER,
}  # fmt: skip
_FACTORS = {
    "density_planes": (3, "R", "V", "V"), "density_lines": (3, "R", "V", 1), "color_planes": (3, "Q", "V", "V"),
    "color_lines": (3, "Q", "V", 1), "basis": ("F", "B"),
}  # fmt: skip
LAYOUTS: dict[str, dict[str, tuple[str, tuple[int | str, ...]]]] = {
    "splats": {
        "parameters": _ROWS, "background": ("f4", (3,)), "settings": ("f8", (2,)), "optimiser.first": _ROWS,
        "optimiser.second": _ROWS, "optimiser.anchors": ("f4", ("A", "P")), "optimiser.trainable?": ("b1", ("N",)),
        "optimiser.settings": ("f8", (4,)),
    },
    "voxels": {
        "density": _GRID, "color": _COLORS, "density_moments": _GRID, "color_moments": _COLORS, "age": _COUNT,
        "held?": ("b1", ("V", "V", "V")), **_BOX,
    },
    "tensorf": {
        **{name: ("f4", shape) for name, shape in _FACTORS.items()},
        **{f"{name}.{part}?": ("f4", shape) for name, shape in _FACTORS.items() for part in ("mean", "square")},
        **{f"{name}.steps?": _NUMBER for name in _FACTORS},
        **_BOX,
    },
}  # fmt: skip
_SIZES = {"C": (3, 12, 27, 48), "D": (14, 23, 38, 59)}  # by the degree of the harmonics, 0 to 3
_EMPTY = ("A", "P")  # sizes that may be 0: splats that are held where they were, or none
_SIDES = 8, 1024  # vertices of a grid
_AGAIN = "fit it again"


def check_layout(kind: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise InvalidInput unless `arrays` fit each other and can be a scene made of `kind`."""
    sizes: dict[str, int] = {}
    for key, (dtype, shape) in LAYOUTS[kind].items():
        name = key.removesuffix("?")
        array = arrays.get(name)
        if array is None:
            if key.endswith("?"):
                continue
            raise InvalidInput(f"a scene made of {kind} has no {name!r}", _AGAIN)
        if array.dtype != np.dtype(dtype) or not _fits(array.shape, shape, sizes):
            expected = ", ".join(str(sizes.get(str(side), side)) for side in shape)
            message = f"{name} of a scene made of {kind} is {array.dtype} {list(array.shape)}"
            raise InvalidInput(f"{message}, expected {np.dtype(dtype)} [{expected}]", _AGAIN)
    if sizes.get("A") and (sizes["A"], sizes["P"]) != (sizes["N"], sizes["D"]):
        raise InvalidInput(f"{sizes['A']} splats of the scene are held to what they were, of {sizes['N']}", _AGAIN)
    if "box" in LAYOUTS[kind]:
        _check_grid(arrays, sizes)


def _fits(found: tuple[int, ...], shape: tuple[int | str, ...], sizes: dict[str, int]) -> bool:
    """Whether a shape is as declared; letters that were not known take its sizes."""
    if len(found) != len(shape):
        return False
    for side, wanted in zip(found, shape, strict=True):
        known = sizes.setdefault(wanted, side) if isinstance(wanted, str) else wanted
        if side != known or (wanted not in _EMPTY and side < 1):
            return False
        if isinstance(wanted, str) and side not in _SIZES.get(wanted, (side,)):
            return False
    return True


def _check_grid(arrays: Mapping[str, np.ndarray], sizes: Mapping[str, int]) -> None:
    middle, half = arrays["box"]
    if not np.isfinite(arrays["box"]).all() or not (half > 1e-6).all() or np.abs(arrays["box"]).max() > 1e6:
        raise InvalidInput(f"the scene's grid stands for a box around {middle} of half {half}", _AGAIN)
    low, high = _SIDES
    for side in (sizes["V"], int(arrays["resolution"])):
        if not low <= side <= high:
            raise InvalidInput(f"the scene's grid has {side} vertices a side, expected {low} to {high}", _AGAIN)
