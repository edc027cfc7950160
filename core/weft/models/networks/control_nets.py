"""ControlNets: what they add to the U-Net, summed (Zhang et al. 2023), and a union net that stands for several kinds.

The pictures are embedded once, when they are bound; `_Embedding` lets what is embedded pass. A control counts while
the progress 1 - t/T is between its start and its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from torch import Tensor, nn

from weft.models.networks.image_model import Control

__all__ = ["BoundControls", "ControlNets", "Residuals"]

Residuals = tuple[list[Tensor], Tensor]  # what is added to the U-Net's down blocks, and to its middle
_UNION_TYPES = {"depth": 1, "canny": 3, "normal": 4}  # places of kinds in the type vector of xinsir's union nets


class _Embedding(nn.Module):
    """A ControlNet's embedding of pictures that leaves alone what it embedded before."""

    def __init__(self, embed: nn.Module) -> None:
        super().__init__()
        self.embed: Any = embed
        self.channels = int(self.embed.conv_out.out_channels)

    def forward(self, conditioning: Tensor) -> Tensor:
        return conditioning if conditioning.shape[1] == self.channels else self.embed(conditioning)


@dataclass(frozen=True, eq=False)
class _Bound:
    control: Control
    net: Any
    hint: Tensor  # [N, C, h, w], the embedded pictures


class ControlNets:
    """Those of one loaded model, by kind."""

    def __init__(self, nets: Mapping[str, nn.Module], device: torch.device, dtype: torch.dtype) -> None:
        self._nets: dict[str, Any] = dict(nets)
        self._device, self._dtype = device, dtype
        for net in self._nets.values():
            if not isinstance(net.controlnet_cond_embedding, _Embedding):
                net.controlnet_cond_embedding = _Embedding(net.controlnet_cond_embedding)

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(self._nets)

    @torch.no_grad()
    def bind(self, controls: Sequence[Control]) -> BoundControls:
        """Controls that are off (scale 0) are left out."""
        return BoundControls([self._bound(control) for control in controls if control.scale != 0])

    def _bound(self, control: Control) -> _Bound:
        net = self._nets[control.kind]
        # One by one: at full size the first convolutions of ten pictures take more memory than the U-Net does.
        images = control.images.to(self._device, self._dtype).split(1)
        return _Bound(control, net, torch.cat([net.controlnet_cond_embedding(image) for image in images]))


class BoundControls:
    """Controls with their pictures."""

    def __init__(self, controls: Sequence[_Bound]) -> None:
        self._controls = controls

    def residuals(
        self,
        x: Tensor,  # [B, C, h, w], noisy latents
        t: Tensor,  # [1]
        hidden: Tensor,  # [B, tokens, C]
        added: Mapping[str, Tensor],  # of SDXL
        views: Tensor,  # i8 [B], whose pictures each sample follows
        progress: float,  # in [0, 1]
    ) -> Residuals | None:
        """The sum over all controls that count at `progress`; None if none does."""
        active = [bound for bound in self._controls if bound.control.start <= progress <= bound.control.end]
        total: Residuals | None = None
        for net in dict.fromkeys(bound.net for bound in active):
            own = [bound for bound in active if bound.net is net]
            asked: dict[str, Any] = {"encoder_hidden_states": hidden, "added_cond_kwargs": dict(added)}
            asked |= (_union if isinstance(net, ControlNetUnionModel) else _single)(own, views, x)
            down, middle = net(x, t, **asked, return_dict=False)
            total = (list(down), middle) if total is None else _sum(total, down, middle)
        return total


def _single(own: Sequence[_Bound], views: Tensor, x: Tensor) -> dict[str, Any]:
    (bound,) = own
    return {"controlnet_cond": bound.hint[views], "conditioning_scale": float(bound.control.scale)}


def _union(own: Sequence[_Bound], views: Tensor, x: Tensor) -> dict[str, Any]:
    """All kinds at once: one evaluation of the net, a type vector with a one for each kind."""
    places = [_UNION_TYPES[bound.control.kind] for bound in own]
    types = torch.zeros(len(x), int(own[0].net.config.num_control_type), device=x.device, dtype=x.dtype)
    for place in places:
        types[:, place] = 1  # one by one: a list of places would have to be copied to the device first
    return {
        "controlnet_cond": [bound.hint[views] for bound in own],
        "control_type": types,
        "control_type_idx": places,
        "conditioning_scale": [float(bound.control.scale) for bound in own],
    }


def _sum(total: Residuals, down: Sequence[Tensor], middle: Tensor) -> Residuals:
    return [a + b for a, b in zip(total[0], down, strict=True)], total[1] + middle
