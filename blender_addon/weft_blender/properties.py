"""The panel's settings. Everything that the server understands is generated from its declaration, TextureParams."""

from __future__ import annotations

import types
import typing
from typing import Any

import bpy

from weft_wire.jobs import TextureParams
from weft_wire.parameters import Param, params_of

from .desk import DESK

__all__ = ["PARAMETER_NAMES", "PROGRESS", "WeftSettings", "parameters_of", "property_of"]

PARAMETER_NAMES = tuple(field.name for field, _, _ in params_of(TextureParams))
UV_SOURCES = (
    ("AUTOMATIC", "Automatic", "The active UV map; a new one named Weft where it is missing, overlaps or has no area"),
    ("ACTIVE", "Active", "The active UV map as it is, even where faces share texels"),
    ("NEW", "New", "Always unwrap into a new UV map named Weft"),
)


def property_of(name: str, kind: Any, default: Any, rule: Param) -> Any:
    """The Blender property of one declared field: same default, range, unit and help."""
    options: dict[str, Any] = {"name": name.replace("_", " ").title(), "description": rule.help, "default": default}
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not types.NoneType)
    if rule.choices:
        items = [(choice, choice.title(), rule.help) for choice in rule.choices]
        return bpy.props.EnumProperty(items=items, **options)
    if kind is bool:
        return bpy.props.BoolProperty(**options)
    if kind is str:
        return bpy.props.StringProperty(**options, maxlen=int(rule.maximum or 0))
    limits = {"min": rule.minimum, "max": rule.maximum}
    limits = {key: kind(value) for key, value in limits.items() if value is not None}
    if kind is int:
        return bpy.props.IntProperty(**options, **limits, subtype="PIXEL" if rule.unit == "px" else "NONE")
    return bpy.props.FloatProperty(**options, **limits)


def parameters_of(settings: Any) -> TextureParams:
    """The job's parameters out of the panel's settings."""
    return TextureParams(**{name: getattr(settings, name) for name in PARAMETER_NAMES})


ANNOTATIONS = {
    **{
        field.name: property_of(field.name, kind, field.default, rule) for field, kind, rule in params_of(TextureParams)
    },
    "exemplar": bpy.props.PointerProperty(
        name="Reference",
        type=bpy.types.Image,
        description="A photograph or texture to take the look from; without one the prompt picks a built-in material",
    ),
    "uv_source": bpy.props.EnumProperty(
        name="UV Map", items=UV_SOURCES, description="Where the texture's layout comes from"
    ),
}
WeftSettings = type("WeftSettings", (bpy.types.PropertyGroup,), {"__doc__": __doc__, "__annotations__": ANNOTATIONS})
# The bar of Blender < 4.0, whose layouts have no progress(): a slider that only shows.
PROGRESS = bpy.props.FloatProperty(
    name="Progress",
    description="How far the present phase is",
    subtype="PERCENTAGE",
    precision=0,
    min=0,
    max=100,
    get=lambda _: 100 * DESK.job.fraction if DESK.job is not None else 0.0,
)
