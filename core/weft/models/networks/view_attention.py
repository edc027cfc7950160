"""Views that look at each other: self-attention of a U-Net over the keys and values of neighbouring views.

Kim et al. 2024 (SyncTweedies), after Liu et al. 2023 (SyncMVD). With q, K, V the queries, keys and values of
one self-attention layer, n(i) the neighbours of view i and f(i) its front view,

    view i      softmax(q_i [K_j]ᵀ/√d) [V_j],  j in n(i)      tokens of all neighbours in one softmax
    t > 800     ½ of that + ½ softmax(q_i K_fᵀ/√d) V_f        f = f(i)

Batches are branch-major: sample = branch · N + view, for the branches of guidance. Views see views of their own branch.
Only `attn1` of the U-Net takes part; without neighbours nothing of the network is touched.

Parts of a batch wait for each other at every such layer, and keep what they will need later (the U-Net's skip
connections): cutting a batch saves what single layers need, not all that a smaller batch alone would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from weft.errors import InvalidInput
from weft.models.networks.batching import Evaluate, Together, in_turn
from weft.models.networks.image_model import ViewNeighbours
from weft.models.networks.lockstep import Lockstep

__all__ = ["FRONT_ABOVE", "ViewAttention"]

FRONT_ABOVE = 800  # of 1000 training steps: above it, every view also looks at its front view

_KeysValues = tuple[Tensor, Tensor]  # [B, L, heads, d] each


class ViewAttention:
    """The self-attention layers of one U-Net, and how they are run for views that have neighbours."""

    def __init__(self, network: torch.nn.Module) -> None:
        self._layers = [
            module
            for name, module in network.named_modules()
            if name.endswith("attn1") and isinstance(module, Attention) and not module.is_cross_attention
        ]

    @property
    def _device(self) -> torch.device:
        return self._layers[0].to_q.weight.device

    def together(self, neighbours: ViewNeighbours | None, branches: int, t: float) -> Together:
        """How the parts of a batch [branches · N] are run, for `Batches.run`, at training step t in [0, 1000).

        None leaves the network as it is. Parts advance in lockstep, so that cutting a batch changes nothing.
        InvalidInput if the neighbours name views that are not there.
        """
        if neighbours is None:
            return in_turn
        checked = _checked(neighbours)

        def run(function: Evaluate, parts: Sequence[slice]) -> list[Tensor]:
            if parts[-1].stop != branches * len(checked.keys):
                raise InvalidInput(
                    f"a batch of {parts[-1].stop} for {branches} x {len(checked.keys)} views that attend to each other",
                    "give neighbours for every view",
                )
            front, device = t > FRONT_ABOVE, self._device
            meeting = _Meeting([_plan(checked, branches, front, part.start, part.stop, device) for part in parts])
            with self._replaced(_ViewProcessor(meeting)):
                if meeting.lockstep is None:
                    return in_turn(function, parts)
                return meeting.lockstep.run(lambda part: function(parts[part]))

        return run

    @contextmanager
    def _replaced(self, processor: _ViewProcessor) -> Iterator[None]:
        stock = [layer.processor for layer in self._layers]
        try:
            for layer in self._layers:
                layer.set_processor(processor)  # type: ignore[arg-type]
            yield
        finally:
            for layer, own in zip(self._layers, stock, strict=True):
                layer.set_processor(own)


def _checked(neighbours: ViewNeighbours) -> ViewNeighbours:
    views = range(len(neighbours.keys))
    named = {view for keys in (*neighbours.keys, neighbours.front) for view in keys}
    if len(neighbours.front) != len(views) or not all(neighbours.keys) or not named <= set(views):
        raise InvalidInput(
            f"neighbours name views {sorted(named)} and {len(neighbours.front)} front views, of {len(views)} views",
            "give each view a front view and at least one neighbour, counted from 0",
        )
    return neighbours


@dataclass(frozen=True, eq=False)
class _Gather:
    """Samples of one part that attend to equally many samples."""

    queries: Tensor  # i8 [G], counted from the start of the part
    keys: Tensor  # i8 [G, k], of the whole batch


@dataclass(frozen=True, eq=False)
class _Plan:
    """Who attends to whom, for the samples of one part."""

    groups: tuple[_Gather, ...]
    front: Tensor | None  # i8 [part, 1] of the whole batch

    def attend(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """query [part, L, heads, d] over keys and values [B, L, heads, d] of the whole batch; [part, L, heads, d]."""
        if len(self.groups) == 1:
            result = _attend(query, keys, values, self.groups[0].keys)
        else:
            result = torch.empty_like(query)
            for group in self.groups:
                result[group.queries] = _attend(query[group.queries], keys, values, group.keys)
        if self.front is None:
            return result
        return (result + _attend(query, keys, values, self.front)) / 2


def _attend(query: Tensor, keys: Tensor, values: Tensor, samples: Tensor) -> Tensor:
    """One call for G samples with k others each: the tokens of these stand side by side. [G, L, heads, d]."""

    def gather(tokens: Tensor) -> Tensor:
        chosen = tokens.index_select(0, samples.flatten())  # [G·k, L, heads, d]
        return chosen.unflatten(0, samples.shape).flatten(1, 2).transpose(1, 2)  # [G, heads, k·L, d]

    return scaled_dot_product_attention(query.transpose(1, 2), gather(keys), gather(values)).transpose(1, 2)


@lru_cache(maxsize=128)
def _plan(neighbours: ViewNeighbours, branches: int, front: bool, start: int, stop: int, device: torch.device) -> _Plan:
    """For samples start … stop - 1. Kept, since copying indices to a device makes it wait."""
    views = len(neighbours.keys)
    by_count: dict[int, list[int]] = {}
    for sample in range(start, stop):
        by_count.setdefault(len(neighbours.keys[sample % views]), []).append(sample)

    def indices(samples: list[int], seen: Sequence[Sequence[int]]) -> Tensor:
        return torch.tensor([[s - s % views + view for view in seen[s % views]] for s in samples], device=device)

    with torch.inference_mode(False):  # else what is kept could be used in inference mode alone
        groups = tuple(
            _Gather(torch.tensor([s - start for s in samples], device=device), indices(samples, neighbours.keys))
            for samples in by_count.values()
        )
        fronts = [(view,) for view in neighbours.front]
        return _Plan(groups, indices(list(range(start, stop)), fronts) if front else None)


class _Meeting:
    """Where the parts of one batch get the keys and values of all of it."""

    def __init__(self, plans: Sequence[_Plan]) -> None:
        self.plans = plans  # of the parts
        self.lockstep = Lockstep(len(plans), _merge) if len(plans) > 1 else None

    def exchange(self, key: Tensor, value: Tensor) -> tuple[_Plan, Tensor, Tensor]:
        """Keys and values [part, L, heads, d] of the part that asks; its plan, and those of the whole batch."""
        if self.lockstep is None:
            return self.plans[0], key, value
        return _exchange(self.lockstep, self.plans, key, value)  # type: ignore[call-arg]


@torch.compiler.disable  # threads that wait are nothing to compile
def _exchange(
    lockstep: Lockstep[_KeysValues, _KeysValues], plans: Sequence[_Plan], key: Tensor, value: Tensor
) -> tuple[_Plan, Tensor, Tensor]:
    keys, values = lockstep.exchange((key, value))
    return plans[lockstep.part], keys, values


def _merge(given: list[_KeysValues]) -> _KeysValues:
    keys, values = zip(*given, strict=True)
    return torch.cat(keys), torch.cat(values)


class _ViewProcessor:
    """What diffusers' AttnProcessor2_0 does in self-attention, but for whose keys and values are attended to."""

    def __init__(self, meeting: _Meeting) -> None:
        self._meeting = meeting

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,  # [b, L, C] or [b, C, h, w]
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        if encoder_hidden_states is not None or attention_mask is not None:
            raise InvalidInput("views cannot attend to each other under a mask", "leave view attention off")
        query, key, value = _project(attn, _as_tokens(attn, hidden_states, temb))
        plan, keys, values = self._meeting.exchange(key, value)
        del key, value  # in a part, they are copies of what all parts share
        tokens = plan.attend(query, keys, values).flatten(2).to(query.dtype)
        project, dropout = attn.to_out  # type: ignore[misc]
        result = dropout(project(tokens))
        if hidden_states.ndim == 4:
            result = result.transpose(1, 2).reshape(hidden_states.shape)
        if attn.residual_connection:
            result = result + hidden_states
        return result / attn.rescale_output_factor


def _as_tokens(attn: Attention, hidden_states: Tensor, temb: Tensor | None) -> Tensor:
    """[b, L, C], normalised as the layer wants it."""
    if attn.spatial_norm is not None:
        hidden_states = attn.spatial_norm(hidden_states, temb)
    if hidden_states.ndim == 4:
        hidden_states = hidden_states.flatten(2).transpose(1, 2)
    if attn.group_norm is not None:
        hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
    return hidden_states


def _project(attn: Attention, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, [b, L, heads, d] each."""
    if attn.fused_projections:
        parts = attn.to_qkv(tokens).chunk(3, dim=-1)  # type: ignore[misc]
    else:
        parts = (attn.to_q(tokens), attn.to_k(tokens), attn.to_v(tokens))  # type: ignore[misc]
    query, key, value = (part.unflatten(-1, (attn.heads, -1)) for part in parts)
    if attn.norm_q is not None:
        query = attn.norm_q(query)
    if attn.norm_k is not None:
        key = attn.norm_k(key)
    return query, key, value
