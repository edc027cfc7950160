"""Flow transformers as denoisers: Stable Diffusion 3 and FLUX.2 klein.

    x0 = x - σ Σ_r weight_r · transformer(x, t = 1000 σ, words_r, pictures)        α = 1 - σ

All rows r of the guidance table and all views are one batch, row by row: sample = r · N + view. Levels that are not
flow levels (α + σ ≠ 1) are scaled to those of the same signal-to-noise ratio. FLUX.2 klein edits: it is shown the views
as they are (`Conditioning.image`), in every row, beside the noisy ones. Its distilled form has its guidance inside.

There are no ControlNets for these here, no masks and no style pictures. A mask that comes with a picture to edit is
left alone, and so are neighbours of views: words and pixels share one attention in these networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import InvalidInput
from weft.models.networks import guidance
from weft.models.networks.batching import Batches
from weft.models.networks.components import Components
from weft.models.networks.conditions import check_conditioning, check_latents
from weft.models.networks.flow_networks import FLOW_FAMILIES, PATCH
from weft.models.networks.image_model import Conditioning
from weft.models.networks.noise_levels import FlowLevels
from weft.schedule import NoiseLevel

__all__ = ["FlowModel"]


class FlowModel:
    """An `ImageModel`. `batches.notices` tells what people should know about how it ran.

    `levels` is the walk for views of the card's size, `levels_at` for others: some networks walk larger images longer
    in the noise.
    """

    controls: frozenset[str] = frozenset()
    styled = False

    def __init__(self, components: Components, *, batches: Batches | None = None) -> None:
        self.family = FLOW_FAMILIES[components.card.family]
        self.card = components.card
        self.device, self.dtype = components.device, components.dtype
        self.batches = batches or Batches()
        self.network: Any = components.network
        self.codec = self.family.codec(components.vae, components.tiny_vae, batches=self.batches)
        self.unit = self.codec.factor * PATCH
        self.distilled = components.distilled
        self._scheduler: Mapping[str, Any] = components.scheduler
        self._text = self.family.text(components)
        self.levels = self.levels_at(self.card.view_size, self.card.view_size)

    def levels_at(self, height: int, width: int) -> FlowLevels:
        """The levels for views of height x width px."""
        tokens = (height // self.unit) * (width // self.unit)
        return FlowLevels(self._scheduler, self.family.shift(self._scheduler, tokens))

    def cut(self, prompt: str) -> str:
        return self._text.cut(prompt)

    @torch.no_grad()
    def bind(self, wanted: Conditioning) -> Denoiser:
        """A denoiser of latents [N, C, h, w]. InvalidInput, in one line, for what this model cannot do."""
        check_conditioning(wanted, name=self.card.name, unit=self.unit, needs=self.card.needs)
        self._check_unusable(wanted)
        rows = guidance.text(wanted.guidance)
        return _Bound(self, wanted, rows, self._inputs(wanted, rows))

    def _inputs(self, wanted: Conditioning, rows: Sequence[guidance.Row]) -> _Inputs:
        views = len(wanted.prompts)
        asked = [prompt if row.words else wanted.negative for row in rows for prompt in wanted.prompts]
        different = list(dict.fromkeys(asked))
        words = [self._text.encode(prompt) for prompt in different]
        pooled = [own.pooled for own in words if own.pooled is not None]
        return _Inputs(
            hidden=torch.stack([own.hidden for own in words]),
            pooled=torch.stack(pooled) if pooled else None,
            prompts=torch.tensor([different.index(prompt) for prompt in asked], device=self.device),
            pictures=None if wanted.image is None else self.codec.encode(wanted.image).to(self.device, self.dtype),
            views=torch.arange(views, device=self.device).repeat(len(rows)),
        )

    def _check_unusable(self, wanted: Conditioning) -> None:
        pictures = {"background": wanted.background}
        if not self.family.edits:
            pictures["image"] = wanted.image
        if not self.family.edits or wanted.image is None:
            pictures["mask"] = wanted.mask
        for name, picture in pictures.items():
            if picture is not None:
                raise InvalidInput(f"{self.card.name} has no use for the {name} it was given", f"leave the {name} out")
        if self.distilled and wanted.guidance != 1:
            raise InvalidInput(
                f"{self.card.name} is distilled and cannot be guided by {wanted.guidance:g}",
                "leave guidance at 1, or take the checkpoint that it was distilled from",
            )


@dataclass(frozen=True, eq=False)
class _Inputs:
    """What the network is told at every step, for samples = rows · N."""

    hidden: Tensor  # [prompts, tokens, W], each different prompt once: they are large
    pooled: Tensor | None  # [prompts, P]
    prompts: Tensor  # i8 [samples]
    pictures: Tensor | None  # [N, C, h, w], latents of what is edited
    views: Tensor  # i8 [samples]


class _Bound:
    """The denoiser of one `Conditioning`."""

    def __init__(self, model: FlowModel, wanted: Conditioning, rows: Sequence[guidance.Row], inputs: _Inputs) -> None:
        self._model, self._rows, self._inputs = model, rows, inputs
        self._views = len(wanted.prompts)
        self._pixels = None if wanted.image is None else (wanted.image.shape[2], wanted.image.shape[3])

    @torch.no_grad()
    def __call__(self, x: Tensor, level: NoiseLevel, /) -> Tensor:
        """See `Denoiser`; x is float32, on any device, and so is the result."""
        model, rows = self._model, self._rows
        check_latents(x, self._views, model.codec, unit=model.unit, pixels=self._pixels)
        scale = level.alpha + level.sigma
        noisy = x.to(model.device, torch.float32) / scale
        level = NoiseLevel(level.alpha / scale, level.sigma / scale)
        t = model.levels.timestep(level)
        velocities = model.batches.run(
            lambda part: self._velocity(noisy, t, part),
            len(rows) * self._views,
            kind=("flow", *x.shape[-2:], self._pixels),
        ).unflatten(0, (len(rows), self._views))
        return model.levels.x0(noisy, guidance.weighted(rows, velocities), level).to(x)

    def _velocity(self, noisy: Tensor, t: float, part: slice) -> Tensor:
        """What the network predicts for some samples, float32 [part, C, h, w]."""
        model, inputs = self._model, self._inputs
        views, prompts = inputs.views[part], inputs.prompts[part]
        return model.family.velocity(
            model.network,
            noisy[views].to(model.dtype),
            t,
            inputs.hidden[prompts],
            None if inputs.pooled is None else inputs.pooled[prompts],
            None if inputs.pictures is None else inputs.pictures[views],
        ).float()
