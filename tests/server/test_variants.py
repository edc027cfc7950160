"""Jobs as variants of a gallery: what is refused, which noise a job gets, and that each can be made by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from weft.errors import InvalidInput
from weft.noise import Variant
from weft.tasks.events import Result
from weft_server.tasks import RUNNERS
from weft_server.thumbnails import thumbnail_of
from weft_server.variants import seed_of
from weft_wire.arrays import ArrayRef
from weft_wire.errors import WireError
from weft_wire.jobs import TASKS, check_inputs
from weft_wire.jobs.variants import VariantParams, rho_of
from weft_wire.parameters import from_mapping, to_mapping

MOSS = {"prompt": "moss"}
Shapes = dict[str, tuple[int, ...]]


def check(params: dict[str, Any], shapes: Shapes) -> None:
    task = TASKS["panorama"]
    refs = [ArrayRef(name, "f4", shape, "0" * 64) for name, shape in shapes.items()]
    check_inputs(task, from_mapping(task.params, {**MOSS, **params}), refs)


@pytest.mark.parametrize(
    ("params", "shapes"),
    [
        ({"variants": 4, "variant": 4}, {}),
        ({"variants": 2, "correlation": "-1"}, {}),
        ({"variants": 4, "correlation": "-0.333333"}, {}),
        ({"variants": 16, "correlation": "Independent "}, {}),
        ({"variants": 3}, {"coupling": (3, 5), "anchor": (7,)}),
    ],
)
def test_what_fits_passes(params: dict[str, Any], shapes: Shapes) -> None:
    check(params, shapes)


@pytest.mark.parametrize(
    ("params", "shapes", "says"),
    [
        ({"variants": 0}, {}, "variants must be between 1 and 16, not 0"),
        ({"variants": 17}, {}, "variants must be between 1 and 16, not 17"),
        ({"variant": 2}, {}, "variant = 2, and there are 1 variants"),
        ({"variants": 4, "correlation": "-0.5"}, {}, "between -0.3333 and 1"),
        ({"variants": 2, "correlation": "1.1"}, {}, "between -1 and 1"),
        ({"variants": 2, "correlation": "nan"}, {}, "between -1 and 1"),
        ({"variants": 2, "correlation": "alike"}, {}, "neither a number nor repulsive, independent, identical"),
        ({"variants": 3}, {"coupling": (2, 2)}, "2 rows for 3 variants"),
        ({}, {"anchor": (2,)}, "anchor is given for 1 variant"),
        ({"variants": 2}, {"coupling": (2, 300)}, "noises of coupling must be between 1 and 256"),
    ],
)
def test_what_is_impossible_is_one_line_with_a_remedy(params: dict[str, Any], shapes: Shapes, says: str) -> None:
    with pytest.raises(WireError) as caught:
        check(params, shapes)
    assert says in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("count", [2, 3, 16])
@pytest.mark.parametrize("name", ["repulsive", "independent", "identical", "0.25"])
def test_rows_of_a_gallery_are_correlated_as_asked_and_begin_with_the_seed_alone(count: int, name: str) -> None:
    rows = [_row(variants=count, variant=k + 1, correlation=name) for k in range(count)]
    rho = rho_of(count, name)
    assert np.allclose(np.inner(rows, rows), (1 - rho) * np.eye(count) + rho, atol=1e-6)
    assert rows[0][0] == 1


def test_of_a_coupling_its_correlations_count_and_the_first_variant_is_the_seed_alone() -> None:
    matrix = np.random.default_rng(0).normal(size=(3, 5)).astype("f4")
    rows = [_row({"coupling": matrix}, variants=3, variant=k) for k in (1, 2, 3)]
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    assert np.allclose(np.inner(rows, rows), unit @ unit.T, atol=1e-6)
    assert rows[0][0] == 1


def test_around_an_anchor_variants_are_correlated_with_it_as_with_each_other() -> None:
    anchor = np.array([0.6, 0.0, 0.8], "f4")
    rows = [_row({"anchor": anchor}, variants=3, variant=k, correlation="-0.2") for k in (1, 2, 3)]
    padded = np.pad(anchor, (0, len(rows[0]) - len(anchor)))
    assert np.allclose(rows[0], padded, atol=1e-6)
    assert np.allclose(np.inner(rows, rows), 1.2 * np.eye(3) - 0.2, atol=1e-6)


@pytest.mark.parametrize("arrays", [{"coupling": np.diag([1, 0]).astype("f4")}, {"anchor": np.zeros(3, "f4")}])
def test_a_row_of_zeros_is_refused(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(InvalidInput, match="is zero"):
        _row(arrays, variants=2, variant=2)


def test_a_variant_can_be_made_by_itself_and_be_the_anchor_of_others() -> None:
    plain = _made()
    assert "variant" not in plain.info
    first, second = (_made(variants=2, variant=k) for k in (1, 2))
    assert np.array_equal(first.arrays["panorama"], plain.arrays["panorama"])
    assert not np.array_equal(second.arrays["panorama"], plain.arrays["panorama"])
    assert np.array_equal(second.arrays["thumbnail"], second.arrays["panorama"]), "it is small enough"
    assert "thumbnail" not in plain.arrays
    assert second.info["variant"] == {"number": 2, "of": 2, "row": [-1.0], "correlation": -1.0}
    row = np.array(second.info["variant"]["row"], "f4")
    again, other = (_made({"anchor": row}, variants=3, variant=k) for k in (1, 2))
    assert np.array_equal(again.arrays["panorama"], second.arrays["panorama"])
    assert not np.array_equal(other.arrays["panorama"], second.arrays["panorama"])


def _row(arrays: dict[str, np.ndarray] | None = None, **params: Any) -> np.ndarray:
    """What a job gets, padded so that rows can be compared."""
    seed = seed_of({"seed": 3, **to_mapping(VariantParams(**params))}, arrays or {})
    assert isinstance(seed, Variant)
    assert seed == 3
    return np.pad(seed.row, (0, 24 - len(seed.row)))


def _made(arrays: dict[str, np.ndarray] | None = None, **params: Any) -> Result:
    """A small wide image."""
    given = {**MOSS, "shape": "wide", "width": 256, "height": 64, "window": 64, "steps": 4, **params}
    task = TASKS["panorama"]
    *_, last = RUNNERS["panorama"](to_mapping(from_mapping(task.params, given)), arrays or {}, [])
    assert isinstance(last, Result)
    return last


def test_a_result_without_a_thumbnail_is_a_result_all_the_same() -> None:
    """UVs in one corner of the texture hit no texel of the small surface that is drawn."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "f4")
    mesh = {"mesh.0.vertices": corners, "mesh.0.faces": np.array([[0, 1, 2]], "i4")}
    mesh["mesh.0.uv"] = (corners[:, :2] * 1e-4)[mesh["mesh.0.faces"]]
    texture = {"texture.0": np.zeros((64, 64, 3), np.uint8)}
    assert thumbnail_of(mesh, texture, "") == {}
    mesh["mesh.0.uv"] = corners[:, :2][mesh["mesh.0.faces"]]
    assert thumbnail_of(mesh, texture, "")["thumbnail"].shape[-1] == 3
