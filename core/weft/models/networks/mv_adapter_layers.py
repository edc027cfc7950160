"""What MV-Adapter adds to the self-attention of a U-Net: attention to the other views, and to a reference picture.

Huang et al. 2024, *MV-Adapter: Multi-view Consistent Image Generation Made Easy*. With h what a layer reads,

    layer'(h) = layer(h) + W_mv attention(h, the same rows of all views) + W_ref attention(h, the reference's h)

so that outputs of zero leave the U-Net as it is, bit for bit. Level views show the same heights in the same rows. Six
views of a cube's sides are tied by rows around it, and by columns over top and bottom, where the front runs mirrored.

Samples are branch-major, sample = branch · N + view. Attributes are named as the published weights are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["Band", "MultiViewLayers", "cube_bands", "level_bands"]


@dataclass(frozen=True, slots=True)
class Band:
    """Views whose pixels of one row (or column) show one plane through the object. Every view is in one at least; those
    in several take the mean."""

    views: tuple[int, ...]
    columns: bool = False
    mirrored: tuple[int, ...] = ()  # of the views, those in which columns run the other way


def level_bands(views: int) -> tuple[Band, ...]:
    return (Band(tuple(range(views))),)


def cube_bands() -> tuple[Band, ...]:
    """Of front, right, back, left, top, bottom."""
    return (Band((0, 1, 2, 3)), Band((0, 2, 4, 5), columns=True, mirrored=(0,)))


class ViewLayer(nn.Module):
    """The projections beside those of one layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for kind in ("mv", "ref"):
            for name in ("q", "k", "v"):
                self.add_module(f"to_{name}_{kind}", nn.Linear(channels, channels, bias=False))
            self.add_module(f"to_out_{kind}", nn.ModuleList([nn.Linear(channels, channels)]))

    def projected(self, kind: str, name: str, tokens: Tensor) -> Tensor:
        return self.get_submodule(f"to_{name}_{kind}")(tokens)

    def out(self, kind: str, tokens: Tensor) -> Tensor:
        return self.get_submodule(f"to_out_{kind}.0")(tokens)


@dataclass(eq=False)
class _Call:
    """One evaluation of the U-Net: with the pictures seen, or to see one."""

    height: int  # of the latents
    width: int
    views: int = 1
    bands: Sequence[Band] = ()
    seen: dict[str, Tensor] = field(default_factory=dict)  # by layer: [branches, L, C] of the reference


class MultiViewLayers(nn.Module):
    """The added projections of all self-attention layers of one U-Net, by the layers' names in its order."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._attention: dict[str, Any] = {
            name: module
            for name, module in network.named_modules()
            if name.endswith("attn1") and isinstance(module, Attention)
        }
        self.layers = nn.ModuleList([ViewLayer(module.to_q.in_features) for module in self._attention.values()])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._attention)

    @contextmanager
    def recording(self, height: int, width: int) -> Iterator[dict[str, Tensor]]:
        """Inside, the U-Net runs as it is; what its layers read [1, L, C] is in the mapping afterwards."""
        call = _Call(height, width)
        with self._replaced(call, record=True):
            yield call.seen

    @contextmanager
    def attending(
        self, height: int, width: int, views: int, bands: Sequence[Band], seen: dict[str, Tensor]
    ) -> Iterator[None]:
        """Inside, samples [branches · views] of latents height x width attend to each other in `bands`, and to what was
        recorded of the reference, [branches, L, C] by layer."""
        with self._replaced(_Call(height, width, views, bands, seen), record=False):
            yield

    @contextmanager
    def _replaced(self, call: _Call, *, record: bool) -> Iterator[None]:
        stock = [module.processor for module in self._attention.values()]
        try:
            for (name, module), own, layer in zip(self._attention.items(), stock, self.layers, strict=True):
                assert isinstance(layer, ViewLayer)
                module.set_processor(_Recording(name, own, call) if record else _Attending(name, own, call, layer))
            yield
        finally:
            for module, own in zip(self._attention.values(), stock, strict=True):
                module.set_processor(own)


class _Recording:
    def __init__(self, name: str, stock: Any, call: _Call) -> None:
        self._name, self._stock, self._call = name, stock, call

    def __call__(self, attn: Attention, hidden_states: Tensor, *others: Any, **named: Any) -> Tensor:
        self._call.seen[self._name] = hidden_states
        return self._stock(attn, hidden_states, *others, **named)


class _Attending:
    def __init__(self, name: str, stock: Any, call: _Call, layer: ViewLayer) -> None:
        self._name, self._stock, self._call, self._layer = name, stock, call, layer

    def __call__(self, attn: Attention, hidden_states: Tensor, *others: Any, **named: Any) -> Tensor:
        own = self._stock(attn, hidden_states, *others, **named)
        across = self._across_views(hidden_states, attn.heads)
        return own + across + self._to_reference(hidden_states, attn.heads)

    def _across_views(self, tokens: Tensor, heads: int) -> Tensor:
        call, layer = self._call, self._layer
        finer = math.isqrt(call.height * call.width // tokens.shape[1])
        grid = (-1, call.views, call.height // finer, call.width // finer)
        q, k, v = (layer.projected("mv", name, tokens).unflatten(0, grid[:2]).unflatten(2, grid[2:]) for name in "qkv")
        found: list[list[Tensor]] = [[] for _ in range(call.views)]
        for band in call.bands:
            for view, own in zip(band.views, _banded(q, k, v, band, heads).unbind(1), strict=True):
                found[view].append(own)
        mean = torch.stack([sum(own[1:], own[0]) / len(own) for own in found], 1)
        return layer.out("mv", mean.flatten(2, 3).flatten(0, 1))

    def _to_reference(self, tokens: Tensor, heads: int) -> Tensor:
        """Branches that are not shown it see zeros, as in training: what is left of it is a bias."""
        layer, seen = self._layer, self._call.seen[self._name]
        query = layer.projected("ref", "q", tokens).unflatten(0, (len(seen), -1)).flatten(1, 2)
        key, value = (layer.projected("ref", name, seen) for name in "kv")
        return layer.out("ref", _attend(query, key, value, heads).reshape(tokens.shape))


def _banded(q: Tensor, k: Tensor, v: Tensor, band: Band, heads: int) -> Tensor:
    """[B, N, h, w, C] each to [B, views of the band, h, w, C]: all pixels of one row attend to each other."""

    def lines(tensor: Tensor) -> Tensor:
        chosen = torch.stack([_turned(tensor[:, view], view, band) for view in band.views], 1)
        lined = chosen.permute(0, 3, 1, 2, 4) if band.columns else chosen.permute(0, 2, 1, 3, 4)
        return lined.flatten(2, 3).flatten(0, 1)  # [B · lines, views · pixels, C]

    branches, (height, width) = len(q), q.shape[2:4]
    found = _attend(lines(q), lines(k), lines(v), heads)
    found = found.unflatten(0, (branches, -1)).unflatten(2, (len(band.views), height if band.columns else width))
    found = found.permute(0, 2, 3, 1, 4) if band.columns else found.permute(0, 2, 1, 3, 4)
    return torch.stack([_turned(found[:, place], view, band) for place, view in enumerate(band.views)], 1)


def _turned(tensor: Tensor, view: int, band: Band) -> Tensor:
    """[B, h, w, C] of one view, mirrored where it is; mirroring undoes itself."""
    return tensor.flip(2) if view in band.mirrored else tensor


def _attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """[B, L, C] over [B, M, C]."""
    q, k, v = (tensor.unflatten(-1, (heads, -1)).transpose(1, 2) for tensor in (query, key, value))
    return scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
