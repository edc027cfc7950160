"""Small things to do with a task's inputs and results: a mask to paint on, a panorama as the World, splats before."""

from __future__ import annotations

from typing import Any

import bpy

from .desk import working
from .errors import SceneError
from .operators import WeftOperator
from .slots import former_material
from .splat_copies import exchange, former_mesh, latter_mesh
from .tasks import TASKS
from .textures import check_texture, node_of
from .world import former_world, keep_former, put_back, use_as_world

__all__ = ["CLASSES"]


class WEFT_OT_paint_mask(WeftOperator):
    """Paint on the mesh, in white, what may change; a new black mask of the texture's size, unless one is chosen"""

    bl_idname = "weft.paint_mask"
    bl_label = "Paint Mask"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.object is not None and context.object.type == "MESH"

    def act(self, context: bpy.types.Context) -> None:
        obj, settings = context.object, TASKS["retexture"].settings_of(context.scene)
        size = tuple(worn_image(obj).size)
        if settings.mask is None or tuple(settings.mask.size) != size:
            settings.mask = bpy.data.images.new(f"{obj.name} Mask", *size, alpha=False)
        if obj.mode != "TEXTURE_PAINT":
            bpy.ops.object.mode_set(mode="TEXTURE_PAINT")
        paint = context.scene.tool_settings.image_paint
        paint.mode, paint.canvas = "IMAGE", settings.mask
        if paint.brush is not None:
            paint.brush.color = (1, 1, 1)
        space = context.space_data
        if isinstance(space, bpy.types.SpaceView3D) and space.shading.type == "SOLID":
            space.shading.color_type = "TEXTURE"


def worn_image(obj: bpy.types.Object) -> bpy.types.Image:
    """The image texture of the object's active material, or the first other one. Raises SceneError without one."""
    order = sorted(range(len(obj.material_slots)), key=lambda slot: slot != obj.active_material_index)
    for slot in order:
        node: Any = node_of(former_material(obj, slot))
        if node is not None:
            check_texture(node.image, obj.name)
            return node.image
    raise SceneError("no_texture", f"'{obj.name}' wears no image texture", "connect one to Base Color")


class WEFT_OT_use_as_world(WeftOperator):
    """Show the latest panorama around the scene; the old World is kept and can be put back"""

    bl_idname = "weft.use_as_world"
    bl_label = "Use as World"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    def act(self, context: bpy.types.Context) -> None:
        task = "edit_panorama" if context.scene.weft_task == "edit_panorama" else "panorama"
        image = TASKS[task].settings_of(context.scene).result
        if image is None:
            raise SceneError("no_panorama", "there is no panorama yet", "make one first")
        use_as_world(context.scene, image)
        keep_former(context.scene)


class WEFT_OT_restore_world(WeftOperator):
    """Put back the World that a panorama has taken the place of"""

    bl_idname = "weft.restore_world"
    bl_label = "Restore Old World"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return former_world(context.scene) is not None

    def act(self, context: bpy.types.Context) -> None:
        put_back(context.scene)


class WEFT_OT_exchange_splats(WeftOperator):
    """Show the splats as they were before the last edit, or as they are after it"""

    bl_idname = "weft.exchange_splats"
    bl_label = "Before / After"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        there = former_mesh(context.object) is not None or latter_mesh(context.object) is not None
        return there and not working()

    def act(self, context: bpy.types.Context) -> None:
        exchange(context.object)


CLASSES = (WEFT_OT_paint_mask, WEFT_OT_use_as_world, WEFT_OT_restore_world, WEFT_OT_exchange_splats)
