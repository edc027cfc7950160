"""What a task is to Blender: which settings it has, what it takes from the scene, and how what arrives is shown.

A task of the add-on is one object of a class in task_*.py: the wire's declaration beside the functions below. The
panel, the buttons, the properties and a job's life know nothing else about it.

    chosen(context)                          the sources that the panel and the selection name
    collect(params, **sources)               → Collected: arrays for the wire, and where results belong
    keep(targets)                            what of the scene is needed to prepare pictures, one value a target
    prepare_preview, prepare_result          arrays to what Blender takes; run on a thread, touch no datablock
    show_preview, show_result                on the main thread, quick
    wear, wears                              of such: a finished result in its place again, and whether it is there
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import bpy
import numpy as np

from weft_wire.jobs import Task
from weft_wire.jobs.networks import NETWORK
from weft_wire.parameters import params_of

from .cameras import export_cameras
from .exemplar import read_image
from .images import prepare

__all__ = ["EMBEDDED", "REFERENCE", "Collected", "SceneTask", "reference"]

EMBEDDED = "exemplar"  # the model that needs no trained weights

REFERENCE = bpy.props.PointerProperty(
    name="Reference",
    type=bpy.types.Image,
    description="A photograph or texture to take the look from; without one the prompt picks a built-in material",
)


@dataclass
class Collected:
    """`arrays` are named as the wire declares them; `targets[i]` is where preview and result number i belong.

    Targets are small dataclasses with a `label`, made of what JSON can hold: Blender's own references do not survive
    undo or loading a file.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    targets: list[Any] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class SceneTask(ABC):
    """One task. `rows` and `more` are (property, label) in the panel and behind *More*; `extras` are the properties
    that the wire does not declare. Of the declared ones, `unheeded` change nothing here with a model with trained
    weights although they are such models' own, and `for_embedded` nothing with any of these."""

    declaration: ClassVar[Task]
    label: ClassVar[str]
    icon: ClassVar[str]
    about: ClassVar[str]  # the button's tooltip
    target: ClassVar[type[Any]]
    extras: ClassVar[Mapping[str, Any]] = {"exemplar": REFERENCE}
    rows: ClassVar[Sequence[tuple[str, str]]] = ()
    more: ClassVar[Sequence[tuple[str, str]]] = ()
    unheeded: ClassVar[frozenset[str]] = frozenset()
    for_embedded: ClassVar[frozenset[str]] = frozenset({"pattern_scale", "decals"})
    sees_looks: ClassVar[bool] = False  # whether a job is sent what the result takes the place of

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def settings(self) -> str:
        """The property of scenes that holds this task's settings."""
        return "weft" if self.name == "texture" else f"weft_{self.name}"

    @property
    def network(self) -> tuple[str, ...]:
        """The properties that only models with trained weights heed; none where the task has no use for such."""
        return tuple(field.name for field, _, rule in params_of(self.declaration.params) if rule.section == NETWORK)

    def has_geometry(self, settings: Any) -> bool:
        """Whether a job would show a model what the surface is like."""
        return True

    def matters(self, name: str, settings: Any) -> bool:
        """Whether the setting `name` changes anything with what else is set, whichever the model."""
        return True

    def has_reference(self, settings: Any) -> bool:
        """Whether a reference image is chosen."""
        return settings.exemplar is not None

    # In the panel

    def settings_of(self, scene: bpy.types.Scene) -> Any:
        return getattr(scene, self.settings)

    def parameters(self, settings: Any) -> Any:
        """The job's parameters out of the panel's settings."""
        return self.declaration.params(
            **{field.name: getattr(settings, field.name) for field, _, _ in params_of(self.declaration.params)}
        )

    def draw(self, layout: Any, settings: Any) -> None:
        """The look: words and a picture."""
        layout.label(text="Prompt")
        layout.prop(settings, "prompt", text="")
        layout.label(text="Reference Image")
        layout.template_ID(settings, "exemplar", open="image.open", text="")

    def draw_result(self, layout: Any, context: Any) -> None:  # noqa: B027 (nothing is a fine answer)
        """What can be done with the last result."""

    def button(self, context: Any) -> str:
        """The big button's text, which says what it will work on."""
        names = [obj.name for obj in context.selected_objects]
        what = names[0] if len(names) == 1 else f"{len(names)} Objects" if names else ""
        return f"{self.label} {what}".strip()

    def show(self, context: Any) -> None:
        """Let the viewport that the button was pressed in show what comes."""
        space = context.space_data
        if isinstance(space, bpy.types.SpaceView3D) and space.shading.type == "SOLID":
            space.shading.color_type = "TEXTURE"

    def chosen(self, context: Any) -> dict[str, Any]:
        settings = self.settings_of(context.scene)
        return {"objects": context.selected_objects, "exemplar": reference(settings.exemplar)}

    # A job's life

    @abstractmethod
    def collect(self, params: Any, **sources: Any) -> Collected:
        """Read the scene. Raises SceneError or WireError, before anything is changed, for what cannot be done."""

    def keep(self, targets: Sequence[Any]) -> list[Any]:
        return [None] * len(targets)

    def prepare_preview(self, image: np.ndarray, kept: Any) -> Any:
        return prepare(image, kept)

    @abstractmethod
    def prepare_result(self, arrays: Mapping[str, np.ndarray], kept: Sequence[Any]) -> list[Any]:
        """One value a target."""

    @abstractmethod
    def show_preview(self, job_id: str, index: int, target: Any, prepared: Any) -> bool:
        """Whether it can be seen; not if its object is gone."""

    @abstractmethod
    def show_result(self, job_id: str, index: int, target: Any, prepared: Any, parameters: dict[str, Any]) -> str:
        """A warning, or nothing. Without its object the result is kept all the same. `parameters` go to the datablock
        that holds the result, so that it counts as finished."""

    # Variants

    def wear(self, job_id: str, index: int, target: Any) -> bool:
        """Show result number `index` of a finished job, which lies in datablocks, in the place of another variant; not
        if it or its object is gone."""
        return False

    def wears(self, job_id: str, index: int, target: Any) -> bool:
        """Whether the target shows that result."""
        return False

    # What several tasks share

    def look(self, params: Any, exemplar: np.ndarray | None) -> dict[str, np.ndarray]:
        """The reference image and the scene's cameras, checked together with the parameters."""
        arrays = {} if exemplar is None else {"exemplar": exemplar}
        if getattr(params, "cameras", "automatic") != "automatic":
            arrays |= export_cameras(bpy.context.scene)
        self.declaration.check(params, frozenset(arrays))
        return arrays


def reference(image: bpy.types.Image | None) -> np.ndarray | None:
    """The picture that a panel names, if it names one."""
    return None if image is None else read_image(image)
