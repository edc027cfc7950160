"""The texture job's declaration: what fits together passes, everything else is refused before anything is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from weft_wire.arrays import ArrayRef, check_block, dtype_name, nbytes_of, raw_bytes
from weft_wire.errors import WireError
from weft_wire.jobs import TEXTURE, TextureParams, check_inputs, task_named
from weft_wire.transfer import Submission

PARAMS = TextureParams(prompt="moss")
MESH = {"mesh.0.vertices": ("f4", (8, 3)), "mesh.0.faces": ("i4", (12, 3))}


def check(arrays: dict[str, tuple[str, tuple[int, ...]]], params: TextureParams = PARAMS) -> dict[str, dict[str, int]]:
    refs = [ArrayRef(name, dtype, shape, "0" * 64) for name, (dtype, shape) in arrays.items()]
    return check_inputs(TEXTURE, params, refs)


def test_a_job_that_fits_tells_its_dimensions() -> None:
    more = {"mesh.0.uv": ("f4", (12, 3, 2)), "exemplar": ("u1", (64, 80, 3))}
    second = {"mesh.1.vertices": ("f4", (4, 3)), "mesh.1.faces": ("i4", (2, 3))}
    sizes = check(MESH | more | second)
    assert sizes["mesh.0"] == {"V": 8, "F": 12}
    assert sizes["mesh.1"] == {"V": 4, "F": 2}
    assert sizes[""] == {"H": 64, "W": 80}


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({}, "mesh.0.vertices is missing"),
        ({"mesh.0.vertices": ("f4", (8, 3))}, "mesh.0.faces is missing"),
        ({**MESH, "mesh.2.vertices": ("f4", (8, 3)), "mesh.2.faces": ("i4", (1, 3))}, "mesh.1.vertices is missing"),
        ({**MESH, "mesh.0.faces": ("u4", (12, 3))}, "must be i4"),
        ({**MESH, "mesh.0.faces": ("i4", (0, 3))}, "F of mesh.0.faces must be between 1"),
        ({**MESH, "mesh.0.vertices": ("f4", (2, 3))}, "V of mesh.0.vertices must be between 3"),
        ({**MESH, "mesh.0.vertices": ("f4", (8, 2))}, "must be f4"),
        ({**MESH, "mesh.0.uv": ("f4", (11, 3, 2))}, "F = 12"),
        ({**MESH, "mesh.00.uv": ("f4", (12, 3, 2))}, "no input of texture"),
        ({**MESH, "mesh.x.uv": ("f4", (12, 3, 2))}, "no input of texture"),
        ({**MESH, "../etc/passwd": ("f4", (1,))}, "no input of texture"),
        ({**MESH, "exemplar": ("u1", (15, 80, 3))}, "H of exemplar must be between 16"),
        ({**MESH, "exemplar": ("u1", (64, 9000, 3))}, "W of exemplar must be between 16"),
        ({**MESH, "exemplar": ("f4", (64, 64, 3))}, "must be u1"),
        ({**MESH, "camera.poses": ("f4", (3, 4, 4))}, "needs camera.intrinsics"),
        ({**MESH, "camera.poses": ("f4", (3, 4, 4)), "camera.intrinsics": ("f4", (2, 6))}, "N = 3"),
    ],
)
def test_what_does_not_fit_is_refused(arrays: dict[str, Any], says: str) -> None:
    with pytest.raises(WireError, match=says):
        check(arrays)


def test_a_wish_without_words_or_picture_is_refused() -> None:
    with pytest.raises(WireError, match="neither a prompt nor a reference image"):
        check(MESH, TextureParams(prompt="  "))
    check({**MESH, "exemplar": ("u1", (64, 64, 3))}, TextureParams())


def test_scene_cameras_need_a_camera() -> None:
    with pytest.raises(WireError, match="the scene has no camera"):
        check(MESH, TextureParams(prompt="moss", cameras="scene"))


def test_sizes_are_python_integers() -> None:
    assert nbytes_of("f4", (2**33, 2**33)) == 2**68  # where numpy's product overflows to 0
    assert nbytes_of("f2", (0, 5)) == 0
    for shape in ((2, -2), (2**41,)):
        with pytest.raises(WireError):
            nbytes_of("f4", shape)


def test_values_are_looked_at() -> None:
    vertices, faces = TEXTURE.spec_of("mesh.0.vertices"), TEXTURE.spec_of("mesh.0.faces")
    ref = ArrayRef("mesh.0.vertices", "f4", (1, 3), "0" * 64)
    check_block(ref, vertices, {"V": 1}, raw_bytes(np.array([1, -2, 3], "f4")))
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(WireError, match="NaN or infinite"):
            check_block(ref, vertices, {"V": 1}, raw_bytes(np.array([1, bad, 3], "f4")))
    ref = ArrayRef("mesh.0.faces", "i4", (1, 3), "0" * 64)
    check_block(ref, faces, {"V": 3}, raw_bytes(np.array([0, 1, 2], "i4")))
    for bad in (-1, 3, 2**31 - 1, -(2**31)):
        with pytest.raises(WireError, match=f"the index {bad}; indices must lie between 0 and 2"):
            check_block(ref, faces, {"V": 3}, raw_bytes(np.array([0, bad, 2], "i4")))


def test_types_and_byte_orders() -> None:
    assert [dtype_name(np.zeros(1, t)) for t in ("<f4", ">f4", "u1", "<i4")] == ["f4", "f4", "u1", "i4"]
    for refused in ("f8", "i8", "U1", "O", "?", "c8"):
        with pytest.raises(WireError):
            dtype_name(np.zeros(1, refused))
    big = np.arange(5, dtype=">i4")
    assert bytes(raw_bytes(big)) == np.arange(5, dtype="<i4").tobytes()
    strided = np.arange(24, dtype="f4").reshape(4, 6)[::2, ::3]
    assert bytes(raw_bytes(strided)) == strided.tobytes()
    assert len(raw_bytes(np.zeros((0, 3), "f4"))) == 0


def test_preparing_a_job_names_what_is_wrong_at_once() -> None:
    arrays = {"mesh.0.vertices": np.zeros((3, 3), "f8"), "mesh.0.faces": np.zeros((1, 3), "i4")}
    with pytest.raises(WireError, match="arrays of float64 are not sent"):
        Submission.prepare(TEXTURE, PARAMS, arrays, [], "j")


def test_tasks_are_found_by_name() -> None:
    assert task_named("texture") is TEXTURE
    with pytest.raises(WireError, match="there is no task 'txture'"):
        task_named("txture")
