"""How flow transformers are called: what latents, words and pictures become on their way in, and the velocity out.

| network            | tokens                   | pictures to edit                  | the walk is shifted by |
|---|---|---|---|
| Stable Diffusion 3 | made by the network      | none                              | tokens, if at all      |
| FLUX.2 klein       | 2 x 2 latents, made here | tokens after those of the latents | tokens and steps       |

Velocities are ε - x0 (Lipman et al. 2023; Esser et al. 2024), at the network's own time t in [0, 1000].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from weft.models.networks.codec import LatentCodec
from weft.models.networks.components import Components
from weft.models.networks.flow_text import KleinText, StableDiffusion3Text
from weft.models.networks.text import Text

__all__ = ["FLOW_FAMILIES", "FlowFamily", "PatchCodec"]

PATCH = 2  # latents along each side of a token
_REFERENCE_TIME = 10  # where the pictures to edit are in time; the latents are at 0


@dataclass(frozen=True, slots=True)
class FlowFamily:
    """What a kind of transformer needs around it."""

    codec: type[LatentCodec]
    text: Callable[[Components], Text]
    # network, x [n, C, h, w], t, hidden [n, T, W], pooled [n, P] or None, pictures' latents [n, C, h, w] or None
    velocity: Callable[[Any, Tensor, float, Tensor, Tensor | None, Tensor | None], Tensor]
    # scheduler, tokens: by how much a walk of so many steps is shifted; None: as the scheduler says
    shift: Callable[[Mapping[str, Any], int], Callable[[int], float] | None]
    edits: bool  # it can be shown pictures to edit


class PatchCodec(LatentCodec):
    """Latents of FLUX.2: the modes, normalised with the statistics of the VAE's batch normalisation.

    The statistics are of tokens, four latents of 32 channels each; here the latents stay apart, 8 px each.
    """

    def __init__(self, vae: torch.nn.Module, tiny: torch.nn.Module | None = None, **settings: Any) -> None:
        super().__init__(vae, tiny, **settings)
        statistics: Any = vae.bn
        epsilon = float(self._vae.config.batch_norm_eps)
        self._mean = statistics.running_mean.float()[:, None, None]
        self._deviation = torch.sqrt(statistics.running_var.float() + epsilon)[:, None, None]

    def scaled(self, modes: Tensor) -> Tensor:
        mean, deviation = self._mean.to(modes.device), self._deviation.to(modes.device)
        return pixel_shuffle((pixel_unshuffle(modes, PATCH) - mean) / deviation, PATCH)

    def unscaled(self, latents: Tensor) -> Tensor:
        mean, deviation = self._mean.to(latents.device), self._deviation.to(latents.device)
        return pixel_shuffle(pixel_unshuffle(latents, PATCH) * deviation + mean, PATCH)


def _velocity_3(
    network: Any, x: Tensor, t: float, hidden: Tensor, pooled: Tensor | None, pictures: Tensor | None
) -> Tensor:
    return network(
        hidden_states=x,
        timestep=torch.full((len(x),), t, device=x.device),
        encoder_hidden_states=hidden,
        pooled_projections=pooled,
        return_dict=False,
    )[0]


def _velocity_klein(
    network: Any, x: Tensor, t: float, hidden: Tensor, pooled: Tensor | None, pictures: Tensor | None
) -> Tensor:
    height, width = (side // PATCH for side in x.shape[-2:])
    tokens, places = _tokens(x), _places(height, width, 0, x.device)
    if pictures is not None:
        tokens = torch.cat([tokens, _tokens(pictures)], dim=1)
        places = torch.cat([places, _places(height, width, _REFERENCE_TIME, x.device)])
    written = torch.zeros(hidden.shape[1], 4, dtype=torch.int64, device=x.device)
    written[:, 3] = torch.arange(hidden.shape[1], device=x.device)
    velocity = network(
        hidden_states=tokens,
        timestep=torch.full((len(x),), t / 1000, device=x.device),
        guidance=None,
        encoder_hidden_states=hidden,
        txt_ids=written,
        img_ids=places,
        return_dict=False,
    )[0][:, : height * width]
    return pixel_shuffle(velocity.transpose(1, 2).unflatten(2, (height, width)), PATCH)


def _tokens(latents: Tensor) -> Tensor:
    """[n, C, h, w] to [n, h/2 · w/2, 4 C]."""
    return pixel_unshuffle(latents, PATCH).flatten(2).transpose(1, 2)


def _places(height: int, width: int, time: int, device: torch.device) -> Tensor:
    """i8 [height · width, 4]: time, row, column, and place in a text."""
    row, column = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    none = torch.zeros_like(row)
    return torch.stack([none + time, row, column, none], dim=-1).flatten(0, 1)


def _shift_3(config: Mapping[str, Any], tokens: int) -> Callable[[int], float] | None:
    """Of the logarithm, linear in the number of tokens, where the scheduler asks for it. Such walks end at 1/steps
    before shifting; the publisher's at the smallest trained σ."""
    if not config.get("use_dynamic_shifting"):
        return None
    low, high = float(config.get("base_image_seq_len", 256)), float(config.get("max_image_seq_len", 4096))
    least, most = float(config.get("base_shift", 0.5)), float(config.get("max_shift", 1.15))
    return lambda steps: least + (most - least) * (tokens - low) / (high - low)


def _shift_klein(config: Mapping[str, Any], tokens: int) -> Callable[[int], float]:
    """The publisher's fit: linear in the tokens at 10 and at 200 steps, and linear in the steps between them."""
    many = 0.00016927 * tokens + 0.45666666
    few = 8.73809524e-05 * tokens + 1.89833333
    if tokens > 4300:
        return lambda steps: many
    return lambda steps: many + (few - many) * (200 - steps) / 190


FLOW_FAMILIES = {
    "sd3": FlowFamily(LatentCodec, StableDiffusion3Text, _velocity_3, _shift_3, edits=False),
    "flux2": FlowFamily(PatchCodec, KleinText, _velocity_klein, _shift_klein, edits=True),
}
