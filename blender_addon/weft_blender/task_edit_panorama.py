"""Edit panorama: an image too large for any model, or a sphere, is changed as one, and regions of it in their own way.

The image is chosen, or it is what the World shows. The result is a new image, and on wish the World.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs.edit_panorama import EDIT_PANORAMA, REGIONS, EditPanoramaParams

from .distillation_rows import FOR_EMBEDDED, MORE, ROWS, UNHEEDED
from .errors import SceneError
from .masks import mask_of
from .picture import RESULT, Picture
from .task import REFERENCE, Collected, SceneTask, reference
from .task_panorama import PanoramaTask
from .wide_images import read_wide, world_image

__all__ = ["EditPanoramaTask", "Region"]

SOURCES = (
    ("IMAGE", "Image", "An image of any size"),
    ("WORLD", "World", "The picture that the World shows"),
)
MASK = bpy.props.PointerProperty(
    name="Mask", type=bpy.types.Image, description="White (anything but black) may change; as large as the image"
)


@dataclass(frozen=True)
class Region:
    """Where something of its own is to be: an image as large as the panorama, and a reference, or None for words."""

    mask: bpy.types.Image | None
    exemplar: np.ndarray | None = None


class EditPanoramaTask(PanoramaTask):
    declaration = EDIT_PANORAMA
    label, icon = "Edit Panorama", "WORLD_DATA"
    about = "Change a panorama or a large image by words or a picture, into a new image; the old one stays"
    target = Picture
    extras = {  # noqa: RUF012
        "exemplar": REFERENCE,
        "source": bpy.props.EnumProperty(name="Source", items=SOURCES, description="What is edited"),
        "image": bpy.props.PointerProperty(name="Image", type=bpy.types.Image, description="What is edited"),
        "as_world": bpy.props.BoolProperty(
            name="Use as World",
            default=True,
            description="The new image takes the old one's place in a copy of the World, which is kept",
        ),
        "mask": MASK,
        "regions": bpy.props.IntProperty(
            name="Regions", default=0, min=0, max=REGIONS, description="Parts with a prompt or a reference of their own"
        ),
        **{f"mask_{i + 1}": MASK for i in range(REGIONS)},
        **{f"exemplar_{i + 1}": REFERENCE for i in range(REGIONS)},
        "result": RESULT,
    }
    rows = (*ROWS, ("window", "Views"))
    more = (("mask", "Mask"), ("shape", "Shape"), *MORE, ("batch", "Together"))
    unheeded = UNHEEDED
    for_embedded = FOR_EMBEDDED
    alike = True
    sees_looks = True

    def has_geometry(self, settings: Any) -> bool:
        return False

    def draw(self, layout: Any, settings: Any) -> None:
        layout.row().prop(settings, "source", expand=True)
        if settings.source == "IMAGE":
            layout.template_ID(settings, "image", open="image.open", text="")
        else:
            layout.prop(settings, "as_world")
        SceneTask.draw(self, layout, settings)
        layout.prop(settings, "regions")
        for i in range(1, settings.regions + 1):
            box = layout.box().column()
            box.label(text=f"Region {i}")
            box.template_ID(settings, f"mask_{i}", new="image.new", open="image.open", text="")
            box.prop(settings, f"prompt_{i}", text="", icon="GREASEPENCIL")
            box.template_ID(settings, f"exemplar_{i}", open="image.open", text="")

    def button(self, context: Any) -> str:
        return "Edit Panorama"

    def show(self, context: Any) -> None:
        settings, space = self.settings_of(context.scene), context.space_data
        if settings.source == "WORLD" and settings.as_world and isinstance(space, bpy.types.SpaceView3D):
            space.shading.type, space.shading.use_scene_world = "MATERIAL", True

    def parameters(self, settings: Any) -> EditPanoramaParams:
        """Without the words of regions that the panel does not show."""
        hidden = {f"prompt_{i + 1}": "" for i in range(settings.regions, REGIONS)}
        return replace(SceneTask.parameters(self, settings), **hidden)

    def chosen(self, context: Any) -> dict[str, Any]:
        settings = self.settings_of(context.scene)
        world = settings.source == "WORLD"
        return {
            "exemplar": reference(settings.exemplar),
            "image": world_image(context.scene) if world else settings.image,
            "mask": settings.mask,
            "regions": [
                Region(getattr(settings, f"mask_{i}"), reference(getattr(settings, f"exemplar_{i}")))
                for i in range(1, settings.regions + 1)
            ],
            "as_world": world and settings.as_world,
        }

    def collect(
        self,
        params: EditPanoramaParams,
        *,
        image: bpy.types.Image | None,
        exemplar: np.ndarray | None = None,
        mask: bpy.types.Image | None = None,
        regions: Sequence[Region] = (),
        as_world: bool = False,
        scene: bpy.types.Scene | None = None,
    ) -> Collected:
        """`image` as it is, what of it may change (None: everything), and what is to be where."""
        place: Any = scene or bpy.context.scene
        if image is None:
            raise SceneError("no_image", "no image is chosen", "open one, or set Source to World")
        arrays = {} if exemplar is None else {"exemplar": exemplar}
        named = {f"region.{i}.mask" for i in range(len(regions))}
        arrays |= {f"region.{i}.exemplar": r.exemplar for i, r in enumerate(regions) if r.exemplar is not None}
        self.declaration.check(params, frozenset({*arrays, *named, "image"}))
        arrays["image"] = read_wide(image)
        height, width = arrays["image"].shape[:2]
        wanted = {f"region.{i}.mask": region.mask for i, region in enumerate(regions)}
        for name, painted in {**({} if mask is None else {"mask": mask}), **wanted}.items():
            arrays[name] = mask_of(painted, height, width, f"'{image.name}'")
        warnings = []
        if image.is_float:
            warnings.append(f"'{image.name}' holds light: what is brighter than white becomes white in the new image")
        return Collected(arrays, [Picture("Panorama", place.name, as_world)], warnings)
