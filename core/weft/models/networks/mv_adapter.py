"""MV-Adapter as a multi-view prior: six views of one object from a picture of it, by a U-Net that paints from words.

Huang et al. 2024, *MV-Adapter: Multi-view Consistent Image Generation Made Easy*, on Stable Diffusion 2.1 or XL. The
U-Net's own weights stay as they are; beside them are

- layers that let views, and the reference picture, be attended to (`mv_adapter_layers`),
- an encoder of six numbers a pixel, of cameras or of geometry (`mv_adapter_views`), whose features are added on the way
  down (Mou et al. 2023, T2I-Adapter),
- noise levels shifted towards noise: many views that agree hide less in it than one. log SNR falls by log 8 · t/T.

The reference is seen through the U-Net itself, once, at t = 0. Guidance is by words and reference together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import ModelMismatch
from weft.models.networks.batching import Batches
from weft.models.networks.codec import LatentCodec
from weft.models.networks.components import Components
from weft.models.networks.conditions import check_latents
from weft.models.networks.guidance import Row, text, weighted
from weft.models.networks.multi_view import MultiViewConditioning, check_multi_view
from weft.models.networks.mv_adapter_layers import Band, cube_bands, level_bands
from weft.models.networks.mv_adapter_views import camera_numbers, check_cube, elevations, geometry_numbers
from weft.models.networks.mv_adapter_weights import MultiViewAdapter
from weft.models.networks.noise_levels import DiffusionLevels, variance_preserving
from weft.models.networks.text import Text, Words
from weft.models.prior_cards import PriorCard
from weft.schedule import NoiseLevel

__all__ = ["MultiViewAdapterModel", "shifted_levels"]

PROMPT = "high quality"  # what it was shown with where there is nothing to say
SHIFT = 8.0  # of the SNR at the noisiest level
LEVEL = 10.0  # degrees of elevation between views whose rows still meet


class MultiViewAdapterModel:
    """A `MultiViewModel`. Whether it follows cameras or geometry is a fact of its card."""

    def __init__(self, components: Components, *, batches: Batches | None = None) -> None:
        network: Any = components.network
        vae: Any = components.vae
        assert isinstance(components.card, PriorCard)
        assert isinstance(components.adapter, MultiViewAdapter)
        if network.config.in_channels != vae.config.latent_channels:
            message = f"{components.card.name} works on a U-Net that paints from words; this one reads pictures too"
            raise ModelMismatch(message, "give the base that the card names, or one of its family")
        self.card: PriorCard = components.card
        self.device, self.dtype = components.device, components.dtype
        self.batches = batches or Batches()
        self.network, self.adapter = network, components.adapter
        self.codec = LatentCodec(components.vae, components.tiny_vae, batches=self.batches)
        self.levels = shifted_levels(components.scheduler)
        self.unit = self.codec.factor * 2 ** (len(network.config.block_out_channels) - 1)
        self._text = Text(components.tokenizers, components.text_encoders, self.device, self.dtype)
        self._sized = network.config.addition_embed_type == "text_time"

    @torch.no_grad()
    def bind(self, wanted: MultiViewConditioning) -> Denoiser:
        """A denoiser of latents [N, C, h, w]. InvalidInput, in one line, for what this model cannot do."""
        card, count = self.card, len(wanted.cameras)
        check_multi_view(
            wanted, name=card.name, unit=self.unit, most_references=card.most_references,
            views=card.views if card.geometry else None, needs_geometry=card.geometry,
        )  # fmt: skip
        rows = text(card.guidance if wanted.guidance is None else wanted.guidance)
        prompts = wanted.prompts or (PROMPT,) * count
        latents = self.codec.encode(wanted.images)
        negative = self._text.encode_negative(wanted.negative)
        shown = [self._text.encode(prompt) for prompt in prompts]
        words = [own if row.words else negative for row in rows for own in shown]
        seen = self._seen(latents, shown[wanted.references[0]])
        told = {
            name: torch.cat([tokens if row.words else torch.zeros_like(tokens) for row in rows])
            for name, tokens in seen.items()
        }
        height, width = (int(side) for side in latents.shape[-2:])
        bands = cube_bands() if card.geometry else self._level_bands(wanted)
        return _Bound(self, _Wanted(rows, words, told, self._features(wanted), bands, count, height, width))

    def _level_bands(self, wanted: MultiViewConditioning) -> tuple[Band, ...]:
        heights = elevations(wanted.cameras)
        if np.ptp(heights) > LEVEL:
            told = f"these stand {heights.min():.0f} to {heights.max():.0f} degrees high"
            self.batches.notices.append(f"{self.card.name} knows level views: {told}")
        return level_bands(len(wanted.cameras))

    def _features(self, wanted: MultiViewConditioning) -> list[Tensor]:
        """What the encoder says of all views, by block of the U-Net."""
        reference = wanted.references[0]
        if self.card.geometry:
            check_cube(wanted.cameras, self.card.name)
            assert wanted.geometry is not None
            numbers = geometry_numbers(wanted.geometry, wanted.cameras[0])
        else:
            numbers = camera_numbers(wanted.cameras, reference)[:, :, None, None].expand(
                -1, -1, *wanted.images.shape[-2:]
            )
        return self.adapter.encoder(numbers.contiguous().to(self.device, self.dtype))

    def _seen(self, latents: Tensor, words: Words) -> dict[str, Tensor]:
        """What the layers read of the reference, by layer."""
        height, width = latents.shape[-2:]
        with self.adapter.layers.recording(height, width) as seen:
            self.evaluate(latents, torch.zeros(1, device=self.device), [words], None)
        return seen

    def evaluate(
        self, noisy: Tensor, timestep: Tensor, words: Sequence[Words], features: list[Tensor] | None
    ) -> Tensor:
        """What the U-Net predicts, float32 [samples, C, h, w]; `features` are added on the way down."""
        added = {}
        if self._sized:
            height, width = (side * self.codec.factor for side in noisy.shape[-2:])
            sizes = torch.zeros(len(words), 6, device=self.device, dtype=self.dtype)  # filled there: a copy would wait
            sizes[:, 0::4], sizes[:, 1::4] = height, width
            pooled = torch.stack([own.pooled for own in words if own.pooled is not None])
            added = {"text_embeds": pooled, "time_ids": sizes}
        sample = noisy.to(self.device, self.dtype)
        if self.device.type == "cuda":
            sample = sample.contiguous(memory_format=torch.channels_last)
        return self.network(
            sample,
            timestep,
            encoder_hidden_states=torch.stack([own.hidden for own in words]),
            added_cond_kwargs=added,
            down_intrablock_additional_residuals=features,
            return_dict=False,
        )[0].float()


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What does not change from step to step."""

    rows: tuple[Row, ...]
    words: list[Words]  # rows · N
    seen: dict[str, Tensor]  # by layer, [rows, L, C]
    features: list[Tensor]  # by block, [N, …]
    bands: tuple[Band, ...]
    views: int
    height: int  # of latents
    width: int


class _Bound:
    """The denoiser of one `MultiViewConditioning`."""

    def __init__(self, model: MultiViewAdapterModel, wanted: _Wanted) -> None:
        self._model, self._wanted = model, wanted

    @torch.no_grad()
    def __call__(self, x: Tensor, level: NoiseLevel, /) -> Tensor:
        """See `Denoiser`; x is float32, on any device, and so is the result."""
        model, wanted = self._model, self._wanted
        pixels = (wanted.height * model.codec.factor, wanted.width * model.codec.factor)
        check_latents(x, wanted.views, model.codec, unit=model.unit, pixels=pixels)
        noisy, level = variance_preserving(x.to(model.device, torch.float32), level)
        timestep = torch.full((1,), model.levels.timestep(level), device=model.device)
        predictions = model.batches.run(
            lambda part: self._predict(noisy, timestep, part),
            len(wanted.rows),
            kind=("views", wanted.views, wanted.height, wanted.width),
        )
        return model.levels.x0(noisy, weighted(wanted.rows, predictions), level).to(x)

    def _predict(self, noisy: Tensor, timestep: Tensor, part: slice) -> Tensor:
        """Of some rows of guidance, all views of each: float32 [part, N, C, h, w]."""
        wanted, model = self._wanted, self._model
        count = len(wanted.rows[part])
        seen = {name: tokens[part] for name, tokens in wanted.seen.items()}
        words = wanted.words[part.start * wanted.views : part.stop * wanted.views]
        features = [feature.repeat(count, 1, 1, 1) for feature in wanted.features]
        with model.adapter.layers.attending(wanted.height, wanted.width, wanted.views, wanted.bands, seen):
            predicted = model.evaluate(noisy.repeat(count, 1, 1, 1), timestep, words, features)
        return predicted.unflatten(0, (count, wanted.views))


def shifted_levels(config: Mapping[str, Any]) -> DiffusionLevels:
    """The levels of the base's scheduler with log SNR lowered by log 8 · t/(T - 1)."""
    bars = DiffusionLevels(config).alpha_bars
    with np.errstate(divide="ignore"):
        log_snr = np.log(bars) - np.log1p(-bars)
    moved = 1 / (1 + np.exp(math.log(SHIFT) * np.linspace(0, 1, len(bars)) - log_snr))
    betas = 1 - moved / np.concatenate([[1.0], moved[:-1]])
    return DiffusionLevels({**config, "trained_betas": betas.tolist(), "rescale_betas_zero_snr": False})
