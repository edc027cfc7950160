"""Declared values: frozen dataclasses whose fields carry a range, a unit and a help line, and are checked by them.

The same declaration validates on the server, becomes an option of the command line, a field of Blender's panel and a
row of the protocol document. Supported types: bool, int, float, str, bytes, dict[str, Any], `X | None`,
tuple[X, ...] and other dataclasses.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from weft_wire.errors import WireError

__all__ = ["Param", "from_mapping", "param", "params_of", "schema", "to_mapping", "validate"]

T = TypeVar("T")
LONGEST_TEXT = 4096  # characters, where a declaration names no maximum
INT64 = 2**63 - 1  # what SQLite, numpy and msgpack all carry


@dataclass(frozen=True, slots=True)
class Param:
    """The rule of one field. `maximum` of a text or a tuple is its greatest length; `zero` says what 0 stands for where
    it is allowed beside the range; fields of one `section` are shown together, apart from the others."""

    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    section: str = ""
    zero: str = ""


def param(
    default: Any = dataclasses.MISSING,
    *,
    help: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    unit: str = "",
    choices: tuple[str, ...] = (),
    section: str = "",
    zero: str = "",
) -> Any:
    """Declare one field of a dataclass; without a default the field is required."""
    rule = Param(help, minimum, maximum, unit, tuple(choices), section, zero)
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata={"param": rule})
    return dataclasses.field(default=default, metadata={"param": rule})


@functools.cache
def params_of(cls: type) -> tuple[tuple[dataclasses.Field[Any], Any, Param], ...]:
    """(field, resolved type, rule) of every field of the dataclass, its own before those it inherits."""
    hints = typing.get_type_hints(cls)
    rows = ((f, hints[f.name], f.metadata.get("param", Param())) for f in dataclasses.fields(cls))
    return tuple(sorted(rows, key=lambda row: row[0].name not in cls.__annotations__))


def validate(value: Any, *, code: str = "invalid_parameter") -> None:
    """Check every field of a declared dataclass; raise a WireError that names value, expectation and remedy."""
    for field, kind, rule in params_of(type(value)):
        _convert(field, kind, rule, getattr(value, field.name), code, "refuse")


def from_mapping(
    cls: type[T], mapping: Mapping[str, Any], *, code: str = "invalid_parameter", extra: str = "refuse"
) -> T:
    """Build a declared dataclass from plain values. `extra`: "refuse" unknown fields with a hint, or "ignore" them."""
    if not isinstance(mapping, Mapping):
        raise WireError(code, f"{cls.__name__} must be a map of its fields, not {_show(mapping)}")
    fields = params_of(cls)
    if extra == "refuse":
        _refuse_unknown(cls, mapping, [field.name for field, _, _ in fields], code)
    values = {}
    for field, kind, rule in fields:
        if field.name in mapping:
            values[field.name] = _convert(field, kind, rule, mapping[field.name], code, extra)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise WireError(
                code, f"{field.name} is missing in {cls.__name__}", rule.help and f"{field.name}: {rule.help}"
            )
    return cls(**values)


def to_mapping(value: Any) -> dict[str, Any]:
    """Plain values of a declared dataclass, nested ones included; the inverse of `from_mapping`."""
    return {field.name: _plain(getattr(value, field.name)) for field, _, _ in params_of(type(value))}


def schema(cls: type) -> list[dict[str, Any]]:
    """One plain row per field: name, type, default (absent if required), minimum, maximum, unit, choices, help."""
    rows = []
    for field, kind, rule in params_of(cls):
        row: dict[str, Any] = {"name": field.name, "type": _type_name(kind)}
        if field.default is not dataclasses.MISSING:
            row["default"] = _plain(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            row["default"] = _plain(field.default_factory())
        for key in ("minimum", "maximum", "unit", "choices", "section", "zero", "help"):
            if getattr(rule, key) not in (None, "", ()):
                row[key] = _plain(getattr(rule, key))
        rows.append(row)
    return rows


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_mapping(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _type_name(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return "map"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_type_name(a) for a in arguments if a is not type(None)) + " or nil"
    names = {bool: "bool", int: "int", float: "float", str: "text", bytes: "bytes"}
    return names[kind] if kind in names else str(kind.__name__)


def _refuse_unknown(cls: type, mapping: Mapping[str, Any], known: list[str], code: str) -> None:
    for name in mapping:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise WireError(code, f"{_show(name)} is not a field of {cls.__name__}", hint)


def _convert(field: dataclasses.Field[Any], kind: Any, rule: Param, value: Any, code: str, extra: str) -> Any:
    """`value` as `kind`, checked against `rule`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _convert(field, arguments[0], rule, value, code, extra)
    if origin is tuple:
        _expect(isinstance(value, list | tuple), field, "a list", rule, value, code)
        _within(field, "the number of items of {}", len(value), rule, code)
        return tuple(_convert(field, arguments[0], Param(help=rule.help), item, code, extra) for item in value)
    if origin is dict:
        _expect(isinstance(value, dict) and all(isinstance(k, str) for k in value), field, "a map", rule, value, code)
        return dict(value)
    if dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        if isinstance(value, kind):
            validate(value, code=code)
            return value
        return from_mapping(kind, value, code=code, extra=extra)
    return _convert_scalar(field, kind, rule, value, code)


def _convert_scalar(field: dataclasses.Field[Any], kind: Any, rule: Param, value: Any, code: str) -> Any:
    if kind is bool:
        _expect(isinstance(value, bool), field, "true or false", rule, value, code)
        return value
    if kind is int:
        _expect(isinstance(value, int) and not isinstance(value, bool), field, "a whole number", rule, value, code)
        _within(
            field,
            "{}",
            value,
            dataclasses.replace(rule, minimum=_or(rule.minimum, -INT64), maximum=_or(rule.maximum, INT64)),
            code,
        )
        return value
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        _expect(number and math.isfinite(value), field, "a finite number", rule, value, code)
        _within(field, "{}", value, rule, code)
        return float(value)
    _expect(isinstance(value, kind), field, _type_name(kind), rule, value, code)
    if rule.choices and value not in rule.choices:
        near = difflib.get_close_matches(str(value), rule.choices, 1, 0.5)
        options = ", ".join(rule.choices)
        raise WireError(
            code,
            f"{field.name} must be one of {options}, not {_show(value)}",
            f"try {near[0] if near else rule.choices[0]}",
        )
    _within(
        field,
        "the length of {}",
        len(value),
        Param(maximum=_or(rule.maximum, LONGEST_TEXT), minimum=rule.minimum),
        code,
    )
    return value


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _expect(condition: bool, field: dataclasses.Field[Any], expected: str, rule: Param, value: Any, code: str) -> None:
    if not condition:
        raise WireError(code, f"{field.name} must be {expected}, not {_show(value)}", rule.help)


def _within(field: dataclasses.Field[Any], subject: str, value: float, rule: Param, code: str) -> None:
    low, high = rule.minimum, rule.maximum
    if ((low is None or value >= low) and (high is None or value <= high)) or (rule.zero and value == 0):
        return
    unit = f" {rule.unit}" if rule.unit else ""
    if low is not None and high is not None:
        bounds = f"between {low} and {high}{unit}"
    else:
        bounds = f"at least {low}{unit}" if low is not None else f"at most {high}{unit}"
    bounds = f"0 or {bounds}" if rule.zero and low is not None and low > 0 else bounds
    default = field.default
    hint = (
        f"the default is {default}" if isinstance(default, int | float) and not isinstance(default, bool) else rule.help
    )
    hint = f"0 is {rule.zero}" if rule.zero else hint
    raise WireError(code, f"{subject.format(field.name)} must be {bounds}, not {value}", hint)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
