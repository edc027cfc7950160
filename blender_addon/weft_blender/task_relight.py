"""Relight: the selected objects under another light, that of a World, of an image, or a built-in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import bpy

from weft_wire.jobs import RELIGHT, RelightParams

from .errors import SceneError
from .export import check_objects
from .light_map import light_of
from .models import card_of
from .task import Collected
from .task_views import MORE, ROWS, VIEWS, ViewsTask

__all__ = ["RelightTask"]

Light = bpy.types.World | bpy.types.Image
SOURCES = (
    ("WORLD", "World", "What a World sheds on things"),
    ("IMAGE", "Image", "An equirectangular image with high dynamic range, HDR or EXR"),
    ("BUILT_IN", "Built-in", "One of the server's lights, by name"),
)
OLD = (
    ("AUTOMATIC", "Automatic", "The light that the views show is found from the views"),
    ("WORLD", "World", "The views show the light of the scene's World and of nothing else"),
)


class RelightTask(ViewsTask):
    declaration = RELIGHT
    label, icon = "Relight", "LIGHT_SUN"
    about = "Put the selected meshes under another light; a new texture shows it, the old material stays"
    extras = {  # noqa: RUF012
        **VIEWS,
        "source": bpy.props.EnumProperty(name="Light", items=SOURCES, description="Where the new light comes from"),
        "world": bpy.props.PointerProperty(
            name="World", type=bpy.types.World, description="The new light; the scene's own World if empty"
        ),
        "environment": bpy.props.PointerProperty(
            name="Light", type=bpy.types.Image, description="An HDR or EXR image, the middle of which looks to +X"
        ),
        "old": bpy.props.EnumProperty(name="Old Light", items=OLD, description="The light that the scene is in now"),
    }
    rows = (
        ("prompt", "Words"),
        ("rotation", "Rotation °"),
        ("exposure", "Exposure"),
        ("shadows", "Shadows"),
        ("old", "Old Light"),
        *ROWS[:3],
        ("texture_size", "Texture"),
        *ROWS[3:],
    )
    more = MORE
    for_embedded = frozenset({"shadows", "old"})

    def has_reference(self, settings: Any) -> bool:
        return card_of(settings).reference == "background"  # the light is that

    def matters(self, name: str, settings: Any) -> bool:
        if name == "old":
            return settings.source != "WORLD" or settings.world is not None
        return super().matters(name, settings)

    def draw(self, layout: Any, settings: Any) -> None:
        layout.label(text="New Light")
        layout.row().prop(settings, "source", expand=True)
        match settings.source:
            case "WORLD":
                layout.prop(settings, "world", text="")
                if settings.world is None:
                    own = settings.id_data.world
                    layout.label(text=f"The scene's: {own.name}" if own else "The scene has none", icon="WORLD")
            case "IMAGE":
                layout.template_ID(settings, "environment", open="image.open", text="")
            case "BUILT_IN":
                layout.prop(settings, "light", text="", icon="LIGHT_SUN")

    def parameters(self, settings: Any) -> RelightParams:
        params = super().parameters(settings)
        return params if settings.source == "BUILT_IN" else replace(params, light="")

    def chosen(self, context: Any) -> dict[str, Any]:
        settings = self.settings_of(context.scene)
        old = settings.old == "WORLD" and self.matters("old", settings)
        return {
            **super().chosen(context),
            "light": light_in(settings, context.scene),
            "old_light": world_of(context.scene) if old else None,
        }

    def collect(
        self,
        params: RelightParams,
        *,
        objects: Sequence[bpy.types.Object],
        light: Light | None = None,
        old_light: Light | None = None,
        cameras: str = "AROUND",
        scene: bpy.types.Scene | None = None,
    ) -> Collected:
        """Renders of `objects` with their surfaces, and the light: of a World or an image, unless `params` name it."""
        check_objects(objects)  # before a World is rendered
        arrays = {}
        if light is not None:
            arrays["environment"] = light_of(light)
        if old_light is not None:
            arrays["old_environment"] = light_of(old_light)
        return self.with_views(params, arrays, objects, cameras, scene)


def light_in(settings: Any, scene: bpy.types.Scene) -> Light | None:
    """What the panel names as the new light; None for a built-in one."""
    match settings.source:
        case "WORLD":
            return settings.world or world_of(scene)
        case "IMAGE" if settings.environment is None:
            raise SceneError("no_light", "no image is chosen as the new light", "open an .hdr or .exr file")
        case "IMAGE":
            return settings.environment
    return None


def world_of(scene: bpy.types.Scene) -> bpy.types.World:
    if scene.world is None:
        raise SceneError(
            "no_world",
            f"the scene '{scene.name}' has no World",
            "add one in Properties > World, or choose another light",
        )
    return scene.world
