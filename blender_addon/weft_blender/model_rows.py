"""What the panel says of models: which one, what matters to it, what it lacks, and what must be known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy

from weft_wire.sizes import size_of

from .errors import describe
from .link import LINK
from .models import CONTROL, Card, card_of, cards, is_known, lacking, matters, own_value
from .task import EMBEDDED, SceneTask
from .tasks import TASKS
from .text import draw_text
from .unloading import UNLOADING

__all__ = [
    "CLASSES",
    "LABELS",
    "draw_choice",
    "draw_model",
    "draw_notes",
    "draw_remark",
    "draw_setting",
    "draw_unloading",
]

# In the order of the panel, with labels for a narrow sidebar; settings that are not named here follow with their own.
LABELS = {
    "control": "Follow",
    "style_scale": "Reference",
    "negative_prompt": "Avoid",
    "guidance": "Guidance",
    "image_guidance": "Image",
    "checkpoint": "Checkpoint",
    "loras": "LoRAs",
    "synchronize": "Share",
    "sync_until": "Until",
    "view_attention": "Neighbours",
    "compiled": "Compile",
}


def draw_setting(layout: Any, task: SceneTask, settings: Any, name: str, label: str) -> None:
    """One setting, if it matters. What is left to the model is a button with what the model makes of it; a value of
    one's own has a button beside it that gives it back to the model."""
    if not matters(name, task, settings):
        return
    value = own_value(name, settings)
    if not value:
        layout.prop(settings, name, text=label)
        return
    split = layout.split(factor=0.4)
    left = split.row()
    left.alignment = "RIGHT"
    left.label(text=label)
    right = split.row(align=True)
    right.use_property_split = False
    if getattr(settings, name):
        right.prop(settings, name, text="")
        draw_switch(right, name, "", text="", icon="X")
    else:
        unit = " px" if settings.bl_rna.properties[name].subtype == "PIXEL" else ""
        draw_switch(right, name, value, text=f"{value}{unit} (auto)")


def draw_switch(layout: Any, name: str, value: str, **looks: str) -> None:
    operator = layout.operator("weft.set_value", **looks)
    operator.name, operator.value = name, value


def draw_choice(layout: Any, settings: Any) -> None:
    """The model's name, which opens the list of all."""
    layout.menu("WEFT_MT_models", text=settings.model)


def draw_model(layout: Any, task: SceneTask, settings: Any) -> None:
    """What the chosen model heeds."""
    order = [*LABELS, *task.network]
    for name in dict.fromkeys(name for name in order if name in task.network):
        draw_setting(layout, task, settings, name, LABELS.get(name) or settings.bl_rna.properties[name].name)


def draw_remark(layout: Any, settings: Any) -> None:
    """Whose terms are not free for every use."""
    card = card_of(settings)
    if card.remark:
        draw_text(layout, card.remark, icon="INFO")


def draw_notes(layout: Any, task: SceneTask, settings: Any) -> None:
    """What would make the button fail or surprise, as far as it is known before."""
    card = card_of(settings)
    if card.name == EMBEDDED or not LINK.connected:
        return
    if not is_known(card.name):
        layout.separator()
        draw_text(layout, f"the server knows no model '{card.name}'", icon="ERROR")
        return
    if not card.suits(task):
        layout.separator()
        able = ", ".join(other.label for other in TASKS.values() if card.suits(other))
        able = " and ".join(able.rsplit(", ", 1))
        draw_text(layout, f"not with {card.name}, which is for {able or 'nothing here'}", icon="ERROR")
        return
    absent = lacking(task, settings)
    sentences = about_reference(card, task, settings)
    if absent or sentences:
        layout.separator()
    if absent:
        draw_absent(layout, card, absent)
    for sentence in sentences:
        draw_text(layout, sentence, icon="INFO")


def draw_absent(layout: Any, card: Card, absent: Sequence[Mapping[str, Any]]) -> None:
    """Which parts are not on the server, and the way to get them."""
    size = size_of(sum(part["size"] for part in absent))
    kinds = ", ".join(part["role"].removeprefix(CONTROL) for part in absent if part["optional"])
    what = f"{kinds} for {card.name}" if all(part["optional"] for part in absent) else card.name
    column = layout.column(align=True)
    draw_text(column, f"the server lacks {what} ({size})", icon="IMPORT")
    commands = dict.fromkeys(part["command"] for part in absent)
    column.operator("weft.copy_commands").text = "\n".join(commands)


def about_reference(card: Card, task: SceneTask, settings: Any) -> list[str]:
    """What a reference image means to the model, where that is not what one expects."""
    given = task.has_reference(settings)
    if card.reference == "background":
        return [] if given else ["the reference image will be the light: choose one"]
    if not given or (card.reference and "style_scale" not in task.unheeded):
        return []
    return [f"words alone count: {card.name} sees no reference image"]


def draw_unloading(layout: Any) -> None:
    """The button that frees memory, and what came of it."""
    if len(cards()) < 2:
        return
    layout.separator()
    layout.operator("weft.unload_models", text="Unloading …" if UNLOADING.pending else "Unload Models")
    if UNLOADING.error is not None:
        draw_text(layout, *describe(UNLOADING.error), icon="ERROR")
    elif UNLOADING.message:
        draw_text(layout, UNLOADING.message, icon="CHECKMARK")


class WEFT_MT_models(bpy.types.Menu):
    bl_idname = "WEFT_MT_models"
    bl_label = "Model"
    bl_description = "The denoiser: the built-in one, or a network with trained weights on the server"

    def draw(self, context: bpy.types.Context) -> None:
        task: SceneTask = TASKS[context.scene.weft_task]
        chosen = task.settings_of(context.scene).model
        known = [card for card in cards().values() if card.suits(task)]
        absent = [card for card in known if not card.here]
        for card in known:
            if absent and card is absent[0]:
                self.layout.separator()
                self.layout.label(text="Not on the server yet")
            icon = "CHECKMARK" if card.name == chosen else "IMPORT" if not card.here else "BLANK1"
            text = f"{card.name}: {card.help}" if card.help else card.name
            self.layout.operator("weft.choose_model", text=text, icon=icon).name = card.name
        if not LINK.connected:
            self.layout.label(text="A server adds those that it has", icon="UNLINKED")


CLASSES = (WEFT_MT_models,)
