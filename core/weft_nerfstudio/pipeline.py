"""nerfstudio's pipeline, with training images that Weft edits, and optimisers made anew for loaded parameters.

nerfstudio makes its optimisers before it loads a checkpoint, and loading splats replaces their tensors: the optimisers
then move parameters that nothing looks at, and an edit does nothing without a word.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from nerfstudio.engine.callbacks import (  # pyright: ignore[reportMissingImports]
    TrainingCallback,
    TrainingCallbackAttributes,
    TrainingCallbackLocation,
)
from nerfstudio.pipelines.base_pipeline import (  # pyright: ignore[reportMissingImports]
    VanillaPipeline,
    VanillaPipelineConfig,
)
from nerfstudio.utils.rich_utils import CONSOLE  # pyright: ignore[reportMissingImports]

from weft.errors import InvalidInput
from weft.io.images import load_image
from weft.tasks.events import Progress, Warning
from weft.tasks.instruction_choice import choose_instruction
from weft.tasks.painting import Clock
from weft_nerfstudio.networks import network_named
from weft_nerfstudio.training_images import images_of
from weft_nerfstudio.view_edits import ViewEdits

__all__ = ["CsdPipeline", "CsdPipelineConfig"]


@dataclass
class CsdPipelineConfig(VanillaPipelineConfig):
    """What the scene is changed to. Options as of `weft edit-scene`."""

    _target: type = field(default_factory=lambda: CsdPipeline)
    prompt: str = ""
    """What it should look like, in words."""
    exemplar: Path | None = None
    """What it should look like, in a picture."""
    network: str = "exemplar"
    """What edits: "exemplar", the embedded denoiser, or another model by its name, as `weft models` lists them."""
    fidelity: float = 0.6
    """How closely the pictures' own shapes are kept, 0 to 1."""
    pattern_scale: float = 1.0
    """Size of the exemplar's detail; 1: the picture spans a view."""
    rule: str = "csd_edit"
    """csd_edit, or dds, csd, sds."""
    iterations: int = 0
    """Steps of the distillation; 0: what suits the model."""
    batch: int = 16
    """Views that are edited together."""
    every: int = 2000
    """Training steps from one batch to the next."""
    size: int = 256
    """Pixels of the longer side that views are edited at."""
    seed: int = 0


class CsdPipeline(VanillaPipeline):
    """A pipeline that edits what it learns from."""

    config: CsdPipelineConfig

    def get_training_callbacks(
        self, training_callback_attributes: TrainingCallbackAttributes
    ) -> list[TrainingCallback]:
        trainer: Any = training_callback_attributes.trainer
        if trainer.config.load_dir is None and trainer.config.load_checkpoint is None:
            raise InvalidInput(
                "there is no trained scene to edit",
                "train it with `ns-train splatfacto` (or nerfacto) and name its folder with --load-dir",
            )
        trainer.optimizers = trainer.setup_optimizers()
        attributes = replace(training_callback_attributes, optimizers=trainer.optimizers)
        first = int(trainer._start_step)
        edits = self._edits()

        def edit_views(step: int) -> None:
            if edits.due(step, first):
                views = edits.edit(self._render)
                CONSOLE.log(f"Weft edited {len(views)} training images at step {step}")

        mine = TrainingCallback([TrainingCallbackLocation.BEFORE_TRAIN_ITERATION], edit_views)
        return [mine, *super().get_training_callbacks(attributes)]

    def _edits(self) -> ViewEdits:
        wanted = self.config
        if not wanted.prompt.strip() and wanted.exemplar is None:
            raise InvalidInput("there is neither a prompt nor an exemplar", "give --pipeline.prompt or .exemplar")
        exemplar = None if wanted.exemplar is None else load_image(wanted.exemplar)
        network = network_named(wanted.network)
        for told in () if network is None else network.load(Clock(), exemplar):
            if isinstance(told, Progress | Warning):
                CONSOLE.log(f"Weft: {told.message}")
        instruction, settings, material = choose_instruction(
            prompt=wanted.prompt, exemplar=exemplar, fidelity=wanted.fidelity, pattern_scale=wanted.pattern_scale,
            rule=wanted.rule, repulsion=True, iterations=wanted.iterations, rate=0.0, noise_low=0.0, noise_high=0.0,
            network=network,
        )  # fmt: skip
        CONSOLE.log(f"Weft edits towards {material['name']}")
        return ViewEdits(
            images_of(self.datamanager), instruction, settings, size=wanted.size, batch=wanted.batch,
            every=wanted.every, seed=wanted.seed,
        )  # fmt: skip

    def _render(self, view: int) -> np.ndarray:
        """f4 [H, W, 3] in [0, 1]: what the scene shows of a training view."""
        was = self.training
        self.eval()
        cameras = self.datamanager.train_dataset.cameras
        outputs = self.model.get_outputs_for_camera(cameras[view : view + 1].to(self.device))
        self.train(was)
        return outputs["rgb"].detach().cpu().numpy().clip(0, 1).astype(np.float32)
