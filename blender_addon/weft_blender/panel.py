"""The sidebar tab Weft: server, what to make, what is being made."""

from __future__ import annotations

from typing import Any

import bpy

from . import job, server_process
from .errors import describe
from .link import LINK
from .model_rows import draw_choice, draw_model, draw_notes, draw_remark, draw_setting, draw_unloading
from .task import SceneTask
from .tasks import TASKS
from .text import draw_text

__all__ = ["CLASSES"]

PHASES = {"sending": "Sending the scene", "waiting": "Looking for the job", "queued": "Waiting in the queue"}


class WeftPanel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Weft"
    layout: Any

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        self.draw_rows(self.layout, context)

    def draw_rows(self, layout: Any, context: Any) -> None:
        raise AssertionError("every panel has its own")


class WEFT_PT_texture(WeftPanel, bpy.types.Panel):
    bl_label = "Weft"
    bl_idname = "WEFT_PT_texture"

    def draw_rows(self, layout: Any, context: Any) -> None:
        task, current = TASKS[context.scene.weft_task], job.DESK.job
        running = current if current is not None and not current.ended else None
        draw_server(layout)
        choice = layout.column()
        choice.use_property_split = False
        choice.scale_y = 1.2
        choice.prop(context.scene, "weft_task", text="")
        column = layout.column()
        column.enabled = running is None
        column.use_property_split = False
        settings = task.settings_of(context.scene)
        task.draw(column, settings)
        column.separator()
        column.use_property_split = True
        for name, label in task.rows:
            draw_setting(column, task, settings, name, label)
        draw_variants(column, task, settings)
        if task.network:
            draw_notes(column, task, settings)
        layout.separator()
        if running is not None:
            draw_progress(layout, running)
        else:
            draw_button(layout, context, task)
        draw_outcome(layout, current)
        task.draw_result(layout, context)


class WEFT_PT_model(WeftPanel, bpy.types.Panel):
    bl_label = ""
    bl_idname = "WEFT_PT_model"
    bl_parent_id = "WEFT_PT_texture"
    bl_order = 1  # below the gallery
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    @classmethod
    def poll(cls, context: Any) -> bool:
        return bool(TASKS[context.scene.weft_task].network)

    def draw_header(self, context: Any) -> None:
        """With the model's name, so that it can be seen while the panel is closed."""
        self.layout.label(text=f"Model: {TASKS[context.scene.weft_task].settings_of(context.scene).model}")

    def draw_rows(self, layout: Any, context: Any) -> None:
        task = TASKS[context.scene.weft_task]
        settings = task.settings_of(context.scene)
        column = layout.column()
        column.enabled = job.DESK.job is None or job.DESK.job.ended
        draw_choice(column, settings)
        draw_remark(column, settings)
        draw_model(column, task, settings)
        draw_unloading(layout)


class WEFT_PT_more(WeftPanel, bpy.types.Panel):
    bl_label = "More"
    bl_idname = "WEFT_PT_more"
    bl_parent_id = "WEFT_PT_texture"
    bl_order = 2
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    def draw_rows(self, layout: Any, context: Any) -> None:
        task = TASKS[context.scene.weft_task]
        settings = task.settings_of(context.scene)
        for name, label in task.more:
            draw_setting(layout, task, settings, name, label)


def draw_server(layout: Any) -> None:
    """One line: connected to what; or a button that helps, and why it is needed."""
    trouble = server_process.poll(LINK.connected)
    row = layout.row(align=True)
    if LINK.connected:
        row.label(text="Server ready" if LINK.welcome.ready else "Server warming up", icon="CHECKMARK")
        if server_process.running():
            row.operator("weft.stop_server", text="", icon="X")
        return
    if trouble == "starting":
        row.label(text="Server starting …", icon="SORTTIME")
        row.operator("weft.stop_server", text="", icon="X")
        return
    row.label(text="No server", icon="UNLINKED")
    if not LINK.elsewhere:
        row.operator("weft.start_server", text="Start", icon="PLAY")
    if trouble:
        draw_text(layout, trouble, icon="ERROR")
    elif LINK.error is not None and LINK.error.code != "server_absent":
        draw_text(layout, *describe(LINK.error), icon="ERROR")


def draw_button(layout: Any, context: Any, task: SceneTask) -> None:
    """The big button, labelled with what it will work on."""
    row = layout.row()
    row.scale_y = 1.6
    count = getattr(task.settings_of(context.scene), "variants", 1)
    times = f" × {count}" if count > 1 else ""
    row.operator(f"weft.{task.name}", text=f"{task.button(context)}{times}", icon=task.icon)


def draw_variants(layout: Any, task: SceneTask, settings: Any) -> None:
    """How many variants of the result there are to be, and of several how alike their noises are."""
    if not task.declaration.has_variants:
        return
    layout.prop(settings, "variants", text="Variants")
    if settings.variants > 1:
        layout.prop(settings, "correlation", text="Correlation")


def draw_progress(layout: Any, current: job.Job) -> None:
    """A bar with the phase, and Cancel."""
    text = PHASES.get(current.state, "") if not current.phase else current.phase.replace("_", " ").capitalize()
    if current.total > 1:
        text = f"{text}  {current.step} / {current.total}"
    if current.gallery:
        text = f"Variant {current.number} of {current.params['variants']}: {text}"
    column = layout.column()
    if hasattr(column, "progress"):  # Blender ≥ 4.0
        bar = column.row()
        bar.scale_y = 1.2
        bar.progress(factor=current.fraction, text=text)
    else:
        column.label(text=text)
        column.prop(bpy.context.window_manager, "weft_progress", text="", slider=True)
    column.operator("weft.cancel", icon="CANCEL")


def draw_outcome(layout: Any, current: job.Job | None) -> None:
    """What went wrong, what to know, and what the last job made."""
    if job.DESK.complaint is not None:
        draw_text(layout, *describe(job.DESK.complaint), icon="ERROR")
    if current is None:
        return
    if current.error is not None and current.state != "cancelled":
        draw_text(layout, *describe(current.error), icon="ERROR")
    for warning in current.warnings[-3:]:
        draw_text(layout, warning, icon="INFO")
    if current.state == "cancelled":
        layout.label(text="Cancelled", icon="CANCEL")
    if current.state == "applied":
        draw_result(layout, current)


def draw_result(layout: Any, current: job.Job) -> None:
    material, coverage = current.info.get("material", {}), current.info.get("coverage")
    box = layout.box().column(align=True)
    times = f" × {current.params['variants']}" if current.gallery else ""
    box.label(text=f"{current.task.label}{times} done in {current.seconds['total']:.0f} s", icon="CHECKMARK")
    if material:
        box.label(text=f"Material: {material.get('name', '')}")
        if material.get("note"):
            draw_text(box, str(material["note"]), inset=20)
    if coverage is not None:
        box.label(text=f"Seen by the cameras: {float(coverage):.1%}")
    if "held_out_psnr" in current.info:
        box.label(text=f"Unseen photos: {float(current.info['held_out_psnr']):.1f} dB")


CLASSES = (WEFT_PT_texture, WEFT_PT_model, WEFT_PT_more)
