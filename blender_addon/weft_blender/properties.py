"""The panel's settings: a group of properties for each task, generated from what the wire declares of it."""

from __future__ import annotations

import types
import typing
from typing import Any

import bpy

from weft_wire.parameters import Param, params_of

from .desk import DESK
from .models import suggestions
from .task import SceneTask
from .tasks import TASKS

__all__ = ["LIKENESS", "PROGRESS", "SETTINGS", "SHOWN_GALLERY", "TASK", "property_of"]


def property_of(name: str, kind: Any, default: Any, rule: Param) -> Any:
    """The Blender property of one declared field: same default, range, unit and help."""
    text = f"{rule.help}; 0: {rule.zero}" if rule.zero else rule.help
    options: dict[str, Any] = {"name": title(name), "description": text, "default": default}
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not types.NoneType)
    if rule.choices:
        return bpy.props.EnumProperty(items=[(choice, title(choice), rule.help) for choice in rule.choices], **options)
    if kind is bool:
        return bpy.props.BoolProperty(**options)
    if kind is str:
        offers = suggestions(name)
        return bpy.props.StringProperty(
            **options, maxlen=int(rule.maximum or 0), **({"search": offers} if offers else {})
        )
    limits = {"min": 0 if rule.zero else rule.minimum, "max": rule.maximum}
    limits = {key: kind(value) for key, value in limits.items() if value is not None}
    if kind is int:
        return bpy.props.IntProperty(**options, **limits, subtype="PIXEL" if rule.unit == "px" else "NONE")
    return bpy.props.FloatProperty(**options, **limits, subtype="FACTOR" if rule.maximum == 1 else "NONE")


def title(name: str) -> str:
    return name.replace("_", " ").title()


def settings_class(task: SceneTask) -> type[Any]:
    """The group of properties of one task."""
    declared = {
        field.name: property_of(field.name, kind, field.default, rule)
        for field, kind, rule in params_of(task.declaration.params)
    }
    annotations = {**declared, **task.extras}
    name = f"WeftSettings_{task.name}"
    return type(name, (bpy.types.PropertyGroup,), {"__doc__": task.about, "__annotations__": annotations})


SETTINGS = {task.settings: settings_class(task) for task in TASKS.values()}
TASK = bpy.props.EnumProperty(
    name="Task",
    description="What to make",
    items=[(task.name, task.label, task.about, task.icon, i) for i, task in enumerate(TASKS.values())],
)
SHOWN_GALLERY = bpy.props.StringProperty(name="Gallery", description="The gallery that is shown; the latest if empty")
LIKENESS = bpy.props.FloatProperty(
    name="Likeness",
    description="How alike new variants are: from as different as so many can be, over unrelated, to the same",
    subtype="FACTOR",
    default=0.98,  # the embedded denoiser's variants are still far apart at correlations of 0.9
    min=0,
    max=1,
)
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
