"""Declared values: one declaration validates, documents, and names value, expectation and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft_wire.errors import WireError
from weft_wire.jobs import TextureParams
from weft_wire.parameters import from_mapping, param, params_of, schema, to_mapping, validate


def refusal(**values: Any) -> str:
    with pytest.raises(WireError) as caught:
        from_mapping(TextureParams, values)
    assert caught.value.code == "invalid_parameter"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults_are_valid_and_survive_a_mapping() -> None:
    params = TextureParams()
    validate(params)
    assert from_mapping(TextureParams, to_mapping(params)) == params


@pytest.mark.parametrize("size", [0, 127, 4097, 100_000, -1])
def test_sizes_out_of_range_name_the_range_and_the_default(size: int) -> None:
    expected = f"texture_size must be between 128 and 4096 px, not {size} (the default is 1024)"
    assert refusal(texture_size=size) == expected


@pytest.mark.parametrize("size", [1, 63, 1025, -1])
def test_zero_may_stand_for_something_beside_the_range(size: int) -> None:
    assert from_mapping(TextureParams, {"size": 0}).size == 0
    assert refusal(size=size) == (
        f"size must be 0 or between 64 and 1024 px, not {size} (0 is what the model likes, 256 px without weights)"
    )


@dataclass(frozen=True)
class Inheriting(TextureParams):
    extra: int = 1


def test_fields_of_its_own_come_before_inherited_ones() -> None:
    names = [field.name for field, _, _ in params_of(Inheriting)]
    assert names[0] == "extra"
    assert sorted(names[1:]) == sorted(field.name for field, _, _ in params_of(TextureParams))


@given(st.integers(64, 1024), st.integers(4, 200), st.floats(0.1, 10))
def test_values_in_range_pass(size: int, steps: int, scale: float) -> None:
    params = from_mapping(TextureParams, {"size": size, "steps": steps, "pattern_scale": scale})
    assert (params.size, params.steps, params.pattern_scale) == (size, steps, scale)


def test_a_whole_number_is_a_number_but_true_is_not() -> None:
    assert from_mapping(TextureParams, {"pattern_scale": 2}).pattern_scale == 2.0
    assert "whole number" in refusal(size=True)
    assert "true or false" in refusal(decals=1)
    assert "whole number" in refusal(steps=30.0)


def test_choices_and_names_that_are_nearly_right_get_a_hint() -> None:
    assert "try scene" in refusal(cameras="scen")
    assert "did you mean texture_size?" in refusal(texture_sice=1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", None, [1.0]])
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    assert "finite number" in refusal(pattern_scale=value)


def test_long_texts_are_refused() -> None:
    assert "length of prompt" in refusal(prompt="x" * 2001)


def test_validate_looks_at_instances_too() -> None:
    with pytest.raises(WireError, match="steps must be between"):
        validate(TextureParams(steps=1))


def test_required_fields_and_nested_declarations() -> None:
    @dataclass(frozen=True)
    class Inner:
        n: int = param(minimum=1, help="a count")

    @dataclass(frozen=True)
    class Outer:
        inner: Inner = param()  # noqa: RUF009
        many: tuple[int, ...] = param((), maximum=2)
        maybe: str | None = param(None)

    globals().update(Inner=Inner)
    assert to_mapping(from_mapping(Outer, {"inner": {"n": 3}})) == {"inner": {"n": 3}, "many": [], "maybe": None}
    for wrong in ({}, {"inner": {}}, {"inner": {"n": 0}}, {"inner": {"n": 1}, "many": [1, 2, 3]}, {"inner": 5}):
        with pytest.raises(WireError):
            from_mapping(Outer, wrong)


def test_the_schema_has_a_help_line_for_every_parameter() -> None:
    rows = schema(TextureParams)
    assert all(row["help"] for row in rows)
    assert {row["name"]: row.get("unit") for row in rows}["size"] == "px"
