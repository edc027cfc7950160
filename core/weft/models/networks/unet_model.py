"""Diffusion U-Nets as denoisers: Stable Diffusion 1.5 and XL, and what is made of them (editing, relighting, …).

    E[x0|x] = levels.x0(x, Σ_r weight_r · U-Net(x, extra_r, words_r, Σ controls), level)

All rows r of the guidance table and all views are one batch, row by row: sample = r · N + view. What does not change
from step to step (words, embedded control pictures, extra channels) is computed when a denoiser is bound. Predictions
are summed and turned into x0 in float32, whatever the network computes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.models.networks.batching import Batches
from weft.models.networks.codec import LatentCodec
from weft.models.networks.components import Components
from weft.models.networks.conditions import check_conditioning, check_latents
from weft.models.networks.control_nets import BoundControls, ControlNets
from weft.models.networks.extra_channels import extra_of
from weft.models.networks.guidance import Row, weighted
from weft.models.networks.image_model import Conditioning
from weft.models.networks.noise_levels import DiffusionLevels, variance_preserving
from weft.models.networks.style import Style
from weft.models.networks.text import Text, Words
from weft.models.networks.view_attention import ViewAttention
from weft.schedule import NoiseLevel

__all__ = ["UNetModel"]


class UNetModel:
    """An `ImageModel`. `batches.notices` tells what people should know about how it ran."""

    def __init__(self, components: Components, *, batches: Batches | None = None) -> None:
        network: Any = components.network
        self.card = components.card
        self.device, self.dtype = components.device, components.dtype
        self.batches = batches or Batches()
        self.network = network
        self.codec = LatentCodec(components.vae, components.tiny_vae, batches=self.batches)
        self.levels = DiffusionLevels(components.scheduler)
        self.unit = self.codec.factor * 2 ** (len(network.config.block_out_channels) - 1)
        self.attention = ViewAttention(network)
        self._text = Text(components.tokenizers, components.text_encoders, self.device, self.dtype)
        self._controls = ControlNets(components.controlnets, self.device, self.dtype)
        self._style = Style(network, components.image_encoder)
        light = any(part.role == "offset" for part in self.card.parts)
        self._extra = extra_of(network.conv_in.in_channels, self.codec, light=light)
        self._sized = network.config.addition_embed_type == "text_time"

    @property
    def controls(self) -> frozenset[str]:
        return self._controls.kinds

    @property
    def styled(self) -> bool:
        return self._style.loaded

    def levels_at(self, height: int, width: int) -> DiffusionLevels:
        """The same at every size."""
        return self.levels

    def cut(self, prompt: str) -> str:
        return self._text.cut(prompt)

    @torch.no_grad()
    def bind(self, wanted: Conditioning) -> Denoiser:
        """A denoiser of latents [N, C, h, w]. InvalidInput, in one line, for what this model cannot do."""
        check_conditioning(
            wanted,
            name=self.card.name,
            unit=self.unit,
            controls=self.controls,
            needs=self._extra.needs,
            styled=self._style.loaded,
        )
        rows = self._extra.rows(wanted)
        return _Bound(self, wanted, rows, self._inputs(wanted, rows), self._controls.bind(wanted.controls), self._style)

    def _inputs(self, wanted: Conditioning, rows: Sequence[Row]) -> _Inputs:
        negative, shown = self._words(wanted)
        words = [own if row.words else negative for row in rows for own in shown]
        pooled = [own.pooled for own in words if own.pooled is not None]
        return _Inputs(
            hidden=torch.stack([own.hidden for own in words]),
            pooled=torch.stack(pooled) if self._sized else None,
            style=self._style_rows(wanted, rows),
            extra=self._extra_rows(wanted, rows),
            views=torch.arange(len(wanted.prompts), device=self.device).repeat(len(rows)),
        )

    def _words(self, wanted: Conditioning) -> tuple[Words, Sequence[Words]]:
        """What should not be shown, and what each view should."""
        return self._text.encode_negative(wanted.negative), [self._text.encode(prompt) for prompt in wanted.prompts]

    def _extra_rows(self, wanted: Conditioning, rows: Sequence[Row]) -> Tensor | None:
        if self._extra.channels is None:
            return None
        channels = self._extra.channels(self.codec, wanted).to(self.device, self.dtype)
        return torch.cat([channels if row.image else torch.zeros_like(channels) for row in rows])

    def _style_rows(self, wanted: Conditioning, rows: Sequence[Row]) -> Tensor | None:
        """[rows · N, 1, …]: one picture a sample."""
        if not self._style.loaded:
            return None
        shown, without = self._style.encode(wanted.style)
        samples = [shown if row.words else without for row in rows for _ in wanted.prompts]
        return torch.stack(samples).to(self.device, self.dtype)


@dataclass(frozen=True, eq=False)
class _Inputs:
    """What the network is told at every step, for samples = rows · N."""

    hidden: Tensor  # [samples, tokens, C]
    pooled: Tensor | None  # [samples, P]
    style: Tensor | None  # [samples, 1, …]
    extra: Tensor | None  # [samples, channels, h, w]
    views: Tensor  # i8 [samples]


class _Bound:
    """The denoiser of one `Conditioning`."""

    def __init__(
        self,
        model: UNetModel,
        wanted: Conditioning,
        rows: Sequence[Row],
        inputs: _Inputs,
        controls: BoundControls,
        style: Style,
    ) -> None:
        self._model, self._rows, self._inputs, self._controls = model, rows, inputs, controls
        self._neighbours = wanted.neighbours
        self._views = len(wanted.prompts)
        pictures = [wanted.image, *(control.images for control in wanted.controls)]
        self._pixels = next(((own.shape[2], own.shape[3]) for own in pictures if own is not None), None)
        self._style, self._style_scale = style, wanted.style_scale if wanted.style is not None else 0.0

    @torch.no_grad()
    def __call__(self, x: Tensor, level: NoiseLevel, /) -> Tensor:
        """See `Denoiser`; x is float32, on any device, and so is the result."""
        model, rows = self._model, self._rows
        check_latents(x, self._views, model.codec, unit=model.unit, pixels=self._pixels)
        noisy, level = variance_preserving(x.to(model.device, torch.float32), level)
        t = model.levels.timestep(level)
        if self._style.loaded:
            self._style.set_scale(self._style_scale)
        predictions = model.batches.run(
            lambda part: self._predict(noisy, t, part),
            len(rows) * self._views,
            kind=("U-Net", *x.shape[-2:]),
            together=model.attention.together(self._neighbours, len(rows), t),
        ).unflatten(0, (len(rows), self._views))
        prediction = weighted(rows, predictions)
        return model.levels.x0(noisy, prediction, level).to(x)

    @torch.no_grad()  # again: parts may run in threads of their own
    def _predict(self, noisy: Tensor, t: float, part: slice) -> Tensor:
        """What the network predicts for some samples, float32 [part, C, h, w]."""
        model, inputs = self._model, self._inputs
        views, hidden = inputs.views[part], inputs.hidden[part]
        latents = noisy[views].to(model.dtype)
        steps = torch.full((1,), t, device=model.device)  # filled there: a copy would make the host wait
        added = self._added(part, noisy)
        progress = 1 - t / model.levels.trained
        residuals = self._controls.residuals(latents, steps, hidden, added, views, progress)
        if inputs.style is not None:
            added["image_embeds"] = [inputs.style[part]]
        sample = latents if inputs.extra is None else torch.cat([latents, inputs.extra[part]], dim=1)
        if model.device.type == "cuda":
            sample = sample.contiguous(memory_format=torch.channels_last)
        return model.network(
            sample,
            steps,
            encoder_hidden_states=hidden,
            added_cond_kwargs=added,
            down_block_additional_residuals=None if residuals is None else residuals[0],
            mid_block_additional_residual=None if residuals is None else residuals[1],
            return_dict=False,
        )[0].float()

    def _added(self, part: slice, noisy: Tensor) -> dict[str, Any]:
        """SDXL is told the pooled words and the size of the picture: as it was, its crop, as it is to be."""
        pooled = self._inputs.pooled
        if pooled is None:
            return {}
        height, width = (side * self._model.codec.factor for side in noisy.shape[-2:])
        sizes = torch.zeros(len(pooled[part]), 6, device=noisy.device, dtype=pooled.dtype)
        for place, side in ((0, height), (1, width), (4, height), (5, width)):
            sizes[:, place] = side
        return {"text_embeds": pooled[part], "time_ids": sizes}
