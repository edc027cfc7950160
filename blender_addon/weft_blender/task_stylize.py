"""Stylize: the selected objects painted in the style of a picture or of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np

from weft_wire.jobs import STYLIZE, StylizeParams

from .task import REFERENCE, Collected, reference
from .task_views import MORE, ROWS, VIEWS, ViewsTask

__all__ = ["StylizeTask"]


class StylizeTask(ViewsTask):
    declaration = STYLIZE
    label, icon = "Stylize", "BRUSHES_ALL"
    about = "Paint the selected meshes in the style of a picture; a new texture shows it, the old material stays"
    extras = {**VIEWS, "exemplar": REFERENCE}  # noqa: RUF012
    rows = (
        ("guide", "Guide"),
        ("fidelity", "Fidelity"),
        ("pattern_scale", "Scale"),
        *ROWS[:3],
        ("texture_size", "Texture"),
        *ROWS[3:],
    )
    more = MORE
    for_embedded = frozenset({"guide", "pattern_scale"})

    def has_reference(self, settings: Any) -> bool:
        return settings.exemplar is not None

    def draw(self, layout: Any, settings: Any) -> None:
        layout.label(text="Prompt")
        layout.prop(settings, "prompt", text="")
        layout.label(text="Style Image")
        layout.template_ID(settings, "exemplar", open="image.open", text="")

    def chosen(self, context: Any) -> dict[str, Any]:
        return {**super().chosen(context), "exemplar": reference(self.settings_of(context.scene).exemplar)}

    def collect(
        self,
        params: StylizeParams,
        *,
        objects: Sequence[bpy.types.Object],
        exemplar: np.ndarray | None = None,
        cameras: str = "AROUND",
        scene: bpy.types.Scene | None = None,
    ) -> Collected:
        """Renders of `objects` with their surfaces, and the style."""
        return self.with_views(params, {} if exemplar is None else {"exemplar": exemplar}, objects, cameras, scene)
