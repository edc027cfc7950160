"""Buttons about models: choose one, copy the command that fetches what it lacks, free the memory of all."""

from __future__ import annotations

from typing import Any

import bpy

from weft_wire.sizes import size_of

from . import handlers, job, unloading
from .link import LINK
from .models import Card, cards
from .operators import WeftOperator
from .tasks import TASKS

__all__ = ["CLASSES"]

PATIENCE = 10.0  # seconds without a server before a script's call gives up


class WEFT_OT_choose_model(WeftOperator):
    """Paint with this model"""

    bl_idname = "weft.choose_model"
    bl_label = "Choose Model"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012
    __annotations__ = {"name": bpy.props.StringProperty(name="Model", options={"SKIP_SAVE"})}

    @classmethod
    def description(cls, context: bpy.types.Context, properties: Any) -> str:
        card = cards().get(properties.name)
        return about(card) if card is not None else cls.__doc__ or ""

    def act(self, context: bpy.types.Context) -> None:
        values: Any = self.properties
        TASKS[context.scene.weft_task].settings_of(context.scene).model = values.name


def about(card: Card) -> str:
    """What a tooltip says of a model; Blender adds the full stop."""
    lines = [card.help[:1].upper() + card.help[1:]]
    if card.licence:
        lines.append(f"Licence: {card.licence}")
    lines += [card.remark] if card.remark else []
    required = [part for part in card.missing if not part["optional"]]
    if required:
        lines.append(f"Not on the server yet, {size_of(sum(part['size'] for part in required))}:")
        lines += dict.fromkeys(part["command"] for part in required)
    return "\n".join(lines)


class WEFT_OT_set_value(WeftOperator):
    """Set it yourself, or leave it to the model again"""

    bl_idname = "weft.set_value"
    bl_label = "Set Value"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012
    __annotations__ = {
        "name": bpy.props.StringProperty(options={"SKIP_SAVE"}),
        "value": bpy.props.StringProperty(options={"SKIP_SAVE"}),
    }

    @classmethod
    def description(cls, context: bpy.types.Context, properties: Any) -> str:
        settings = TASKS[context.scene.weft_task].settings_of(context.scene)
        what = settings.bl_rna.properties[properties.name].description
        return f"Set it yourself: {what}" if properties.value else "Leave it to the model"

    def act(self, context: bpy.types.Context) -> None:
        values: Any = self.properties
        settings = TASKS[context.scene.weft_task].settings_of(context.scene)
        kind = type(getattr(settings, values.name))
        setattr(settings, values.name, kind(values.value) if values.value else kind())


class WEFT_OT_copy_commands(WeftOperator):
    """Copy the commands that fetch what is missing, to be typed in a terminal of the server's machine"""

    bl_idname = "weft.copy_commands"
    bl_label = "Copy Download Command"
    __annotations__ = {"text": bpy.props.StringProperty(name="Commands", options={"HIDDEN", "SKIP_SAVE"})}

    def act(self, context: bpy.types.Context) -> None:
        values: Any = self.properties
        context.window_manager.clipboard = values.text
        self.report({"INFO"}, "Copied: paste it into a terminal of the server's machine")


class WEFT_OT_unload_models(WeftOperator):
    """Free the memory that loaded models take on the server, after the job at hand; the next job loads its own again"""

    bl_idname = "weft.unload_models"
    bl_label = "Unload Models"
    __annotations__ = {
        "name": bpy.props.StringProperty(name="Model", description="all of them when empty", options={"SKIP_SAVE"})
    }

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bpy.app.background or (LINK.connected and not unloading.UNLOADING.pending)

    def act(self, context: bpy.types.Context) -> None:
        values: Any = self.properties
        handlers.connect()
        if not bpy.app.background:
            unloading.start(values.name)
            return
        job.wait_for_server(PATIENCE)
        unloading.start(values.name)
        job.wait_for_unloading(PATIENCE)
        self.report({"INFO"}, unloading.UNLOADING.message)


CLASSES = (WEFT_OT_choose_model, WEFT_OT_set_value, WEFT_OT_copy_commands, WEFT_OT_unload_models)
